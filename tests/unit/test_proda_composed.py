"""ProDA's pieces put together make its authors' training steps: warm-up, stages 1 and 2, two steps each."""
from __future__ import annotations

import golden
import pytest
import torch
import torch.nn.functional as F
from method_recipe import ToyFeat, assert_agree, probabilities, sample, stack, up

from mmseg.models.losses import (
    AdversarialLoss,
    ConfidenceRegularizationLoss,
    CrossEntropyLoss,
    DistillationLoss,
    PrototypeConsistencyLoss,
    ReverseCrossEntropyLoss,
)
from mmseg.models.uda.parts.discriminator import build_discriminator
from mmseg.models.uda.parts.prototypes import Prototypes, class_means
from mmseg.models.uda.parts.rectification import rectified_label
from mmseg.models.uda.parts.strong_view import StrongView, warp_distances
from mmseg.models.uda.parts.weak_view import WeakView, weak_views

SEED = 4000
WHOLE = 1e-3
CROP = (64, 96)
QUARTER = (16, 24)
WEAK = [WeakView((136, 272), (16, 32), CROP, False), WeakView((120, 240), (8, 60), CROP, True)]
STRONG = [StrongView(CROP, True, cutout=(8, 40, 12, 44)), StrongView(CROP, cutout=(40, 60, 4, 30))]
cross_entropy = CrossEntropyLoss(avg_non_ignore=True)


@pytest.fixture(scope='module')
def values():
    return golden.load('golden_proda.npz')


def image(offset: int, height: int = 64, width: int = 96) -> torch.Tensor:
    return golden.image(SEED + offset, 2, height, width)


def sgd(model: ToyFeat, head: float = 1.0) -> torch.optim.SGD:
    groups = [dict(params=model.body.parameters()), dict(params=model.head.parameters(), lr=0.01 * head)]
    return torch.optim.SGD(groups, lr=0.01, momentum=0.9, weight_decay=2e-4)


def source_loss(student: ToyFeat, step: int) -> torch.Tensor:
    label = golden.label(SEED + 610 + step, 2, *CROP).squeeze(1)
    return cross_entropy(up(student(image(600 + step))['out'], *CROP), label)


def assert_parameters(values: dict, prefix: str, model: torch.nn.Module) -> None:
    names = [key for key in values if key.startswith(prefix)]
    assert names
    for key in names:
        assert_agree(model.state_dict()[key[len(prefix):]].flatten()[:64], values[key], WHOLE)


def test_discriminator(values):
    with torch.no_grad():
        answer = golden.fill(build_discriminator(dict(kind='proda'), 19))(
            probabilities(SEED + 720, 2, 19, *CROP))
    assert_agree(answer, values['warmup/discriminator_out'])


def test_warm_up(values):
    student, discriminator = ToyFeat(), golden.fill(build_discriminator(dict(kind='proda'), 19))
    optimizer = sgd(student, head=10)
    adversary = torch.optim.Adam(discriminator.parameters(), lr=1e-4, betas=(0.9, 0.99))
    loss = AdversarialLoss('mse')
    for step in range(2):
        source = up(student(image(600 + step))['out'], *CROP)
        target = up(student(image(620 + step))['out'], *CROP)
        supervised = cross_entropy(source, golden.label(SEED + 610 + step, 2, *CROP).squeeze(1))
        adversarial = 0.01 * loss(discriminator(target.softmax(1)), 0)
        optimizer.zero_grad()
        (supervised + adversarial).backward()
        optimizer.step()
        adversary.zero_grad()
        told_apart = (loss(discriminator(source.detach().softmax(1)), 0)
                      + loss(discriminator(target.detach().softmax(1)), 1))
        told_apart.backward()
        adversary.step()
        for name, value in dict(source=supervised, adv=adversarial, D=told_apart).items():
            assert_agree(value, values[f'warmup/step{step}/{name}'], WHOLE)
    assert_parameters(values, 'warmup/after/', student)
    assert_parameters(values, 'warmup/after_D/', discriminator)


def stage_1_target(student: ToyFeat, teacher: ToyFeat, prototypes: Prototypes, step: int) -> tuple:
    """Losses of the weak and of the strong view, and the class means that the prototypes then move to."""
    with torch.no_grad():
        full = {name: up(x, 32, 64) for name, x in teacher(image(640 + step, 128, 256)).items()}
        distance = prototypes.distance(weak_views(full['feat'], WEAK))
        soft = up(probabilities(SEED + 650 + 10 * step, 2, 19, *CROP), *QUARTER)
        label, _ = rectified_label(soft, distance)
        warped, valid = warp_distances(distance, STRONG)
    weak = up(student(image(620 + step))['out'], *QUARTER)
    strong = up(student(image(630 + step))['feat'], *QUARTER)
    labelled = (0.1 * cross_entropy(weak, label) + ReverseCrossEntropyLoss()(weak, label)
                + 0.1 * ConfidenceRegularizationLoss()(weak))
    consistency = PrototypeConsistencyLoss()(prototypes.distance(strong), warped, valid)
    return labelled, consistency, class_means(full['feat'], full['out'].argmax(1))


def test_stage_1(values):
    """The prototypes move after the step's losses, by the teacher's maps of the full image at 1/4."""
    student, teacher, prototypes = ToyFeat(), ToyFeat(), Prototypes(momentum=0.01)
    base = stack(SEED + 900, 1, 256, 8, 8)[0, :, 0, 0]
    prototypes.vectors.copy_(base + 0.7 * stack(SEED + 1000, 19, 256, 8, 8)[:, :, 0, 0])
    optimizer = sgd(student)
    for step in range(2):
        labelled, consistency, means = stage_1_target(student, teacher, prototypes, step)
        total = labelled + 10 * consistency
        optimizer.zero_grad()
        (source_loss(student, step) + total).backward()
        optimizer.step()
        prototypes.move(*means)
        with torch.no_grad():
            torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1e-3)
        for name, value in dict(total=total, cts=labelled, consist=consistency).items():
            assert_agree(value, values[f'stage1/step{step}/{name}'], WHOLE)
    assert_parameters(values, 'stage1/after/', student)
    assert_parameters(values, 'stage1/after_ema/', teacher)
    assert_agree(sample(prototypes.vectors, 41), values['stage1/after_prototypes'], WHOLE)


def strong_label(step: int) -> torch.Tensor:
    label = golden.label(SEED + 660 + step, 2, *CROP, cell=8).float()
    label = F.interpolate(label, QUARTER, mode='nearest')
    return torch.cat([view.map(y, fill=255.0) for view, y in zip(STRONG, label)]).long()


def test_stage_2(values):
    """Labels follow the strong view; all at 1/4; the distillation is the released one."""
    student, teacher = ToyFeat(), golden.fill(ToyFeat(), prefix='teacher.')
    optimizer = sgd(student)
    for step in range(2):
        source = source_loss(student, step)
        logits = up(student(image(630 + step))['out'], *QUARTER)
        with torch.no_grad():
            known = up(teacher(image(630 + step))['out'], *QUARTER)
        total = cross_entropy(logits, strong_label(step)) + DistillationLoss()(logits, known)
        optimizer.zero_grad()
        (source + total).backward()
        optimizer.step()
        for name, value in dict(source=source, total=total).items():
            assert_agree(value, values[f'stage2/step{step}/{name}'], WHOLE)
    assert_parameters(values, 'stage2/after/', student)
