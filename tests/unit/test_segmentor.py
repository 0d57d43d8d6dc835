"""Training outputs and the ways of inference of EncoderDecoder."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import image, label
from torch import nn
from uda_models import META, network, seed_all

from mmseg.models.builder import build_segmentor
from mmseg.models.segmentors import AveragedSegmentor
from mmseg.models.segmentors.sliding_window import slide_inference, window_origins
from mmseg.utils import UserError

FCN = dict(type='FCNHead', in_channels=160, in_index=2, channels=8, num_convs=1, concat_input=False,
           num_classes=19, loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4))


def meta(height: int, width: int, **extra) -> list[dict]:
    return [dict(META, ori_shape=(height, width, 3), **extra)]


@pytest.fixture(scope='module')
def model():
    seed_all(0)
    return build_segmentor(network()).eval()


@pytest.fixture(scope='module')
def picture():
    return image(0, 1, 64, 96)


def softmax(logits: torch.Tensor) -> np.ndarray:
    e = np.exp(logits.double().numpy())
    return e / e.sum(axis=1, keepdims=True)


def bilinear(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return nn.functional.interpolate(x, (height, width), mode='bilinear', align_corners=False)


# ------------------------------------------------------------------ training


@pytest.mark.parametrize('auxiliary, prefixes', [
    (None, {'decode'}), (FCN, {'decode', 'aux'}), ([FCN, FCN], {'decode', 'aux_0', 'aux_1'})])
def test_names_of_the_losses(auxiliary, prefixes):
    model = build_segmentor({**network(), 'auxiliary_head': auxiliary})
    out = model(image(0, 1, 64, 64), [META], gt_semantic_seg=label(1, 1, 64, 64))
    assert {f'{p}.{name}' for p in prefixes for name in ('loss_seg', 'acc_seg')} <= set(out)
    assert {name.split('.')[0] for name in out} == prefixes


def test_training_outputs_of_images():
    model = build_segmentor({**network(), 'auxiliary_head': FCN}).train()
    images = image(0, 3, 64, 64)
    [output] = model(images)
    assert [*output.supervised] == ['decode', 'aux']
    assert output.logits.shape == (3, 19, 64, 64) and output.logits is output.supervised['decode'].logits
    assert [f.shape[2] for f in output.features] == [16, 8, 4, 2]
    torch.testing.assert_close(output.log_prob.exp().sum(1), torch.ones(3, 64, 64))
    assert output.log_prob is output.log_prob, 'computed once'
    assert [len(each.logits) for each in model(images[:1], images[1:])] == [1, 2]


def training_batch() -> dict:
    return dict(img=image(0, 2, 64, 64), img_metas=[META] * 2, gt_semantic_seg=label(1, 2, 64, 64))


def test_train_step_sums_the_losses():
    model = build_segmentor({**network(), 'auxiliary_head': FCN})
    out = model.train_step(training_batch())
    log = out['log_vars']
    assert float(out['loss'].detach()) == pytest.approx(float(log['decode.loss_seg'] + log['aux.loss_seg']))
    assert float(log['aux.loss_seg']) == pytest.approx(0.4 * float(log['aux.raw_loss_seg']))
    assert out['num_samples'] == 2


def test_recomputing_the_blocks_changes_no_gradient():
    gradients = []
    for with_cp in (False, True):
        cfg = network()
        cfg['backbone'].update(with_cp=with_cp, drop_path_rate=0.5)
        seed_all(1)
        model = build_segmentor(cfg)
        seed_all(2)
        model.train_step(training_batch())['loss'].backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)


# ----------------------------------------------------------------- inference


def test_origins_of_windows():
    assert list(window_origins(10, 4, 3)) == [0, 3, 6]
    assert list(window_origins(11, 4, 3)) == [0, 3, 6, 7]  # the last one moved back
    assert list(window_origins(4, 4, 3)) == list(window_origins(3, 4, 3)) == [0]


def test_windows_that_overlap_are_averaged():
    """Width 6, windows of 4 every 2: columns 0 1 are seen by the first, 4 5 by the second, 2 3 by both. The
    toy network answers 10, then 20."""
    answers = iter((10.0, 20.0))
    out = slide_inference(lambda crop: torch.full((1, 2, 4, 4), next(answers)), torch.zeros(1, 3, 4, 6),
                          num_classes=2, crop_size=(4, 4), stride=(2, 2))
    assert out.shape == (1, 2, 4, 6)
    assert out[0, 1, 2].tolist() == [10, 10, 15, 15, 20, 20]


@torch.inference_mode()
def test_one_window_over_all_is_whole_inference(model, picture):
    test_cfg = dict(mode='slide', crop_size=(64, 96), stride=(32, 32))
    sliding = build_segmentor({**network(), 'test_cfg': test_cfg}).eval()
    sliding.load_state_dict(model.state_dict())
    expected = model.inference(picture, meta(64, 96))
    torch.testing.assert_close(sliding.inference(picture, meta(64, 96)), expected)
    sliding.test_cfg['crop_size'] = (64, 64)
    assert not torch.allclose(sliding.inference(picture, meta(64, 96)), expected, atol=1e-4)


@torch.inference_mode()
def test_probabilities_at_the_original_size(model, picture):
    out = model.inference(picture, meta(50, 70))
    assert out.shape == (1, 19, 50, 70)
    torch.testing.assert_close(out.sum(dim=1), torch.ones(1, 50, 70))
    logits = bilinear(model.encode_decode(picture), 50, 70)
    np.testing.assert_allclose(out.numpy(), softmax(logits), rtol=1e-4)
    assert model.inference(picture, meta(50, 70), rescale=False).shape == (1, 19, 64, 96)


@pytest.mark.parametrize('direction, axis', [('horizontal', 3), ('vertical', 2), ('diagonal', (2, 3))])
@torch.inference_mode()
def test_flipped_predictions_are_flipped_back(model, picture, direction, axis):
    out = model.inference(picture.flip(axis), meta(64, 96, flip=True, flip_direction=direction))
    expected = model.inference(picture.flip(axis), meta(64, 96, flip=False)).flip(axis)
    torch.testing.assert_close(out, expected)
    assert not torch.allclose(out, expected.flip(axis))
    averaged = AveragedSegmentor([model], softmax_first=True)
    out = averaged.inference(picture.flip(axis), meta(64, 96, flip=True, flip_direction=direction))
    unflipped = averaged.inference(picture.flip(axis), meta(64, 96, flip=False))
    torch.testing.assert_close(out, unflipped.flip(axis))


@torch.inference_mode()
def test_class_maps(model, picture):
    maps = model(torch.cat([picture, picture.flip(3)])[None], [meta(64, 96) * 2], return_loss=False)
    expected = model.encode_decode(torch.cat([picture, picture.flip(3)])).argmax(dim=1).numpy()
    assert len(maps) == 2
    np.testing.assert_array_equal(np.stack(maps), expected)


@torch.inference_mode()
def test_augmented_predictions_are_averaged(model, picture):
    """The mean of the probabilities of a small and of a large, flipped image."""
    small = nn.functional.interpolate(picture, (32, 64))
    metas = [meta(64, 96), meta(64, 96, flip=True, flip_direction='horizontal')]
    out = model([small, picture.flip(3)], metas, return_loss=False)
    enlarged = bilinear(model.encode_decode(small), 64, 96)
    mean = (softmax(enlarged) + softmax(model.encode_decode(picture.flip(3)).flip(3))) / 2
    np.testing.assert_array_equal(out[0], mean.argmax(axis=1)[0])


def test_mistakes_of_callers(model, picture):
    with pytest.raises(ValueError, match='original sizes'):
        model.inference(torch.cat([picture] * 2), meta(64, 96) + meta(32, 48))
    with pytest.raises(ValueError, match='2 augmented images'):
        model([picture] * 2, [meta(64, 96)], return_loss=False)
    with pytest.raises(ValueError, match='original size'):
        model.aug_test([picture] * 2, [meta(64, 96)] * 2, rescale=False)


@pytest.mark.parametrize('test_cfg, hint', [
    (dict(mode='slid'), 'whole or slide'), (dict(mode='slide', crop_size=(4, 4)), 'stride')])
def test_mistakes_in_the_settings(test_cfg, hint):
    with pytest.raises(UserError, match=hint):
        build_segmentor({**network(), 'test_cfg': test_cfg})
