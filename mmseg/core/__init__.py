from . import evaluation
from .evaluation import *  # noqa: F403

__all__ = [*evaluation.__all__]
