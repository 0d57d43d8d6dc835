"""Prototypes: one feature vector a class (ProDA: Zhang et al., CVPR 2021, section 3.1; microsoft/ProDA)."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.core.method import TargetImages
from mmseg.utils import DataError
from mmseg.utils.distributed import world
from mmseg.utils.ranges import check_range

from .quarter import classified


def class_means(features: Tensor, prediction: Tensor, label: Tensor | None = None,
                num_classes: int = 19, min_pixels: int = 10) -> tuple[Tensor, Tensor]:
    """Mean feature of each class of each image, over the pixels that are predicted as this class.

    Args:
        features: (B D h w).
        prediction: predicted class ids (B h w), int64, all below ``num_classes``.
        label: true class ids (B h w), int64, of the source; then both have to agree.
        min_pixels: a class with fewer pixels in an image is left out of it.

    Returns:
        means (B C D) float32, 0 for a class that is left out, and which classes are there, (B C) bool.

    Raises:
        DataError: the maps are not of one size.
    """
    if features.shape[-2:] != prediction.shape[-2:]:
        raise DataError(f'features of {tuple(features.shape[-2:])} pixels and predictions of '
                        f'{tuple(prediction.shape[-2:])}, expected one size')
    members = F.one_hot(prediction, num_classes)
    if label is not None:
        members = members * (prediction == label).unsqueeze(-1)
    members = members.flatten(1, 2).float()
    count = members.sum(dim=1)
    present = count >= max(min_pixels, 1)
    total = torch.bmm(members.transpose(1, 2), features.float().flatten(2).transpose(1, 2))
    means = total / count.clamp(min=1).unsqueeze(-1)
    return means * present.unsqueeze(-1), present


@torch.no_grad()
def means_of_images(network: nn.Module, target: TargetImages, num_classes: int) -> tuple[Tensor, Tensor]:
    """``class_means`` of many images, from what a network in eval mode predicts of them at its own
    resolution: means (N C D) and which are there (N C). Several processes share the images, and all get all.
    """
    classifier = network.decode_head.conv_seg.weight
    means = torch.zeros(target.count, num_classes, classifier.shape[1], device=classifier.device)
    present = torch.zeros(target.count, num_classes, device=classifier.device)
    for place, img in target.images:
        output, features = classified(network, network, img)
        of_one = class_means(features, output.prediction.coarse.argmax(dim=1), num_classes=num_classes)
        means[place], present[place] = of_one[0][0], of_one[1][0]
    if world()[1] > 1:
        for x in (means, present):  # an image is one process's, so nothing is added to it
            torch.distributed.all_reduce(x)
    return means, present > 0


class Prototypes(nn.Module):
    """ρ_c of every class, with the two ways of updating them, and the distance of features to them.

    They are buffers: no gradient reaches them, and checkpoints keep them.

    Args:
        num_classes: C.
        channels: D, of the features.
        momentum: λ of the moving average; 1e-4 is the authors'.
        max_count: cap of the counts, beyond which the running mean becomes a moving average.
    """

    def __init__(self, num_classes: int = 19, channels: int = 256, momentum: float = 1e-4,
                 max_count: int = 3000):
        super().__init__()
        check_range(momentum, 'prototypes: momentum', 0, 1)
        check_range(max_count, 'prototypes: max_count', 1)
        self.momentum, self.max_count = momentum, max_count
        self.register_buffer('vectors', torch.zeros(num_classes, channels))
        self.register_buffer('counts', torch.zeros(num_classes))

    @torch.no_grad()
    def move(self, means: Tensor, present: Tensor) -> None:
        """ρ_c ← (1 − λ)·ρ_c + λ·mean, image after image; arguments as ``class_means`` returns them."""
        for mean, there in zip(means, present):
            self._replace(torch.lerp(self.vectors, mean, self.momentum), there)

    @torch.no_grad()
    def average(self, means: Tensor, present: Tensor) -> None:
        """ρ_c ← (n_c·ρ_c + mean) / (n_c + 1) with n_c ≤ ``max_count``, image after image."""
        for mean, there in zip(means, present):
            self._replace(self.vectors + (mean - self.vectors) / (self.counts + 1).unsqueeze(1), there)

    def _replace(self, vectors: Tensor, there: Tensor) -> None:
        self.vectors.copy_(torch.where(there.unsqueeze(1), vectors, self.vectors))
        self.counts.add_(there.float()).clamp_(max=self.max_count)

    def distance(self, features: Tensor) -> Tensor:
        """‖f − ρ_c‖₂ of features (B D h w) to every prototype: (B C h w), float32, with gradient."""
        batch, channels, height, width = features.shape
        pixels = features.float().permute(0, 2, 3, 1).reshape(-1, channels)
        # not as a matrix product, which loses the digits of small distances
        distance = torch.cdist(pixels, self.vectors, compute_mode='donot_use_mm_for_euclid_dist')
        return distance.view(batch, height, width, -1).permute(0, 3, 1, 2).contiguous()
