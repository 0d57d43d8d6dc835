"""What the released HRDA does besides its formulas, images of any size, and mistakes in a config."""
from __future__ import annotations

import copy
import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden import image, label
from hrda import hrda, hrda_dlv2
from on_meta import on_meta
from uda_models import META, network, seed_all, tiny

from mmseg.models.builder import build_head, build_segmentor
from mmseg.models.losses.feature_distance_loss import FeatureDistanceLoss
from mmseg.models.losses.supervision import supervise
from mmseg.models.output import Area
from mmseg.models.segmentors import hrda_encoder_decoder
from mmseg.utils import ConfigError, DataError


def built(**settings) -> torch.nn.Module:
    """A network of milliseconds: details of 16×16 pixels, logits of every fourth."""
    seed_all(0)
    return build_segmentor(hrda(**{'base': tiny(), 'output_stride': 4, 'crop': 16, **settings}))


def picture(height: int, width: int, images: int = 2) -> torch.Tensor:
    return image(3, images, 64, 64)[..., :height, :width].contiguous()


# --------------------------------------------------------------------- sizes


@pytest.mark.parametrize('size', [(36, 44), (33, 31), (12, 40), (9, 11), (16, 40), (16, 16)])
def test_images_of_any_size_train_and_are_predicted(size):
    """They are padded with 0 below and on the right to multiples of 8, and what is there does not count."""
    model = built()
    height, width = size
    img, classes = picture(*size), label(4, 2, 64, 64, cell=4)[..., :height, :width]
    padded = F.pad(img, (0, -width % 8, 0, -height % 8))
    seed_all(1)
    [output] = model.outputs(img)
    area = output.supervised['decode.hr'].area
    assert output.logits.shape[2:] == size
    assert output.supervised['decode.hr'].logits.shape[2:] == area.of(classes).shape[2:]
    [whole] = model.outputs(padded, crops=[area])
    torch.testing.assert_close(output.logits, whole.logits[..., :height, :width])
    loss = supervise(output, classes, torch.rand(2, height, width)).total()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    model.eval()
    with torch.inference_mode():
        assert model.attention_map(img).shape == (2, 1, *size)
        expected = model.encode_decode(padded)[..., :height, :width]
        torch.testing.assert_close(model.encode_decode(img), expected)


def test_an_image_too_small_for_the_encoder_is_told():
    model = build_segmentor(hrda(32))
    with pytest.raises(DataError, match='too small for a MiT encoder'):
        model.outputs(picture(40, 64))  # whose context has 20 rows


@pytest.mark.parametrize('size, choices', [
    ((16, 40), ({0}, {0, 8, 16})), ((20, 64), ({0}, {0, 8, 16, 24, 32, 40})), ((12, 40), ({0}, {0, 8, 16})),
    ((40, 16), ({0, 8, 16}, {0})), ((23, 24), ({0}, {0}))])
def test_a_side_without_a_choice_begins_at_0(size, choices):
    """The released code raises an error there. Elsewhere, as released, the last offset is left out."""
    model = built()
    np.random.seed(0)
    crops = [model.draw_crop(size) for _ in range(100)]
    assert ({crop.top for crop in crops}, {crop.left for crop in crops}) == choices
    assert {crop.right - crop.left for crop in crops} == {16}
    assert {crop.bottom - crop.top for crop in crops} == {16}


def test_details_of_a_batch_have_one_crop_and_the_next_pass_another():
    model = built()
    np.random.seed(0)
    crops = [output.supervised['decode.hr'].area for output in model.outputs(*[picture(64, 64)] * 4)]
    assert len(set(crops)) > 1
    np.random.seed(0)
    assert crops == [model.draw_crop((64, 64)) for _ in range(4)]


def test_a_pass_leaves_nothing_behind():
    """The released code keeps the last crop on a class that student, teacher and frozen network share."""
    model = built()

    def state() -> list:
        return [(name, copy.copy(vars(module))) for name, module in model.named_modules()]

    model.outputs(picture(64, 64))
    before = state()
    model.outputs(picture(40, 40))
    assert [(name, {*values}) for name, values in before] == [(name, {*values}) for name, values in state()]
    assert not any(isinstance(value, Area) for _, values in state() for value in values.values())


# -------------------------------------------------------------------- fusion


def fused(area: Area, context: float, detail: float) -> torch.Tensor:
    """Of constant logits and an attention of 1, on the 16×16 grid of a 64×64 image."""
    head = build_head(hrda(base=tiny(), output_stride=4)['decode_head'])
    rows, columns = (area.bottom - area.top) // 4, (area.right - area.left) // 4
    return head.fuse(torch.full((1, 19, 8, 8), context), torch.ones(1, 19, 8, 8),
                     torch.full((1, 19, rows, columns), detail), area, 0.5, (64, 64)).fused[0, 0]


