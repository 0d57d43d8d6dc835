"""A user's mistake ends a program in one line that names the culprit, and harms nothing."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from programs import ROOT

from mmseg.checkpoint.weights import save_checkpoint
from mmseg.experiments.runs import run_lock
from mmseg.models import build_segmentor
from mmseg.utils.config import load_config


@pytest.fixture
def own_streets(streets, tmp_path) -> Path:
    """A copy of the clear domain that a test may spoil."""
    shutil.copytree(streets / 'cityscapes', tmp_path / 'cityscapes')
    return tmp_path / 'cityscapes'


def spoiled(tiny, root: Path) -> tuple:
    """Arguments of a training on a copy of the data."""
    return tiny(**{'data.train.source.data_root': str(root)}), '--no-validate'


def labels_of(root: Path) -> list[Path]:
    return sorted((root / 'gtFine' / 'train').rglob('*_labelTrainIds.png'))


@pytest.fixture
def weights(tiny, tmp_path) -> Path:
    """A checkpoint of the small network."""
    path = tmp_path / 'weights.pth'
    save_checkpoint(str(path), build_segmentor(load_config(tiny()).model))
    return path


class Hostile:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


# ---- data ----

def test_missing_data_root(tiny, refused):
    refused('tools.train', tiny(**{'data.train.source.data_root': '/nowhere/cityscapes'}),
            parts=('data root /nowhere/cityscapes does not exist',))


def test_missing_statistics_name_the_converter(tiny, refused, own_streets):
    (own_streets / 'sample_class_stats.json').unlink()
    refused('tools.train', *spoiled(tiny, own_streets),
            parts=('sample_class_stats.json', f'python tools/convert_datasets/cityscapes.py {own_streets}'))


def test_label_value_outside_the_classes(tiny, refused, own_streets):
    for path in labels_of(own_streets):
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        label[:] = 77
        cv2.imwrite(str(path), label)
    refused('tools.train', *spoiled(tiny, own_streets), parts=('77', '_gtFine_labelTrainIds.png'))


@pytest.mark.parametrize('workers', [0, 1])
def test_image_and_label_of_different_sizes(tiny, refused, own_streets, workers):
    for path in labels_of(own_streets):
        cv2.imwrite(str(path), np.zeros((32, 64), np.uint8))
    refused('tools.train', *spoiled(tiny, own_streets), '--options', f'data.workers_per_gpu={workers}',
            parts=('_gtFine_labelTrainIds.png', '64x32', '128x64'))


def test_corrupt_image(tiny, refused, own_streets):
    for path in (own_streets / 'leftImg8bit' / 'train').rglob('*.png'):
        path.write_bytes(path.read_bytes()[:200])
    refused('tools.train', *spoiled(tiny, own_streets), parts=('_leftImg8bit.png', 'corrupt'))


def test_class_without_any_image_above_min_pixels(tiny, refused):
    refused('tools.train', tiny(**{'data.train.rare_class_sampling.min_pixels': 100000}),
            parts=('min_pixels=100000', 'class'))


# ---- checkpoints ----

@pytest.mark.parametrize('program', ['tools.test', 'tools.train'])
def test_checkpoint_of_another_architecture(tiny, refused, weights, program):
    config = tiny(name='wider.json', **{'model.decode_head.channels': 24})
    argv = (config, weights) if program == 'tools.test' else (config, '--load-from', weights, '--no-validate')
    refused(program, *argv, parts=(weights, 'decode_head', 'shape'))


def test_weights_are_no_training_to_resume(tiny, refused, weights):
    refused('tools.train', tiny(), '--resume-from', weights, '--no-validate', parts=(weights, '--load-from'))


def test_truncated_checkpoint(tiny, refused, weights):
    weights.write_bytes(weights.read_bytes()[:5000])
    refused('tools.test', tiny(), weights, parts=(weights, 'damaged or incomplete'))


@pytest.mark.parametrize('form', ['zip', 'plain pickle'])
def test_hostile_checkpoint_is_not_executed(tiny, refused, tmp_path, form):
    path, folder = tmp_path / 'hostile.pth', tmp_path / 'made by the checkpoint'
    content = {'state_dict': {'a': torch.zeros(1)}, 'meta': Hostile(folder)}
    torch.save(content, path, _use_new_zipfile_serialization=form == 'zip')
    refused('demo.image_demo', ROOT / 'demo' / 'demo.png', tiny(), path, parts=(path, 'refused'))
    assert not folder.exists()


def test_missing_pretrained_file(tiny, refused):
    refused('tools.train', tiny(**{'model.pretrained': 'pretrained/not_there.pth'}),
            parts=('pretrained/not_there.pth', 'model.pretrained=None'))


# ---- configs and arguments ----

@pytest.mark.parametrize('option, wrong, right', [
    ('model.backbone.drop_path_rat=0.1', 'drop_path_rat', 'drop_path_rate'),
    ('model.decode_head.num_clases=19', 'num_clases', 'num_classes'),
    ('uda.alfa=0.9', 'alfa', 'alpha'),
    ('uda.entropy_balance.targt=0.4', 'targt', 'target'),
    ('data.train.source.img_di=x', 'img_di', 'img_dir'),
    ('data.workers_per_gp=2', 'workers_per_gp', 'workers_per_gpu'),
    ('lr_config.warmup_iter=2', 'warmup_iter', 'warmup_iters'),
    ('log_config.intervall=2', 'intervall', 'interval'),
    ('checkpoint_config.intervall=2', 'intervall', 'interval'),
    ('evaluation.save_bst=mIoU', 'save_bst', 'save_best'),
    ('optimizer_config={"grad_clip":{"max_nom":1}}', 'max_nom', 'max_norm'),
    ('model.type=EncoderDecodr', 'EncoderDecodr', 'EncoderDecoder'),
    ('model.backbone.type=mit_b9', 'mit_b9', 'mit_b'),
    ('uda.type=DACSS', 'DACSS', 'DACS'),
    ('data.train.target.type=ACDCDatast', 'ACDCDatast', 'ACDCDataset'),
    ('optimizer.type=AdmW', 'AdmW', 'AdamW'),
    ('lr_config.policy=ploy', 'Ploy', 'Poly'),
    ('custom_hooks=[{"type":"EMAHok"}]', 'EMAHok', 'EMAHook'),
])
def test_unknown_key_or_name_suggests_the_nearest(tiny, refused, option, wrong, right):
    refused('tools.train', tiny(), '--options', option, parts=(f"'{wrong}", f"did you mean '{right}"))


def test_unknown_transform_suggests_the_nearest(tiny, refused):
    config = tiny()
    config.write_text(config.read_text().replace('"RandomFlip"', '"RandomFlp"'))
    refused('tools.train', config, parts=("'RandomFlp'", "did you mean 'RandomFlip'?"))


def test_unknown_experiment_lists_the_ids(refused):
    refused('run_experiments', '--exp', '7777', parts=('7777', '20, 21, 22, 23', '900, 901'))


def test_missing_config(refused):
    refused('tools.train', 'not_there.py', parts=('not_there.py', 'does not exist'))


@pytest.mark.parametrize('program', ['tools.train', 'tools.test', 'run_experiments', 'demo.image_demo'])
def test_config_with_a_syntax_error(refused, tmp_path, program):
    config = tmp_path / 'wrong.py'
    config.write_text('model = dict(type=\n')
    argv = {'tools.train': [config], 'tools.test': [config, 'x.pth'], 'run_experiments': ['--config', config],
            'demo.image_demo': [ROOT / 'demo' / 'demo.png', config, 'x.pth']}[program]
    refused(program, *argv, parts=(config,))


def test_folder_of_an_earlier_run(tiny, refused, tmp_path, weights):
    earlier = tmp_path / 'earlier'
    earlier.mkdir()
    shutil.copy(weights, earlier / 'iter_4.pth')
    refused('tools.train', tiny(), '--work-dir', earlier, parts=(earlier, '--resume-from', '--work-dir'))
    assert [path.name for path in earlier.iterdir()] == ['iter_4.pth']


def test_folder_in_which_another_process_trains(tiny, refused, tmp_path):
    with run_lock(tmp_path / 'run'):
        for resume in ([], ['--resume', 'auto']):
            refused('tools.train', tiny(), '--work-dir', tmp_path / 'run', *resume,
                    parts=(tmp_path / 'run', 'in use'))
    assert not (tmp_path / 'run').exists()


def test_folder_without_checkpoint_cannot_be_resumed(tiny, refused, tmp_path):
    folder = tmp_path / 'begun'
    folder.mkdir()
    shutil.copy(tiny(), folder / 'begun.json')
    refused('run_experiments', '--resume', folder, parts=(folder, 'no checkpoint'))


def test_image_demo_without_image(tiny, refused, weights):
    refused('demo.image_demo', 'not_there.png', tiny(), weights, parts=('not_there.png', 'does not exist'))


# ---- the libraries' announcements ----

STARTS = """
import io, os, runpy, sys
import torch  # says nothing when imported; the children need not load it again
assert not {{'mmcv', 'torch.utils.cpp_extension'}} & sys.modules.keys()
for number, (module, *argv) in enumerate({starts!r}):
    if os.fork() == 0:
        os.dup2(os.open(f'{folder}/{{number}}', os.O_CREAT | os.O_WRONLY), 2)
        sys.argv = [module, *argv]
        if module.endswith('.py'):
            runpy.run_path(module, run_name='__main__')
        runpy.run_module(module, run_name='__main__', alter_sys=True)
codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in {starts!r}]
print(codes)
"""


def test_no_announcement_of_a_library_stands_beside_the_error(tmp_path):
    """mmcv's on its next version, and torch's on a CUDA toolkit without GPU: in processes that import the
    programs anew, in the way that a user starts each of them."""
    toolkit = tmp_path / 'toolkit'
    toolkit.mkdir()
    starts = [('run_experiments.py', '--exp', '7777'), ('tools/train.py', 'no.py'),
              ('tools/test.py', 'no.py', 'no.pth'), ('demo.image_demo', 'no.png', 'no.py', 'no.pth'),
              ('tools/convert_datasets/cityscapes.py', '/nowhere')]
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'CUDA_HOME': str(toolkit)}
    done = subprocess.run([sys.executable, '-c', STARTS.format(starts=starts, folder=tmp_path)], cwd=ROOT,
                          env=env, text=True, capture_output=True, check=True)
    for number, (program, *_) in enumerate(starts):
        lines = (tmp_path / str(number)).read_text().splitlines()
        assert len(lines) == 1 and lines[0].startswith('error: '), (program, lines)
    assert done.stdout == f'{[1] * len(starts)}\n'
