"""The parts of the self-training step, each against its formula in docs/method.md."""
from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from kornia.augmentation import ColorJitter
from kornia.filters import gaussian_blur2d
from mmcv.cnn.bricks.drop import DropPath as DropPathOfMMCV
from timm.layers import DropPath as DropPathOfTimm
from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torchvision.ops import StochasticDepth
from uda_models import META, THINGS, network, uda_model

from mmseg.models.losses.feature_distance_loss import (
    FeatureDistanceLoss,
    downscale_label,
    feature_distance,
)
from mmseg.models.uda.parts.ema_teacher import teacher_mode, update_teacher
from mmseg.models.uda.parts.pseudo_label import pixel_weight, pseudo_label
from mmseg.models.uda.parts.strong_augment import (
    StrongAugmentation,
    apply_jitter,
    blur_kernel_size,
    color_jitter,
    draw_jitter,
    gaussian_blur,
)
from mmseg.models.utils.drop_path import DropPath
from mmseg.utils import UserError

# ------------------------------------------------------------------- teacher


@pytest.mark.parametrize('step, alpha_t', [(0, 0.0), (1, 0.5), (2, 2 / 3), (998, 998 / 999), (5000, 0.999)])
def test_average_of_the_teacher(step, alpha_t):
    """α_t = min(1 − 1/(t + 1), α)"""
    teacher, student = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    nn.init.constant_(teacher.weight, 10.0)
    nn.init.constant_(student.weight, 20.0)
    student.running_mean.fill_(7.0)
    assert update_teacher(teacher, student, step, alpha=0.999) == pytest.approx(alpha_t, abs=1e-6)
    assert float(teacher.weight.detach()) == pytest.approx(10 * alpha_t + 20 * (1 - alpha_t), rel=1e-5)
    assert float(teacher.running_mean) == 0, "buffers are the teacher's own"
    assert float(student.weight.detach()) == 20


@pytest.mark.parametrize('call', ['fresh', 'after eval'])
def test_teacher_is_in_train_mode_without_noise(call):
    cfg = network(dropout_ratio=0.5)
    cfg['backbone'].update(drop_path_rate=0.3, drop_rate=0.2)
    model = uda_model(cfg, imnet_feature_dist_lambda=1.0)
    if call == 'after eval':
        model.eval()
        model.train()
    teacher = model.get_ema_model()
    noise = [m for m in teacher.modules() if isinstance(m, (_DropoutNd, DropPath))]
    assert {type(m).__name__ for m in noise} == {'DropPath', 'Dropout', 'Dropout2d'}
    assert not any(m.training for m in noise)
    assert all(m.training for m in teacher.modules() if isinstance(m, nn.BatchNorm2d))
    assert not any(m.training for m in model.get_imnet_model().modules())
    assert all(m.training for m in model.get_model().modules())
    assert not any(p.requires_grad for p in [*teacher.parameters(), *model.get_imnet_model().parameters()])


def test_noise_of_any_library_is_switched_off():
    class Own(StochasticDepth):
        pass

    noise = [nn.Dropout(0.5), DropPath(0.5), StochasticDepth(0.5, 'row'), Own(0.5, 'row'),
             DropPathOfTimm(0.5), DropPathOfMMCV(0.5)]
    teacher = nn.Sequential(*noise, nn.BatchNorm2d(3)).eval()
    teacher_mode(teacher)
    assert [module.training for module in teacher] == [False] * len(noise) + [True]


# -------------------------------------------------------------- pseudo-labels


def test_one_weight_for_the_whole_batch():
    """Two classes, logit z of the first: p = 1/(1 + e^−z). Of 8 pixels 3 have p ≥ 0.9, |z| ≥ ln 9; a pixel
    exactly at the threshold counts."""
    z = torch.tensor([[5.0, 1.0, 0.0, -4.0], [3.0, 2.0, -1.0, 0.5]])
    logits = torch.stack([z, torch.zeros_like(z)], dim=1).unsqueeze(2)
    label, quality = pseudo_label(logits, 0.9)
    assert label.squeeze(1).tolist() == [[0, 0, 0, 1], [0, 0, 1, 0]]
    assert float(quality) == 3 / 8
    certain = torch.tensor([200.0, 0.0]).view(1, 2, 1, 1)
    assert float(pseudo_label(certain, 1.0)[1]) == 1


