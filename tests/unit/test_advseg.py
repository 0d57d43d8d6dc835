"""AdvSeg and MinEnt as HRDA and MIC compare with them: steps against a loop written out here, outputs resized
once, and the masked pass with a teacher of its own."""
from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from uda_models import batch, seed_all, tiny

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.optimizer import build_optimizers
from mmseg.models.builder import build_train_model
from mmseg.models.output import HeadOutput
from mmseg.models.uda.parts.masked_host import HOST, TEACHER
from mmseg.utils import ConfigError

SGD, ADAM = dict(type='SGD', lr=0.05, momentum=0.9), dict(type='Adam', lr=1e-3, betas=(0.9, 0.99))
TWO = dict(student=SGD, discriminator=ADAM)
WEIGHT = 0.5
SIZE = 64
HRDA = dict(tiny(), type='HRDAEncoderDecoder', hr_crop_size=(32, 32), feature_scale=0.5,
            crop_coord_divisible=8, decode_head=dict(
                tiny()['decode_head'], type='HRDAHead', single_scale_head='FCNHead', output_stride=4,
                hr_loss_weight=0.1))


def built(**uda) -> nn.Module:
    seed_all(0)
    if uda['type'] == 'AdvSeg':
        uda = dict(discriminator=dict(kind='bdl', channels=(8, 8, 16, 16))) | uda
    method = build_train_model(dict(
        model=uda.pop('model', tiny()), uda=dict(uda, weights=dict(decode=WEIGHT)), runner=dict(max_iters=4)))
    for name, value in method.model.named_parameters():
        if name.endswith('conv_seg.weight'):
            value.data.mul_(300)  # so that probabilities differ
    return method.train()


def data(k: int, size: int = SIZE) -> dict:
    return batch(10 * k, size=size, cell=8)


def step_of(model: nn.Module) -> OptimizerStep:
    return OptimizerStep(build_optimizers(model, TWO if len(model.trainable()) > 1 else SGD))


# ------------------------------------------------------------------- least squares, by another loop


class Peer:
    """AdvSeg in plain torch: a network with one output, and its discriminator."""

    def __init__(self, network: nn.Module, judge: nn.Module):
        self.network, self.judge = copy.deepcopy(network), copy.deepcopy(judge)
        self.of_network = torch.optim.SGD(self.network.parameters(), lr=0.05, momentum=0.9)
        self.of_judge = torch.optim.Adam(self.judge.parameters(), lr=1e-3, betas=(0.9, 0.99))

    def probabilities(self, img: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Logits at the image's size, and probabilities at ``scale`` of it."""
        coarse = self.network.coarse_logits(img)
        at = [F.interpolate(coarse, [round(side * factor) for side in img.shape[2:]], mode='bilinear')
              for factor in (1, scale)]
        return at[0], at[1].exp() / at[1].exp().sum(1, keepdim=True)

    def answers(self, prob: Tensor) -> Tensor:
        x = prob
        for k in range(1, 5):
            layer = getattr(self.judge, f'conv{k}')
            x = F.conv2d(x, layer.weight, layer.bias, stride=2, padding=1)
            x = torch.where(x > 0, x, 0.2 * x)
        return F.conv2d(x, self.judge.classifier.weight, self.judge.classifier.bias, stride=2, padding=1)

    def step(self, found: dict, scale: float) -> dict[str, Tensor]:
        logits, source = self.probabilities(found['img'], scale)
        of_label = F.cross_entropy(logits, found['gt_semantic_seg'][:, 0], ignore_index=255, reduction='none')
        segmentation = of_label.mean()
        _, target = self.probabilities(found['target_img'], scale)
        adversarial = WEIGHT * (self.answers(target) ** 2).mean()
        self.of_network.zero_grad()
        (segmentation + adversarial).backward()
        self.of_judge.zero_grad()
        of_source = (self.answers(source.detach()) ** 2).mean() / 2
        of_target = ((self.answers(target.detach()) - 1) ** 2).mean() / 2
        (of_source + of_target).backward()
        self.of_network.step()
        self.of_judge.step()
        return {'decode.loss_seg': segmentation, 'trg.decode.adversarial': adversarial,
                'd.decode.source': of_source, 'd.decode.target': of_target}


@pytest.mark.parametrize('scale', [1.0, 0.5])
def test_steps_of_advseg(scale):
    """In float64, as Adam's first steps have the size of no gradient, but its sign, rounding or not."""
    method = built(type='AdvSeg', scale=scale).double()
    peer, step = Peer(method.model, method.discriminators['decode']), step_of(method)
    for k in range(3):
        found = {key: value.double() if key.endswith('img') else value for key, value in data(k).items()}
        log, expected = method.train_step(found, step)['log_vars'], peer.step(found, scale)
        for name, value in expected.items():
            torch.testing.assert_close(log[name].double(), value.detach(), rtol=1e-5, atol=1e-7, msg=name)
    for ours, theirs in ((method.model, peer.network), (method.discriminators['decode'], peer.judge)):
        for (name, one), other in zip(ours.named_parameters(), theirs.parameters()):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6, msg=name)