def test_the_ring_around_the_crop_is_damped():
    """Context 1, detail 2: inside 2, far outside 1. The enlarged attention is 1/4 in the first cell outside,
    where there is no detail: 3/4 of the context are left. In the last one inside it is 3/4: 3/4·2 + 1/4."""
    row = fused(Area(16, 48, 16, 48), 1.0, 2.0)[8]
    assert row.tolist() == [1, 1, 1, 0.75, 1.75, *[2] * 6, 1.75, 0.75, 1, 1, 1]


def test_without_a_crop_nothing_is_damped():
    assert fused(Area(0, 64, 0, 64), 1.0, 2.0).unique().tolist() == [2.0]


def test_the_loss_of_the_context_is_of_what_attention_leaves():
    model = built(lr_loss_weight=0.25, hr_loss_weight=0.25, fixed_attention=1)
    [output] = model.outputs(picture(32, 32), crops=[Area(0, 16, 0, 16)])
    context = output.supervised['decode.lr'].logits
    assert torch.equal(context[..., :12, :12], torch.zeros_like(context[..., :12, :12]))
    assert (context[..., 20:, 20:] != 0).all()
    assert [one.weight for one in output.supervised.values()] == [0.5, 0.25, 0.25]


def test_losses_share_out_one():
    """A detail of ½ and the fusion of ½: together they are half of what each is alone."""
    shares = {}
    for share in (0.0, 0.5):
        model = built(hr_loss_weight=share)
        [output] = model.outputs(picture(32, 32), crops=[Area(8, 24, 8, 24)])
        shares[share] = supervise(output, label(4, 2, 32, 32, cell=4)).losses
    assert set(shares[0.0]) == {'decode.loss_seg'} and set(shares[0.5]) == {'decode.loss_seg',
                                                                           'decode.hr.loss_seg'}
    whole, half = (float(losses['decode.loss_seg'].detach()) for losses in shares.values())
    assert half == pytest.approx(whole / 2)


def test_a_detail_is_supervised_by_its_part_of_label_and_weight():
    model = built()
    crop = Area(8, 24, 16, 32)
    [output] = model.outputs(picture(32, 32), crops=[crop])
    classes, weight = label(4, 2, 32, 32, cell=4), torch.rand(2, 32, 32)
    expected = F.cross_entropy(output.supervised['decode.hr'].logits, crop.of(classes)[:, 0],
                               reduction='none', ignore_index=255) * crop.of(weight)
    found = supervise(output, classes, weight).losses['decode.hr.loss_seg']
    assert float(found.detach()) == pytest.approx(0.1 * float(expected.mean().detach()))


def test_the_feature_distance_of_all_is_a_sum_and_of_no_thing_0():
    """The released code gives NaN where a scale has no thing."""
    model, things = built(feature_scale='all'), 11
    [output] = model.outputs(picture(32, 32), crops=[Area(0, 16, 0, 16)])
    classes = torch.full((2, 1, 32, 32), 255)
    classes[..., 16:, 16:] = things  # not in the crop
    loss = FeatureDistanceLoss((things,), 0.5)
    seen = []

    def imagenet(img):
        seen.append(tuple(img.shape[2:]))
        return torch.zeros_like(output.views[0].features[-1])

    of_both = loss.of(output, dict(imagenet=imagenet, label=classes))
    assert seen == [(16, 16), (16, 16)]
    output.views = output.views[:1]
    of_context = loss.of(output, dict(imagenet=imagenet, label=classes))
    assert float(of_both.detach()) == float(of_context.detach()) > 0


# ------------------------------------------------------------------ inference


@torch.inference_mode()
def test_windows_within_a_bound_of_memory_are_all_windows():
    model = built().eval()
    expected = model.encode_decode(picture(40, 64))
    seen = []
    model.backbone.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    model.pixels_at_once = 5 * 16 * 16
    torch.testing.assert_close(model.encode_decode(picture(40, 64)), expected)
    # two contexts of 20×32, and 2 · 4 · 7 windows of 16×16
    assert sorted(seen) == [1, 2, *[5] * 11]
    model.pixels_at_once = 1
    torch.testing.assert_close(model.encode_decode(picture(40, 64)), expected)