@pytest.mark.parametrize('top, bottom, rows', [
    (0, 0, [1, 1, 1, 1, 1]), (2, 1, [0, 0, 1, 1, 0]), (3, 4, [0, 0, 0, 0, 0])])
def test_rows_without_weight(top, bottom, rows):
    weight = pixel_weight(torch.tensor(0.25), torch.Size((2, 5, 3)), top, bottom)
    assert weight.shape == (2, 5, 3)
    assert weight[1, :, 2].tolist() == [0.25 * row for row in rows]


# ------------------------------------------------------------ feature distance


def cell_label(*shares: tuple[int, int]) -> torch.Tensor:
    """A label of one 8×8 cell: (class, number of pixels) one after another."""
    pixels = [c for c, count in shares for _ in range(count)]
    return torch.tensor(pixels).view(1, 1, 8, 8)


@pytest.mark.parametrize('shares, cell', [
    ([(13, 48), (0, 16)], 13),    # 48/64 = 0.75 is enough
    ([(13, 47), (0, 17)], 255),
    ([(255, 64)], 255),
    ([(255, 60), (13, 4)], 255),  # ignored pixels are one more class
    ([(13, 48), (255, 16)], 13),
])
def test_share_of_a_cell(shares, cell):
    assert downscale_label(cell_label(*shares), (1, 1), 19, 0.75).item() == cell


def test_mean_distance_over_things():
    """Of three cells car, road, ignored only the car's counts: √(3² + 4²) = 5."""
    label = torch.cat([cell_label((c, 64)) for c in (13, 0, 255)], dim=3)
    student = torch.tensor([[3.0, 9.0, 9.0], [4.0, 9.0, 9.0]]).view(1, 2, 1, 3)
    zero = torch.zeros_like(student)
    assert float(FeatureDistanceLoss(THINGS, 0.75, 19, 255)(student, zero, label)) == 5
    of_all = (5 + 2 * math.hypot(9, 9)) / 3
    assert float(FeatureDistanceLoss(None, None, 19, 255)(student, zero, label)) == pytest.approx(of_all)


@pytest.mark.parametrize('label', [0, 255])
def test_distance_without_things_is_zero(label):
    student = torch.ones(1, 2, 1, 1).requires_grad_()
    distance = FeatureDistanceLoss(THINGS, 0.75, 19, 255)(
        student, torch.zeros(1, 2, 1, 1), cell_label((label, 64)))
    distance.backward()
    assert float(distance.detach()) == 0
    assert student.grad.tolist() == torch.zeros(1, 2, 1, 1).tolist()


def test_gradient_at_distance_zero_is_finite():
    """The first step: student and ImageNet encoder are equal."""
    student = torch.ones(1, 2, 2, 2).requires_grad_()
    feature_distance(student, torch.ones(1, 2, 2, 2)).backward()
    assert student.grad.abs().sum() == 0


def test_thing_classes_need_a_share():
    with pytest.raises(UserError, match='imnet_feature_dist_scale_min_ratio'):
        uda_model(imnet_feature_dist_lambda=1.0, imnet_feature_dist_classes=THINGS)


# -------------------------------------------------------- strong augmentation


def test_order_of_the_draws():
    random.seed(5)
    first, second = random.random(), random.random()
    random.seed(5)
    drawn = StrongAugmentation.draw(blur=True, jitter_threshold=0.2, strength=0.2)
    assert (drawn.jitter, drawn.blur) == (first, second)
    random.seed(5)
    assert StrongAugmentation.draw(blur=False, jitter_threshold=0.2, strength=0.2).blur == 0
    assert random.random() == second, 'without blur only one number is drawn'


@pytest.fixture
def photo():
    """Two normalised images of pixels in [0, 1]."""
    mean, std = (torch.tensor(META['img_norm_cfg'][key]).view(1, 3, 1, 1) / 255 for key in ('mean', 'std'))
    pixels = torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    return (pixels - mean) / std


@pytest.mark.parametrize('jitter, blur, jitters, blurs', [
    (0.2, 0.5, False, False), (0.21, 0.5, True, False), (0.2, 0.51, False, True), (0.9, 0.9, True, True)])
