from mmseg.utils import get_root_logger, set_random_seed

from .inference import inference_segmentor, init_segmentor, show_result_pyplot
from .predictor import Prediction, Predictor, load
from .test import multi_gpu_test, run_test, single_gpu_test
from .train import train_segmentor

__all__ = ['Prediction', 'Predictor', 'get_root_logger', 'inference_segmentor', 'init_segmentor', 'load',
           'multi_gpu_test', 'run_test', 'set_random_seed', 'show_result_pyplot', 'single_gpu_test',
           'train_segmentor']