def test_cross_entropy_in_place_of_least_squares():
    """What an answer of 0 costs: ln 2 of the cross-entropy, 0 or 1 of least squares."""
    costs = {}
    for distance in ('bce', 'mse'):
        method = built(type='AdvSeg', distance=distance)
        nn.init.zeros_(method.discriminators['decode'].classifier.weight)
        nn.init.zeros_(method.discriminators['decode'].classifier.bias)
        log = method.train_step(data(0), step_of(method))['log_vars']
        names = 'trg.decode.adversarial', 'd.decode.source', 'd.decode.target'
        costs[distance] = [float(log[name]) for name in names]
    half = math.log(2) / 2
    assert costs == dict(bce=pytest.approx([WEIGHT * math.log(2), half, half]), mse=[0, 0, 0.5])


@pytest.mark.parametrize('settings', [
    dict(distance='l1'), dict(scale=0), dict(discriminator=dict(kind='lsgan')), dict(masked=dict(block=8)),
    dict(masked=dict(alpha=2))])
def test_settings_are_held_to_their_ranges(settings):
    with pytest.raises(ConfigError):
        built(type='AdvSeg', **settings)


# ------------------------------------------------------------------- outputs at a part of the image's size


def output(padded: tuple[int, int] | None = None, shown: tuple[int, int] = (8, 8)) -> HeadOutput:
    head = SimpleNamespace(upsample=lambda x, size: F.interpolate(x, size, mode='bilinear'))
    coarse = torch.tensor([[0.0, 4.0], [8.0, 12.0]]).view(1, 1, 2, 2)
    return HeadOutput(head.upsample(coarse, padded or shown)[..., :shown[0], :shown[1]], head, coarse,
                      padded=padded)


def test_an_output_at_half_the_image():
    """Centres of 2 cells lie at ¼, ¾ of a side, those of 4 cells at ⅛, ⅜, ⅝, ⅞; beyond the outer ones all is
    level."""
    share = torch.tensor([0.0, 0.25, 0.75, 1.0])
    expected = 8 * share[:, None] + 4 * share
    torch.testing.assert_close(output().scaled(0.5).logits[0, 0], expected)
    assert output().scaled(0.5).logits.shape[2:] == (4, 4)


def test_what_was_padded_stays_outside():
    share = torch.tensor([0.0, 0.25, 0.75, 1.0])
    expected = 8 * share[:3, None] + 4 * share[:2]
    torch.testing.assert_close(output((8, 8), (6, 5)).scaled(0.5).logits[0, 0], expected)


def test_an_output_at_its_size_is_itself():
    one = output()
    assert one.scaled(1.0) is one
    known = one.log_prob
    assert one.scaled(0.5).log_prob is not known, 'of its own logits'


# ------------------------------------------------------------------- HRDA


def drawn_crops(method: nn.Module, number: int) -> list:
    np.random.seed(5)
    crops = [method.model.draw_crop((SIZE, SIZE)) for _ in range(number)]
    np.random.seed(5)
    return crops


