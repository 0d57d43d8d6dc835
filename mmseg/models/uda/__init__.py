from .advent import ADVENT, MinEnt
from .advseg import AdvSeg
from .bdl import BDL
from .cycle_gan import CycleGAN
from .dacs import DACS
from .dannet import DANNet
from .fda import FDA
from .mgcda import MGCDA
from .proda import ProDA
from .proda_distillation import ProDADistillation
from .proda_warmup import ProDAWarmup
from .uda_decorator import UDADecorator

__all__ = ['ADVENT', 'AdvSeg', 'BDL', 'CycleGAN', 'DACS', 'DANNet', 'FDA', 'MGCDA', 'MinEnt', 'ProDA',
           'ProDADistillation', 'ProDAWarmup', 'UDADecorator']
