"""Masks, their augmentation, the settings of uda.masked and how the reference's configs spell them."""
from __future__ import annotations

import gzip
import json
import random
from copy import deepcopy

import numpy as np
import pytest
import torch
from golden import DATA, image, relative_error
from hrda import ASPP, hrda
from uda_models import BALANCE, META, batch, seed_all, tiny, uda_model
from uda_models import network as daformer

from mmseg.core.method import Terms
from mmseg.models.uda.parts.masking import block_mask, mask_images
from mmseg.models.uda.parts.strong_augment import StrongAugmentation
from mmseg.utils import ConfigError, UserError
from mmseg.utils.legacy import update_legacy_cfg

GOLDEN = json.loads(gzip.decompress((DATA / 'golden_mic.json.gz').read_bytes()))
GENERATOR = dict(type='block', mask_ratio=0.5, mask_block_size=32)


def step_of(seed: int = 0, data: dict | None = None, network: dict | None = None, **settings):
    """The model, its log values and what the student saw last, after one step."""
    seed_all(3)
    model = uda_model(network or tiny(), **settings)
    seen = []
    model.model.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    seed_all(seed)
    optimizer = torch.optim.SGD(model.model.parameters(), lr=0.05)
    log = model.train_step(data or batch(0, size=32, cell=8), optimizer)['log_vars']
    return model, log, seen


# ------------------------------------------------------------------- masks

def runs(mask: torch.Tensor) -> list:
    """Of each image, rows in runs of equal ones: [how many, [first value, where it changes …]]."""
    found = []
    for one in mask[:, 0].numpy().astype(int):
        rows: list = []
        for row in one:
            runs_of_row = [int(row[0]), *(np.flatnonzero(np.diff(row)) + 1).tolist()]
            if rows and rows[-1][1] == runs_of_row:
                rows[-1][0] += 1
            else:
                rows.append([1, runs_of_row])
        found.append(rows)
    return found


@pytest.mark.parametrize('number', range(5))
def test_masks_are_the_reference_s(number):
    golden = GOLDEN[f'mask{number}']
    seed, *shape, block, ratio = golden['recipe']
    seed, images, height, width, block = map(int, (seed, *shape, block))
    img = image(seed, images, height, width)
    torch.manual_seed(seed)
    first, second = (block_mask(img.shape, ratio, block) for _ in range(2))
    assert (runs(first), runs(second)) == (golden['first'], golden['second'])
    torch.manual_seed(seed)
    masked = mask_images(img, ratio, block)
    np.testing.assert_array_equal(masked.flatten()[::307 * 8], np.float32(golden['masked_image']))


def test_masks_are_drawn_on_the_host():
    """So that a seed gives the same ones on every device: the host's generator moves on by as much."""
    following = []
    for device in ('cpu', 'meta'):
        torch.manual_seed(0)
        assert mask_images(image(0, 2, 64, 64).to(device), 0.5, 16).device.type == device
        following.append(torch.rand(1))
    assert torch.equal(*following)


@pytest.mark.parametrize('shape', [(1, 3, 7, 9), (2, 3, 40, 100), (1, 3, 33, 250)])
def test_masks_of_any_size(shape):
    """Also of images smaller than half a square, and of sides that are no multiple of it."""
    torch.manual_seed(0)
    mask = block_mask(shape, 0.5, 32)
    assert mask.shape == (shape[0], 1, *shape[2:]) and set(mask.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize('fires', ['jitter', 'blur', 'both', 'neither'])
def test_augmentation_of_a_batch_in_one_call(fires):
    draws = dict(jitter=(1, 0), blur=(0, 1), both=(1, 1), neither=(0.2, 0.5))[fires]
    golden = GOLDEN[f'augment_{fires}']
    seed_all(31)
    found = StrongAugmentation(*draws, 0.2, 0.2)(image(31, 2, 96, 128), [META] * 2, together=True)
    assert relative_error(found.flatten()[::29 * 4], np.array(golden['image'])) < 2e-6
    assert [np.random.rand(), float(torch.rand(1))] == pytest.approx(golden['next_random'])


# ------------------------------------------------------------------- the pass

@pytest.mark.parametrize('network', [tiny(), hrda(64, daformer(16, ASPP))], ids=['daformer', 'hrda'])
def test_without_it_the_step_is_that_of_the_network_to_the_bit(network):
    settings = dict(data=batch(0, size=128, cell=8), pseudo_threshold=0.0)  # every pseudo-label counts
    plain, log, _ = step_of(network=deepcopy(network), **settings)
    for masked in (None, dict(loss_weight=0)):
        model, other, _ = step_of(network=deepcopy(network), masked=masked, **settings)
        assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), model.parameters()))
        assert {name: float(other[name]) for name in log} == {name: float(v) for name, v in log.items()}


def test_the_masked_pass_comes_last_and_changes_nothing_before_it():
    _, log, seen = step_of(entropy_balance=BALANCE)
    _, with_masked, seen_too = step_of(entropy_balance=BALANCE, masked=dict(block_size=8))
    assert len(seen_too) == len(seen) + 1
    assert all(torch.equal(one, other) for one, other in zip(seen, seen_too))
    assert all(float(with_masked[name]) == float(value) for name, value in log.items())
    assert set(with_masked) - set(log) == {'masked.decode.loss_seg', 'masked.decode.acc_seg'}