def fused_at_half(method: nn.Module, img: Tensor, crop) -> Tensor:
    """Probabilities: the fused logits, from the network's grid to half the image in one step."""
    with torch.no_grad():
        [out] = copy.deepcopy(method.model).outputs(img, crops=[crop])
    assert out.prediction.coarse.shape[2:] == (SIZE // 4, SIZE // 4)
    return F.interpolate(out.prediction.coarse, (SIZE // 2, SIZE // 2), mode='bilinear').softmax(1)


def test_minimal_entropy_of_fused_logits_at_half_the_image():
    """The target's crop of details is the second of a step."""
    method = built(type='MinEnt', model=HRDA, scale=0.5)
    found = data(0)
    source, target = drawn_crops(method, 2)
    assert source != target
    prob = fused_at_half(method, found['target_img'], target)
    entropy = -(prob * prob.log2()).sum() / (2 * (SIZE // 2) ** 2 * math.log2(19))
    log = method.train_step(found, step_of(method))['log_vars']
    torch.testing.assert_close(log['trg.decode.raw_minent'], entropy)
    torch.testing.assert_close(log['trg.decode.minent'], WEIGHT * entropy)
    full = built(type='MinEnt', model=HRDA)
    drawn_crops(full, 1)
    assert abs(full.train_step(found, step_of(full))['log_vars']['trg.decode.raw_minent'] - entropy) > 1e-5
    assert 'decode.hr.loss_seg' in log and not any(name.startswith('trg.decode.hr') for name in log)


def test_discriminators_see_fused_logits_at_half_the_image():
    method = built(type='AdvSeg', model=HRDA, scale=0.5)
    judge, found = copy.deepcopy(method.discriminators['decode']), data(0)
    crops = drawn_crops(method, 2)
    probs = [fused_at_half(method, found[name], crop) for name, crop in zip(('img', 'target_img'), crops)]
    with torch.no_grad():
        of_source, of_target = (judge(prob) for prob in probs)
    log = method.train_step(found, step_of(method))['log_vars']
    torch.testing.assert_close(log['trg.decode.adversarial'], WEIGHT * (of_target ** 2).mean())
    torch.testing.assert_close(log['d.decode.source'], (of_source ** 2).mean() / 2)
    torch.testing.assert_close(log['d.decode.target'], ((of_target - 1) ** 2).mean() / 2)


# ------------------------------------------------------------------- the masked pass


@pytest.mark.parametrize('uda', ['AdvSeg', 'MinEnt'])
def test_the_teacher_of_the_masked_pass_is_its_own(uda):
    """It follows before a step: a copy of the student, then 1 − ½ of that and ½ of the student."""
    method = built(type=uda, masked=dict(block_size=8))
    step = step_of(method)
    students = []
    for k in range(2):
        students.append([value.detach().clone() for value in method.model.parameters()])
        log = method.train_step(data(k), step)['log_vars']
        assert {'masked.decode.loss_seg', 'masked.decode.acc_seg'} <= set(log)
        for i, teacher in enumerate(method.mic.teacher.ema_model.parameters()):
            expected = students[0][i] if k == 0 else (students[0][i] + students[1][i]) / 2
            torch.testing.assert_close(teacher.detach(), expected)
    assert (method.mic.alpha, method.mic.threshold) == (0.999, 0.968) == tuple(TEACHER.values())
    assert method.mic.augmentation == dict(HOST['augmentation'], blur=True) == dict(
        blur=True, jitter_threshold=0.2, strength=0.2)


def test_the_masked_pass_comes_before_the_discriminators():
    method = built(type='AdvSeg', masked=dict(block_size=8))
    trained = [one.trains for one in method.passes(data(0))]
    assert trained == [('student',)] * 3 + [('d_decode',)]


@pytest.mark.parametrize('given, threshold', [('same', 0.968), (0.5, 0.5)])
def test_the_released_same_is_what_the_methods_settings_say(given, threshold):
    """Where there is no teacher to share, it is one of its own all the same."""
    mic = built(type='AdvSeg', masked=dict(block_size=8, alpha='same', pseudo_threshold=given)).mic
    assert (mic.alpha, mic.threshold) == (0.999, threshold) and mic.teacher is not None


def test_labels_of_the_masked_pass_are_the_teachers():
    """With a threshold that all pixels pass, the loss is the cross-entropy against what the student itself
    said of whole images before the step."""
    method = built(type='MinEnt', masked=dict(mode='separatetrg', block_size=8, pseudo_threshold=0.0,
                                              mask_ratio=0.0, loss_weight=2.0))
    found = data(0)
    student = copy.deepcopy(method.model)
    with torch.no_grad():
        logits = student.encode_decode(found['target_img'])
    expected = 2 * F.cross_entropy(logits, logits.argmax(1))
    log = method.train_step(found, step_of(method))['log_vars']
    torch.testing.assert_close(log['masked.decode.loss_seg'], expected)
