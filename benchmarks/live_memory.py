"""Count the bytes of live tensors in a training step, by pass, without a GPU and without computing anything.

    python -m benchmarks.live_memory --method mic_hrda --size 1024 --batch 2 --with-cp --amp bfloat16

Tensors are fake ones of the CPU, with sizes and types but no values, so images are not augmented, which needs
random factors. Workspaces of libraries and the context of a GPU come on top; attention is counted as fused.
"""
from __future__ import annotations

import argparse
import weakref
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.checkpoint import checkpoint

from benchmarks.methods import METHODS, make_batch, make_config, make_method
from mmseg.core.method import Method
from mmseg.engine.precision import prepare_networks

GIB = 2 ** 30
AVERAGES = 2  # of AdamW, each as large as the gradients


class LiveBytes(TorchDispatchMode):
    """Counts the storages that exist, and the most there were."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def add(self, *values: Any) -> None:
        for value in values:
            if isinstance(value, torch.Tensor) and value.untyped_storage()._cdata not in self.known:
                storage = value.untyped_storage()
                self.known.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.now)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.add(*tree_flatten(out)[0])
        return out


def count(method: Method, batch: dict[str, Any]) -> dict[str, float]:
    """GiB at the peak of each pass of a later step, by its number, and 'state' of what always exists."""
    trained = [p for names in method.trainable().values() for name in names
               for p in method.networks()[name].parameters() if p.requires_grad]
    averages = [torch.empty_like(p) for p in trained for _ in range(AVERAGES)]
    for parameter in trained:
        parameter.grad = torch.empty_like(parameter)
    live = LiveBytes()
    live.add(*method.state_dict().values(), *averages, *(p.grad for p in trained), *batch.values())
    found = {'state': live.now / GIB}
    for number, one in enumerate(method.passes(batch)):
        live.peak = live.now
        with live, method.during(one, one.trains):
            one.compute().total().backward()
        found[f'pass {number + 1}'] = live.peak / GIB
    return found


def _without_random_state(function, *args, **kwargs):
    """Fake tensors have no random state that could be kept."""
    return checkpoint(function, *args, **{**kwargs, 'preserve_rng_state': False})


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--backbone', default='mit_b5')
    parser.add_argument('--method', choices=list(METHODS), default='ebda')
    parser.add_argument('--size', type=int, default=512, help='side of the crop, pixels')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--with-cp', action='store_true', help='recompute activations')
    parser.add_argument('--joint-encoder', action='store_true')
    parser.add_argument('--amp', choices=['bfloat16', 'float16'])
    args = parser.parse_args(argv, argparse.Namespace(compile=False, tf32=False, device='cpu'))
    cfg = make_config(args)
    if cfg.uda and cfg.uda['type'] == 'DACS':
        cfg.uda.update(blur=False, color_jitter_probability=1.0)  # the latter never fires
        if cfg.uda.get('masked'):
            cfg.uda.masked['blur'] = False
    method = make_method(cfg, 'meta')
    prepare_networks(method, cfg)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, \
            mock.patch('torch.__future__.get_overwrite_module_params_on_conversion', lambda: True), \
            mock.patch('mmseg.models.backbones.mix_transformer.checkpoint', _without_random_state):
        method.to_empty(device='cpu')
        batch = {key: fake.from_tensor(value) if isinstance(value, torch.Tensor) else value
                 for key, value in make_batch(args, 0).items()}
        for name, value in count(method, batch).items():
            print(f'{name:8} {value:6.2f} GiB')


if __name__ == '__main__':
    main()
