from . import evaluation
from .evaluation import *  # noqa: F403

__all__ = [*evaluation.__all__]


def __getattr__(name: str) -> object:
    from mmseg.compat import moved_attribute
    return moved_attribute(__name__, name)
