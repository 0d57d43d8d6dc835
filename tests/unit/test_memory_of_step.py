"""The released training fits on a small card: bytes of live tensors, counted on torch's "meta" device, whose
tensors have sizes and no values. Workspaces and the context of a device come on top."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.live_memory import GIB, LiveBytes
from mmseg.models.builder import build_loss, build_segmentor
from mmseg.models.losses.supervision import regularise, supervise
from mmseg.utils.config import load_config

CONFIG = Path(__file__).resolve().parents[2] / 'configs/ebda/cs2acdc_ebda_daformer_mitb5_s0.py'


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
