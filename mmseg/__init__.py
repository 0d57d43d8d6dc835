import logging
import warnings
from importlib import metadata

from . import compat
from .version import __version__


def _refuse_shadowing() -> None:
    """Installed beside mmsegmentation, whose package has the same name, neither works."""
    try:
        both = f'mmsegmentation {metadata.version("mmsegmentation")} and ebda {metadata.version("ebda")}'
    except metadata.PackageNotFoundError:  # a checkout may be run where mmsegmentation is installed
        return
    raise ImportError(f'{both} are both installed here, and both as the package mmseg: use an environment of '
                      'its own, or pip uninstall mmsegmentation ebda and install ebda again')


_refuse_shadowing()
compat.install()

# mmcv announces its successor whenever it is imported, in every process and every worker
warnings.filterwarnings('ignore', message='On January 1, 2023, MMCV')
# mmcv imports torch's build tools, which say this where there is a CUDA toolkit but no GPU
logging.getLogger('torch.utils.cpp_extension').addFilter(
    lambda record: not str(record.msg).startswith('No CUDA runtime is found'))

__all__ = ['__version__']
