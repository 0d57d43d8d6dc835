"""Focal loss of the static classes (DANNet: Wu et al., CVPR 2021, eq. 8; W-zx-Y/DANNet)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils import ConfigError
from mmseg.utils.ranges import check_range

from ..builder import LOSSES

EPSILON = 1e-7
# (rows, columns) by which the authors move the labels, one after the other
SHIFTS = ((-1, 0), (1, 0), (0, 1), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))


def shifted_label(label: Tensor) -> Tensor:
    """What the authors' eight moves leave of labels (B H W).

    They mean eight copies, one for each neighbour, but all are one tensor that is moved in place, and what a
    move pushes over a border is lost. Interior pixels return to their place; a few at the borders change.
    In their code the moves also read pixels that they are overwriting, in an order that depends on the
    machine; that race is left out here: each move reads the labels before it.
    """
    for rows, columns in SHIFTS:
        moved = label.clone()
        moved[:, _window(rows), _window(columns)] = label[:, _window(-rows), _window(-columns)]
        label = moved
    return label


def _window(step: int) -> slice:
    return {-1: slice(None, -1), 0: slice(None), 1: slice(1, None)}[step]


@LOSSES.register_module()
class StaticLoss(nn.Module):
    """L = −(1 − q)^γ·ln q, mean over valid pixels, with q = w_c·p_c of the label's class c and p the softmax
    over the static classes alone. q is held in [1e-7, 1 − 1e-7].

    Args:
        class_weight: w_c of the static classes, the first ones of the network; their number is how many
            there are.
        gamma: γ, focusing.
        eight_neighbours: q is the largest among the classes of the pixel and of its eight neighbours, as in
            the paper; ignored neighbours do not count. False is what the authors' code computes: the
            pixel's own class, of ``shifted_label``.
        loss_weight: which the caller applies; ``forward`` does not.
        loss_name: name in the log.
    """

    def __init__(self, class_weight: Sequence[float] | Tensor, gamma: float = 1.0,
                 eight_neighbours: bool = False, loss_weight: float = 1.0, loss_name: str = 'static'):
        super().__init__()
        if not len(class_weight):
            raise ConfigError('StaticLoss: class_weight is empty, expected one factor for each static class')
        check_range(gamma, 'StaticLoss: gamma', 0)
        check_range(loss_weight, 'StaticLoss: loss_weight', 0)
        self.gamma, self.eight_neighbours = gamma, eight_neighbours
        self.loss_weight, self.loss_name = loss_weight, loss_name
        weight = class_weight if isinstance(class_weight, Tensor) else torch.tensor(list(class_weight))
        self.register_buffer('class_weight', weight.float().clone(), persistent=False)

    def forward(self, logits: Tensor, label: Tensor, ignore_index: int = 255) -> Tensor:
        """Unweighted loss, 0-dim; 0 if no pixel is valid.

        Args:
            logits: (B C H W); of the C channels the static ones come first, the others are left out.
            label: class ids (B H W), int64; classes that are not static are ignored.
        """
        static = len(self.class_weight)
        ignored = (label == ignore_index) | (label >= static)
        label = label.masked_fill(ignored, static)
        if not self.eight_neighbours:
            label = shifted_label(label)
        wanted = F.one_hot(label, static + 1).permute(0, 3, 1, 2)[:, :static].float()
        if self.eight_neighbours:
            wanted = F.max_pool2d(wanted, 3, stride=1, padding=1)
        prob = torch.softmax(logits[:, :static].float(), dim=1) * self.class_weight.view(1, -1, 1, 1)
        confidence = (prob * wanted).amax(dim=1).clamp(EPSILON, 1 - EPSILON)
        valid = label != static
        loss = -(1 - confidence) ** self.gamma * confidence.log()
        return (loss * valid).sum() / valid.sum().clamp(min=1)
