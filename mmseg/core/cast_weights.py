"""Weights in a lower precision for the passes of a step, cast all at once."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

# Their weights go into the product or convolution as they are; a subclass may change them before.
LAYERS = (nn.Linear, nn.Conv2d)


class CastWeights:
    """The weights of a network's layers in the precision of its passes.

    Autocast casts each weight in each pass, and each gradient in each backward pass: four thousand kernels
    of a step of MiT-B5. Here the copies are kept, all are cast at once, and only if a weight has changed
    since. Values and gradients are those of autocast, bit for bit: gradients of a pass add up in the lower
    precision (a weight that it uses twice), and over the passes in float32.

    Args:
        network: its layers of the types ``LAYERS``; others are left to autocast.
        dtype: bfloat16 or float16.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype):
        self.network, self.dtype = network, dtype
        self._weights: list[torch.Tensor] = []
        self._copies: list[torch.Tensor] = []
        self._places: list[tuple[dict, str, nn.Parameter, nn.Parameter]] = []
        self._versions: list[int] = []

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block the layers have the copies for weights; what a backward pass in the block gives
        the copies as gradients is added to the weights' afterwards."""
        if not self._is_current():
            self._make()
        self._cast()
        for parameters, name, _, copy in self._places:
            parameters[name] = copy
        try:
            yield
        finally:
            for parameters, name, weight, _ in self._places:
                parameters[name] = weight
            self._gather()

    def _is_current(self) -> bool:
        """Whether the weights are those that the copies were made for, and on their device."""
        return bool(self._places) and self._weights[0].device == self._copies[0].device and all(
            parameters[name] is weight for parameters, name, weight, _ in self._places)

    @torch.no_grad()
    def _make(self) -> None:
        copies: dict[nn.Parameter, nn.Parameter] = {}  # a weight may be that of several layers
        self._places, self._versions = [], []
        for module in self.network.modules():
            if type(module) not in LAYERS:
                continue
            for name, weight in module._parameters.items():
                if weight is not None and weight.dtype == torch.float32:
                    if weight not in copies:
                        copies[weight] = nn.Parameter(torch.empty_like(weight, dtype=self.dtype))
                    self._places.append((module._parameters, name, weight, copies[weight]))
        self._weights, self._copies = list(copies), list(copies.values())

    @torch.no_grad()
    def _cast(self) -> None:
        versions = [weight._version for weight in self._weights]
        if versions != self._versions and self._weights:
            torch._foreach_copy_(self._copies, self._weights)
            self._versions = versions
        for weight, copy in zip(self._weights, self._copies):
            copy.requires_grad_(weight.requires_grad)

    @torch.no_grad()
    def _gather(self) -> None:
        found = [(weight, copy) for weight, copy in zip(self._weights, self._copies) if copy.grad is not None]
        if not found:
            return
        gradients = [torch.empty_like(weight) for weight, _ in found]
        torch._foreach_copy_(gradients, [copy.grad for _, copy in found if copy.grad is not None])
        added = [(weight.grad, gradient) for (weight, _), gradient in zip(found, gradients)
                 if weight.grad is not None]
        if added:
            torch._foreach_add_(*map(list, zip(*added)))
        for (weight, copy), gradient in zip(found, gradients):
            copy.grad = None
            if weight.grad is None:
                weight.grad = gradient