@pytest.mark.parametrize('images', [1, 2, 3])
def test_separate_takes_the_larger_half_of_each(images):
    data = batch(0, size=32, images=images, cell=8)
    half = (images + 1) // 2
    _, _, seen = step_of(data=data, masked=dict(mode='separate', block_size=8, mask_ratio=0.0))
    assert torch.equal(seen[-1], torch.cat([data['img'][:half], data['target_img'][:half]]))


def test_blur_is_drawn_though_it_is_off():
    """The reference draws it, and blurs; with ``blur=False`` the draws stay and the images are sharp."""
    data = batch(0, size=32, cell=8)
    found = {}
    for blur in (True, False):
        for seed in range(2, 20):  # the first at which the masked images would be blurred
            random.seed(seed)
            if [random.random() for _ in range(3)][-1] > 0.5:
                break
        _, _, seen = step_of(seed, data, masked=dict(block_size=8, mask_ratio=0.0, blur=blur))
        found[blur] = seen[-1], random.random()
    assert found[True][1] == found[False][1]
    assert torch.equal(found[False][0], data['target_img'])
    assert not torch.equal(found[True][0], data['target_img'])


def test_the_weight_is_of_all_losses_or_of_the_fused_logits_alone():
    one = torch.ones(())
    terms = Terms({'decode.loss_seg': one, 'decode.hr.loss_seg': one}, {'decode.acc_seg': one})
    for weigh_all, detail in ((True, 0.5), (False, 1.0)):
        model = uda_model(tiny(), masked=dict(loss_weight=0.5, weigh_all=weigh_all))
        found = model.mic.weighted(terms)
        assert {name: float(value) for name, value in found.losses.items()} == {
            'masked.decode.loss_seg': 0.5, 'masked.decode.hr.loss_seg': detail}
        assert float(found.metrics['masked.decode.acc_seg']) == 1


def test_margins_take_weight_from_pseudo_labels():
    data = batch(0, size=32, cell=8)
    data['valid_pseudo_mask'] = torch.zeros(2, 1, 32, 32, dtype=torch.uint8)
    settings = dict(mode='separatetrg', block_size=8)
    _, log, _ = step_of(data=data, masked=settings)
    assert float(log['masked.decode.loss_seg']) == 0
    _, log, _ = step_of(data=data, masked=dict(settings, alpha=0))  # of the own teacher too
    assert float(log['masked.decode.loss_seg']) == 0
    data['valid_pseudo_mask'][:] = 1
    _, log, _ = step_of(data=data, masked=settings)
    _, without, _ = step_of(masked=settings)
    assert {k: float(v) for k, v in log.items()} == {k: float(v) for k, v in without.items()}


def test_margins_and_ignored_rows_exclude_each_other():
    data = dict(batch(0, size=32, cell=8), valid_pseudo_mask=torch.ones(2, 1, 32, 32, dtype=torch.uint8))
    with pytest.raises(ConfigError, match='crop_pseudo_margins'):
        step_of(data=data, pseudo_weight_ignore_top=3)


@pytest.mark.parametrize(('settings', 'told'), [
    (dict(mode='separatetrgaugg'), 'separatetrgaug'), (dict(mask_ratio=1.5), 'mask_ratio'),
    (dict(block=3), 'block'), (dict(block_size=0), 'block_size'), (dict(alpha='sane'), 'alpha'),
    (dict(alpha=2.0), 'alpha'), (dict(pseudo_threshold=-1.0), 'pseudo_threshold'),
    (dict(loss_weight=-1), 'loss_weight')])
def test_settings_that_are_none_are_told(settings, told):
    with pytest.raises(ConfigError, match=told):
        uda_model(tiny(), masked=settings)


@pytest.mark.parametrize(('settings', 'told'), [
    (dict(masked={}), 'separatesrc'), (dict(joint_encoder=True), 'joint_encoder')])
def test_what_needs_a_teacher_or_a_mixture_is_told(settings, told):
    with pytest.raises(UserError, match=told):
        uda_model(tiny(), source_only=True, **settings)


# ------------------------------------------------------------------- the reference's configs

def released(**uda) -> dict:
    settings = dict(type='DACS', mask_mode='separatetrgaug', mask_alpha='same', mask_pseudo_threshold='same',
                    mask_lambda=1, mask_generator=GENERATOR, source_only=False)
    return dict(model={}, uda={**settings, **uda})


def test_the_reference_s_keys_of_mic():
    found = update_legacy_cfg(deepcopy(released(mask_pseudo_threshold=None)))['uda']
    assert found == dict(type='DACS', source_only=False, masked=dict(
        mode='separatetrgaug', alpha='same', pseudo_threshold=None, loss_weight=1, mask_ratio=0.5,
        block_size=32))
    uda_model(tiny(), **{key: value for key, value in found.items() if key != 'type'})


def test_the_reference_s_keys_without_a_mode_are_no_masked_pass():
    found = update_legacy_cfg(released(mask_mode=None, mask_generator=None, mask_lambda=0))['uda']
    assert found == dict(type='DACS', source_only=False)


@pytest.mark.parametrize(('uda', 'told'), [
    (dict(masked={}), 'give masked alone'), (dict(mask_generator=dict(type='lines')), "type 'block'"),
    (dict(mask_generator=dict(GENERATOR, mask_rato=1)), 'mask_ratio')])
def test_what_cannot_be_translated_is_told(uda, told):
    with pytest.raises(ConfigError, match=told):
        update_legacy_cfg(released(**uda))
