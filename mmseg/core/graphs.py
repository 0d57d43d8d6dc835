"""What the key ``compile`` compiles of a step beside its networks."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

Function = TypeVar('Function', bound=Callable[..., Any])


class Graphs:
    """Functions of a step as ``torch.compile`` makes them; as they are written while ``options`` is None.

    A function is to take all that a step changes as tensors: what it finds in numbers, strings or attributes
    is a part of the graph, and another value of it is compiled anew. Compiled modules in it become a part of
    its graph.

    Args:
        options: keyword arguments of ``torch.compile``.
    """

    def __init__(self, options: Mapping[str, Any] | None = None):
        self.options = options
        self._compiled: dict[Callable, Callable] = {}

    def of(self, function: Function, *networks: nn.Module) -> Function:
        """``function``, compiled if all ``networks`` that it calls can be in one graph with it: their class
        says so (``one_graph``). Parallel wrappers do not; networks compiled in place stay so."""
        if self.options is None or not all(getattr(network, 'one_graph', False) for network in networks):
            return function
        return self._made(function, self.options)

    def of_varying_order(self, function: Function) -> Function:
        """One of several functions that follow one another in another order in each step. No replayed CUDA
        graphs, of which each order would be one: neither ``mode`` nor ``options`` of ``torch.compile``."""
        if self.options is None:
            return function
        kept = {key: value for key, value in self.options.items() if key not in ('mode', 'options')}
        return self._made(function, kept)

    def _made(self, function: Function, options: Mapping[str, Any]) -> Function:
        if function not in self._compiled:
            self._compiled[function] = torch.compile(function, **options)
        return self._compiled[function]  # type: ignore[return-value]


AS_WRITTEN = Graphs()
