"""Imports ``mmcv.runner`` without torchvision. mmcv wants its model zoo for checkpoints called
``torchvision://…``; torchvision imports PyTorch's compiler, which takes longer than all of mmcv and mmseg.

Packages whose modules need ``mmcv.runner`` import this first. Where torchvision is imported already, or
used, it is as ever.
"""
from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class Later(ModuleType):
    """Stands for a package until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            if name.startswith('_'):  # asked of all modules, by inspect and mmcv
                raise AttributeError(name)
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


if not {'torchvision', 'mmcv.runner'} & sys.modules.keys():
    sys.modules['torchvision'] = stand_in = Later('torchvision')
    try:
        importlib.import_module('mmcv.runner')
    finally:
        if sys.modules.get('torchvision') is stand_in:
            del sys.modules['torchvision']