def test_what_fires(photo, monkeypatch, jitter, blur, jitters, blurs):
    """u > p: at 0.2 exactly the jitter stays away, so a "probability" of 0.2 fires on 80 % of the steps."""
    called = []
    for name in ('color_jitter', 'gaussian_blur'):
        monkeypatch.setattr(f'mmseg.models.uda.parts.strong_augment.{name}',
                            lambda img, value, *_, name=name: called.append((name, value)) or img)
    np.random.seed(1)
    out = StrongAugmentation(jitter, blur, 0.2, 0.3)(photo, [META] * 2)
    torch.testing.assert_close(out, photo)
    assert [value for name, value in called if name == 'color_jitter'] == [0.3, 0.3][:2 * jitters]
    np.random.seed(1)
    sigmas = [np.random.uniform(0.15, 1.15) for _ in range(2)]
    assert [value for name, value in called if name == 'gaussian_blur'] == sigmas[:2 * blurs]


def test_jitter_sees_pixels_between_zero_and_one(photo, monkeypatch):
    seen = []
    monkeypatch.setattr('mmseg.models.uda.parts.strong_augment.color_jitter',
                        lambda img, *_: seen.append(img) or img)
    StrongAugmentation(1.0, 0.0, 0.2, 0.2)(photo, [META] * 2)
    assert len(seen) == 2
    for image in seen:
        assert -1e-6 <= float(image.min()) < 0.1 < 0.9 < float(image.max()) <= 1 + 1e-6


def test_jitter_is_as_strong_in_all_four_ways(monkeypatch):
    seen = []

    def jitter(brightness, contrast, saturation, hue):
        seen.append((brightness, contrast, saturation, hue))
        return ColorJitter(brightness, contrast, saturation, hue)

    monkeypatch.setattr('kornia.augmentation.ColorJitter', jitter)
    color_jitter(torch.rand(1, 3, 4, 4), 0.2)
    assert seen == [(0.2, 0.2, 0.2, 0.2)]


@pytest.mark.parametrize('seed', range(6))
def test_jitter_is_that_of_kornia(seed):
    """Its draws, and its order of the four steps."""
    pixels = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    peer = ColorJitter(0.5, 0.5, 0.5, 0.25)(pixels)
    torch.manual_seed(seed)
    ours = color_jitter(pixels, dict(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.25))
    torch.testing.assert_close(ours, peer)


def test_the_application_of_a_jitter_is_one_graph():
    """``fullgraph`` refuses a break."""
    pixels = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    factors, order = draw_jitter(pixels, 0.2)
    torch._dynamo.reset()
    found = torch.compile(apply_jitter, backend='eager', fullgraph=True)(pixels, factors, order)
    torch.manual_seed(0)
    assert torch.equal(found, color_jitter(pixels, 0.2))


def test_blur_is_that_of_kornia():
    pixels = torch.rand(1, 3, 30, 50, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(gaussian_blur(pixels, 0.9), gaussian_blur2d(pixels, (3, 5), (0.9, 0.9)))


def test_jitter_keeps_shape_and_range():
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, 16, 24)
    out = color_jitter(pixels, 0.2)
    assert out.shape == pixels.shape
    assert float(out.min()) >= 0 and float(out.max()) <= 1
    assert float((out - pixels).abs().mean()) > 1e-3


@pytest.mark.parametrize('side, size', [
    (512, 51),  # ⌈51.2⌉ = 52, even: ⌊52 − 0.5⌋
    (500, 50 - 1),  # ⌈50⌉ = 50, even
    (510, 51),  # ⌈51⌉ = 51, odd: ⌊51 − 0.5 + 1⌋
    (128, 13), (101, 11), (11, 1), (9, 1)])
def test_kernel_of_the_blur(side, size):
    assert blur_kernel_size(side) == size


def test_blur_averages_with_normal_weights():
    """A point of light in a wide image of height 9 spreads along the width alone: kernel 1 × 5."""
    point = torch.zeros(1, 3, 9, 60)
    point[..., 4, 30] = 1.0
    kernel = np.exp(-np.arange(-2, 3) ** 2 / (2 * 0.8 ** 2))
    assert blur_kernel_size(60) == 5
    out = gaussian_blur(point, 0.8)
    np.testing.assert_allclose(out[0, 1, 4, 28:33].numpy(), kernel / kernel.sum(), rtol=1e-5)
    assert float(out.sum()) == pytest.approx(3)
