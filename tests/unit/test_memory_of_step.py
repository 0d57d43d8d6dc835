"""The released training fits on a small card: bytes of live tensors, counted on torch's "meta" device, whose
tensors have sizes and no values. Workspaces and the context of a device come on top."""
from __future__ import annotations

import weakref
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from mmseg.models.builder import build_loss, build_segmentor
from mmseg.models.losses.supervision import regularise, supervise
from mmseg.utils.config import load_config

CONFIG = Path(__file__).resolve().parents[2] / 'configs/ebda/cs2acdc_ebda_daformer_mitb5_s0.py'
GIB = 2 ** 30


class LiveBytes(TorchDispatchMode):
    """Counts the storages that exist, and the most there were."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def add(self, *values) -> None:
        for value in values:
            if isinstance(value, torch.Tensor) and value.device.type == 'meta':
                storage = value.untyped_storage()
                if storage._cdata not in self.known:
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


def peak_of_step(size: int, images: int, with_cp: bool) -> float:
    """GiB, at the pass of the mixture: the student's, with its gradients of the source and, from the second
    step on, AdamW's two averages of them; beside it are the teacher and the ImageNet encoder."""
    cfg = load_config(CONFIG, {'model.pretrained': None, 'model.backbone.with_cp': with_cp})
    with torch.device('meta'):
        student = build_segmentor(cfg.model).train()
        img, label = torch.empty(images, 3, size, size), torch.empty(images, 1, size, size, dtype=torch.int64)
        weight = torch.empty(images, size, size)
    params = list(student.parameters())
    for p in params:
        p.grad = torch.empty_like(p)
    others = [torch.empty_like(p) for p in params for _ in range(4)]
    live = LiveBytes()
    live.add(*params, *student.buffers(), *others, *(p.grad for p in params))
    with live:
        [output] = student(img)
        terms = supervise(output, label, weight) + regularise([build_loss(cfg.uda.entropy_balance)], output)
        terms.total().backward()
    return live.peak / GIB


def checkpoints_on_meta() -> bool:
    try:
        with torch.random.fork_rng(devices=[0], device_type='meta'):
            return True
    except RuntimeError:
        return False


@pytest.mark.skipif(not checkpoints_on_meta(), reason='this torch has no random states on the meta device')
def test_mit_b5_at_512_in_batches_of_two_fits_in_eight_gigabytes():
    """And a gigabyte is left for what is not counted. Three networks, gradients and averages are six times
    85 million numbers of four bytes."""
    assert 6 * 85e6 * 4 / GIB < peak_of_step(512, 2, with_cp=True) < 8e9 / GIB - 1