@torch.inference_mode()
def test_batch_statistics_are_of_all_windows():
    """So the teacher's pseudo-labels do not depend on the bound of memory."""
    model = build_segmentor(hrda(32)).train()
    img = picture(64, 64)
    expected = model.encode_decode(img)
    model.pixels_at_once = 1
    torch.testing.assert_close(model.encode_decode(img), expected)


@torch.inference_mode()
def test_windows_of_the_test_in_one_batch_change_nothing():
    slide = dict(mode='slide', crop_size=(32, 32), stride=(16, 16))
    metas = [dict(META, ori_shape=(40, 64, 3))] * 2
    maps = [built(test_cfg=dict(slide, batched_slide=batched)).eval().inference(picture(40, 64), metas)
            for batched in (False, True)]
    torch.testing.assert_close(*maps)


def test_a_single_scale_network_is_a_start():
    seed_all(1)
    plain, model = build_segmentor(network()), build_segmentor(hrda(base=network()))
    names = model.start_names(plain.state_dict())
    assert {name for name in model.state_dict() if name not in names} == {
        name for name in model.state_dict() if name.startswith(model.may_start_without)}
    assert {*names} <= {*model.state_dict()}
    assert model.start_names(model.state_dict()).keys() == model.state_dict().keys()


def test_segformer_has_a_narrower_attention():
    segformer = network()
    segformer['decode_head'].update(type='SegFormerHead', decoder_params=dict(embed_dims=24))
    model = build_segmentor(hrda(64, segformer))
    [output] = model.outputs(image(3, 2, 128, 128))
    assert output.logits.shape == (2, 19, 128, 128)
    assert (model.decode_head.head.linear_pred.in_channels,
            model.decode_head.scale_attention.linear_pred.in_channels) == (24, 32)


# ------------------------------------------------------------------- configs


def test_building_leaves_the_config_as_it_is():
    cfg = hrda(64)
    before = copy.deepcopy(cfg)
    build_segmentor(cfg)
    assert cfg == before


@pytest.mark.parametrize('settings, message', [
    (dict(crop=None), 'hr_slide_inference needs model.hr_crop_size'),
    (dict(scales=(1, 0.5, 0.25)), r'scales is \[1, 0.5, 0.25\]'), (dict(scales=(1,)), r'scales is \[1\]'),
    (dict(scales=(0.5, 0.25)), 'expected 1 and'), (dict(feature_scale=0.75), "0.75, expected 'all'"),
    (dict(crop=20), r'hr_crop_size is \[20, 20\], expected height and width, multiples of 8'),
    (dict(hr_crop_size=(16,)), 'expected height and width'), (dict(hr_loss_weight=1.5), 'weight is 1.5'),
    (dict(hr_loss_weight=0.6, lr_loss_weight=0.6), 'lr_loss_weight is 0.6'),
    (dict(fixed_attention=2), 'fixed_attention is 2'), (dict(output_stride=None), 'output_stride is miss'),
    (dict(crop_coord_divisible=0), 'divisible is 0'), (dict(pixels_at_once=0), 'pixels_at_once is 0')])
def test_settings_that_do_not_go_together_are_told(settings, message):
    with pytest.raises(ConfigError, match=message):
        built(**settings)


@pytest.mark.parametrize('key, message', [
    ('hr_los_weight', "did you mean 'hr_loss_weight'"), ('in_chanels', "did you mean 'in_channels'")])
def test_a_misspelt_key_of_either_head_is_told(key, message):
    cfg = hrda()
    cfg['decode_head'][key] = 1
    with pytest.raises(ConfigError, match=message):
        build_segmentor(cfg)


def test_other_heads_and_auxiliary_ones_are_refused():
    for cfg in (dict(hrda(), decode_head=network()['decode_head']),
                dict(hrda(), auxiliary_head=tiny(auxiliary=True)['auxiliary_head'])):
        with pytest.raises(ConfigError, match="needs decode_head.type='HRDAHead' and no auxiliary_head"):
            build_segmentor(cfg)


def test_a_wrong_output_stride_is_told():
    seed_all(0)
    model = build_segmentor(hrda(base=tiny(), crop=16, output_stride=8))
    with pytest.raises(ConfigError, match='output_stride is 8, for which logits of 2x2 are expected.* 4x4'):
        model.outputs(picture(32, 32))


def test_crops_off_the_grid_are_warned_of_once(caplog):
    hrda_encoder_decoder._tell_misaligned_crops.cache_clear()
    with caplog.at_level(logging.WARNING, 'mmseg'), on_meta():
        for divisible in (8, 16, 8):
            build_segmentor(hrda_dlv2(crop_coord_divisible=divisible))
    assert [record.message.split(':')[0] for record in caplog.records] == ['model.crop_coord_divisible=8']
