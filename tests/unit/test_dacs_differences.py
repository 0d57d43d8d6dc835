"""What DACS (Tranheden et al., WACV 2021) does otherwise than DAFormer, out of the parts that both share,
against golden values of the authors' code."""
from __future__ import annotations

from pathlib import Path

import golden
import numpy as np
import pytest
import torch
from method_recipe import ToyMulti, assert_agree, logits, low, sample, stack, up
from uda_models import batch, sgd, tiny, uda_model

from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.uda.parts.class_mix import draw_class_masks, mix
from mmseg.models.uda.parts.ema_teacher import update_teacher
from mmseg.models.uda.parts.pseudo_label import pixel_weight, pseudo_label
from mmseg.utils.config import load_config

DACS, SIDE = 12000, 64
ALPHA, THRESHOLD = 0.99, 0.968


@pytest.fixture(scope='module')
def dacs():
    return golden.load('golden_dacs.npz')


@pytest.fixture(scope='module')
def mixed():
    """(mask, image, label, quality, weight) of a batch of two."""
    np.random.seed(3)
    label = golden.label(DACS, 2, SIDE, SIDE)
    mask = draw_class_masks(label, per_image=True)
    z = up(stack(DACS + 10, 2, 19, low(SIDE), low(SIDE), 12.0), SIDE, SIDE)
    pseudo, quality = pseudo_label(z, THRESHOLD)
    weight = mix(mask[:, 0], torch.ones(pseudo.shape), pixel_weight(quality, pseudo.shape))
    images = (golden.image(DACS + k, 2, SIDE, SIDE) for k in (1, 2))
    return mask, mix(mask, *images), mix(mask[:, 0], label[:, 0], pseudo), quality, weight


def test_classes_are_drawn_from_each_image(dacs, mixed):
    label = golden.label(DACS, 2, SIDE, SIDE)
    for k in range(2):
        pasted = label[k][mixed[0][k].bool()].unique()
        np.testing.assert_array_equal(pasted.numpy(), np.sort(dacs[f'mix/classes{k}']))


def test_the_mixture(dacs, mixed):
    mask, image, label, quality, weight = mixed
    np.testing.assert_array_equal(sample(mask, 7), dacs['mix/mask'])
    np.testing.assert_array_equal(sample(label, 7), dacs['mix/label'])
    assert_agree(sample(image, 53), dacs['mix/image'])
    assert_agree(quality, dacs['mix/quality'])
    assert_agree(sample(weight, 61), dacs['mix/weight'])


def test_valid_pixels_of_the_source_and_all_pixels_of_the_mixture_count(dacs, mixed):
    """With one loss for both: the mixture's pixels have weights."""
    loss = CrossEntropyLoss(avg_non_ignore='unweighted')
    _, _, label, _, weight = mixed
    z_source, z_mixed = (logits(DACS + k, 2, low(SIDE), low(SIDE)) for k in (40, 30))
    of_source = loss(up(z_source, SIDE, SIDE), golden.label(DACS, 2, SIDE, SIDE)[:, 0])
    of_mixture = loss(up(z_mixed, SIDE, SIDE), label, weight=weight)
    assert_agree(of_source, dacs['loss/source'])
    assert_agree(of_mixture, dacs['loss/mixed'])
    assert_agree(of_source + of_mixture, dacs['loss/total'])
    of_mixture.backward()
    assert_agree(sample(z_mixed.grad, 7), dacs['loss/grad_mixed'], 1e-3)


@pytest.mark.parametrize('step', [0, 1, 5, 500])
def test_average_of_the_teacher(dacs, step):
    """Step 0 copies the student that it comes after."""
    teacher, student = ToyMulti(), ToyMulti()
    golden.fill(teacher, prefix='ema.')
    update_teacher(teacher, student, step, ALPHA)
    assert_agree(teacher.body.weight.flatten()[:64], dacs[f'ema/it{step}'])


def original(**uda):
    """DACS with its authors' keys, on a network of milliseconds."""
    torch.manual_seed(0)
    model = tiny()
    model['decode_head']['loss_decode'] = dict(type='CrossEntropyLoss', avg_non_ignore='unweighted')
    return uda_model(model, alpha=ALPHA, mix_per_image=True, **uda)


def test_the_teacher_follows_after_the_step():
    """α_t of that step: it copies the student of step 0, whose update it has seen; a resumed run does too."""
    method = original(teacher_after_step=True)
    expected = None
    for step in range(3):
        if step == 2:
            state = method.state_dict(), method.training_state()
            method = original(teacher_after_step=True)
            method.load_state_dict(state[0])
            method.load_training_state(state[1])
        before = method.ema_model.decode_head.conv_seg.weight.clone()
        method.train_step(batch(5 + step, size=32, cell=8), sgd(method))
        student = method.model.decode_head.conv_seg.weight.detach()
        alpha = min(1 - 1 / (step + 1), ALPHA)
        expected = student if step == 0 else alpha * before + (1 - alpha) * student
        torch.testing.assert_close(method.ema_model.decode_head.conv_seg.weight, expected)
    assert not torch.equal(expected, student)
    plain = original()
    plain.train_step(batch(5, size=32, cell=8), sgd(plain))
    assert not torch.equal(plain.ema_model.decode_head.conv_seg.weight,
                           plain.model.decode_head.conv_seg.weight)


def test_the_method_averages_the_source_over_its_labels():
    method = original(teacher_after_step=True)
    data = batch(5, size=32, cell=8)
    data['gt_semantic_seg'][:, :, :12] = 255
    with torch.no_grad():
        logits = method.model.encode_decode(data['img'])
    wanted = torch.nn.functional.cross_entropy(logits, data['gt_semantic_seg'][:, 0], ignore_index=255)
    log = method.train_step(data, sgd(method))['log_vars']
    torch.testing.assert_close(log['decode.loss_seg'], wanted)


def test_the_config_of_the_paper_has_its_keys():
    root = Path(__file__).parents[2] / 'configs/dacs'
    cfg = load_config(root / 'gta2cs_dacs_dlv2_r101_s0.py')
    assert (cfg.uda.alpha, cfg.uda.pseudo_threshold) == (ALPHA, THRESHOLD)
    assert cfg.uda.color_jitter_strength == 0.25
    assert cfg.uda.teacher_after_step and cfg.uda.mix_per_image and cfg.uda.mix_ignore_label
    assert (cfg.uda.pseudo_weight_ignore_top, cfg.uda.pseudo_weight_ignore_bottom) == (0, 0)
    assert cfg.model.decode_head.loss_decode.avg_non_ignore == 'unweighted'
    assert tuple(cfg.model.decode_head.dilations) == (6, 12) and 'COCO' in cfg.model.pretrained
