"""How many kernels a training step launches, by kind and by part; counted on torch's meta device.

    python -m benchmarks.kernel_counts --joint-encoder --amp bfloat16   (benchmarks.train_step's arguments)

An operation of aten that computes something is a kernel, or as many as ``LAUNCHES`` says; a ``foreach`` is
one, where a GPU takes one for some dozens of tensors. Autocast does not know the meta device: what it does on
a GPU is done by ``GPUAutocast``. Attention is fused, as on a GPU.
"""
from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.train_step import make_side, parse_args, parts_inside
from mmseg.engine.precision import DTYPES
from mmseg.models.segmentors import EncoderDecoder
from mmseg.utils.files import write_json

META = 'meta'
# the first of these whose words are in an operation's name is its kind
KINDS = {
    'attention': ('scaled_dot_product',), 'foreach': ('_foreach', '_fused_adam'),
    'convolution': ('convolution',), 'norm': ('_norm',), 'matmul': ('mm',), 'sum': ('sum', 'mean'),
    'random': ('bernoulli', 'rand', 'uniform'), 'fill': ('zero', 'ones', 'full', 'fill', 'arange')}
# by the beginning of the name; cuDNN adds the bias of a convolution in a kernel of its own
LAUNCHES = {'convolution_backward': 3, 'convolution': 2, 'native_layer_norm_backward': 2,
            '_scaled_dot_product_flash_attention_backward': 3,
            '_scaled_dot_product_efficient_attention_backward': 2}
NO_KERNELS = frozenset({
    'empty', 'empty_like', 'empty_strided', 'new_empty', 'new_empty_strided', 'set_', 'resize_', 'detach',
    'alias', 'lift_fresh', '_unsafe_view', '_reshape_alias', '_local_scalar_dense'})
LOWER = frozenset({F.linear, F.conv2d, torch.conv2d, torch.matmul, torch.bmm, torch.mm, torch.einsum,
                   Tensor.matmul, Tensor.__matmul__, Tensor.bmm, Tensor.mm, F.scaled_dot_product_attention})
HIGHER = frozenset({F.layer_norm, torch.layer_norm, F.group_norm, F.softmax, torch.softmax, Tensor.softmax,
                    F.log_softmax, torch.log_softmax, Tensor.log_softmax, torch.exp, Tensor.exp, torch.log,
                    Tensor.log, torch.pow, Tensor.pow, Tensor.sum, torch.sum, torch.norm})


def fused_attention(q: Tensor, k: Tensor, v: Tensor, dropout_p: float = 0.0) -> Tensor:
    """What ``scaled_dot_product_attention`` takes on a GPU."""
    if q.dtype == torch.float32:
        return torch.ops.aten._scaled_dot_product_efficient_attention(
            q, k, v, None, torch.is_grad_enabled(), dropout_p)[0]
    return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, dropout_p)[0]


class GPUAutocast(TorchFunctionMode):
    """torch's autocast for CUDA, for the operations of this package's networks: which of them take ``dtype``,
    which float32, and that a trained weight is cast once while the block lasts. None: attention alone."""

    def __init__(self, dtype: torch.dtype | None):
        super().__init__()
        self.dtype, self.cache = dtype, {}

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        dtype = self.dtype if func in LOWER else torch.float32 if func in HIGHER else None
        if self.dtype is not None and dtype is not None:
            args = tuple(self._cast(arg, dtype) for arg in args)
            kwargs = {key: self._cast(value, dtype) for key, value in kwargs.items()}
        if func is F.scaled_dot_product_attention:
            func = fused_attention
        return func(*args, **kwargs)

    def _cast(self, value: Any, dtype: torch.dtype) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.dtype == dtype:
            return value
        if not (value.is_leaf and value.requires_grad and dtype != torch.float32):
            return value.to(dtype)
        if id(value) not in self.cache:
            self.cache[id(value)] = value, value.to(dtype)
        return self.cache[id(value)][1]


class KernelCounter(TorchDispatchMode):
    """Kernels on the meta device, by part of the step and kind."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[tuple[str, str]] = Counter()
        self._part = 'the rest'

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Inside the block, kernels are those of a part."""
        before, self._part = self._part, name
        try:
            yield
        finally:
            self._part = before

    def by_kind(self) -> Counter[str]:
        return self._summed(1)

    def by_part(self) -> Counter[str]:
        return self._summed(0)

    def _summed(self, place: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for key, count in self.counts.items():
            found[key[place]] += count
        return found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, func._schema.name.removeprefix('aten::')
        if is_composite(func) and not name.startswith('upsample'):
            with self:  # in inference mode it comes as a whole
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        used = next((one for one in tree_leaves((out, args)) if isinstance(one, Tensor)), None)
        if used is not None and used.device.type == META and not func.is_view and name not in NO_KERNELS:
            self.counts[self._part, kind_of(name, args, out)] += LAUNCHES.get(name, 1)
        return out


def is_composite(func: Any) -> bool:
    """Whether an operation consists of others, in inference mode too."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), 'CompositeImplicitAutograd')


def kind_of(name: str, args: Any, out: Any) -> str:
    if name in ('_to_copy', 'copy_', 'clone'):
        source = args[1] if name == 'copy_' else args[0]
        if source.device.type != META:
            return 'upload'
        return 'copy' if out.dtype == source.dtype else 'cast'
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)),
                'element-wise and others')


@contextmanager
def as_on_a_gpu(amp: str | None) -> Iterator[None]:
    """Inside the block, networks on the meta device compute in the precision ``amp``."""
    def autocast(self: EncoderDecoder, img: Tensor) -> Any:
        return nullcontext() if modes else entered()

    @contextmanager
    def entered() -> Iterator[None]:
        modes.append(GPUAutocast(DTYPES[amp] if amp else None))
        with modes[0]:
            yield
        modes.clear()

    modes: list[GPUAutocast] = []
    with patch.object(EncoderDecoder, '_autocast', autocast):
        yield


def count_step(args: argparse.Namespace) -> KernelCounter:
    """The kernels of a step, the second one.

    Args:
        args: of benchmarks.train_step; without its device.
    """
    side = make_side(argparse.Namespace(**{**vars(args), 'device': META}), 'ours')
    counter = KernelCounter()
    for optimizer in side.optimizers:
        optimizer.step = lambda groups=optimizer.param_groups: counter.counts.update(
            {('optimizer', 'foreach'): len(groups)})  # fused, which torch does not do on this device
    with as_on_a_gpu(args.amp):
        side.run(0)
        counter.counts.clear()
        with counter, parts_inside(side, counter.part):
            side.run(1)
    return counter


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    counter = count_step(args)
    figures = dict(all=sum(counter.counts.values()), kinds=counter.by_kind(), parts=counter.by_part())
    print(f"{figures['all']} kernels")
    for title in ('kinds', 'parts'):
        print(f'by {title}: ' + ', '.join(f'{name} {count}' for name, count in figures[title].most_common()))
    if args.json:
        write_json(args.json, figures)


if __name__ == '__main__':
    main()
