"""From a batch of images to class maps that stay on the device, in the precision that is asked for."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.uda import UDADecorator
from mmseg.utils import UserError

PRECISIONS = {'bfloat16': torch.bfloat16, 'float16': torch.float16}
OVERRIDABLE = ('forward', 'forward_test', 'simple_test', 'aug_test')


@contextlib.contextmanager
def reduced_precision(model: nn.Module, device: torch.device | str, amp: str | None) -> Iterator[None]:
    """Inside the block, networks run under autocast; the logits leave their decode heads as float32, so
    that enlarging and comparing them loses nothing more.

    Args:
        model: a network or what holds one.
        device: where it runs.
        amp: 'bfloat16', 'float16', or None for float32.

    Raises:
        UserError: another name.
    """
    if amp is None:
        yield
        return
    if amp not in PRECISIONS:
        raise UserError(f"amp is '{amp}', expected {' or '.join(PRECISIONS)}")
    heads = [module.decode_head for module in model.modules() if isinstance(module, EncoderDecoder)]
    hooks = [head.register_forward_hook(lambda *args: args[-1].float()) for head in heads]
    try:
        with torch.autocast(torch.device(device).type, PRECISIONS[amp]):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def class_maps(model: nn.Module, img: Sequence[Tensor], img_metas: Sequence[Sequence[dict]],
               **more: Any) -> Sequence[Tensor | np.ndarray]:
    """Predicted class ids at the images' original size, one map (H W) an image.

    Those of an :class:`EncoderDecoder` are int64 tensors on its device, where they can be counted. A
    network that predicts in a way of its own is called as ``model(return_loss=False, ...)``.

    Args:
        model: the network, or a UDA method around it.
        img: (B 3 H W) for each augmentation.
        img_metas: B dicts for each augmentation.
    """
    network = model.get_model() if isinstance(model, UDADecorator) else model
    if more or not isinstance(network, EncoderDecoder) or any(
            getattr(type(network), name) is not getattr(EncoderDecoder, name) for name in OVERRIDABLE):
        return model(return_loss=False, img=img, img_metas=img_metas, **more)
    if len(img) == 1:
        return network.inference_logits(img[0], img_metas[0], True).argmax(dim=1)
    return sum(network.inference(one, metas, True) for one, metas in zip(img, img_metas)).argmax(dim=1)
