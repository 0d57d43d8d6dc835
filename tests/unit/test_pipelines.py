from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from data_trees import NORM, blocky_label, random_image, save, test_pipeline
from PIL import Image

from mmseg.datasets.pipelines import Compose
from mmseg.datasets.pipelines.loading import count_values
from mmseg.utils import UserError

DATA = Path(__file__).resolve().parents[1] / 'data'


def run(transform: dict, img: np.ndarray, label: np.ndarray | None = None, **more) -> dict:
    results = dict(img=img, img_shape=img.shape, pad_shape=img.shape, seg_fields=[], **more)
    if label is not None:
        results.update(gt_semantic_seg=label, seg_fields=['gt_semantic_seg'])
    return Compose([transform])(results)


def load(path: Path, label: Path, **more) -> dict:
    steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', **more.pop('load', {}))]
    return Compose(steps)(dict(img_info=dict(filename=path.name), img_prefix=str(path.parent),
                               ann_info=dict(seg_map=label.name), seg_prefix=str(label.parent), **more))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_the_test_pipeline_gives_the_golden_values(tmp_path):
    golden = np.load(DATA / 'golden_test_pipeline.npz')
    draw = np.random.RandomState(4)
    picture = (np.kron(draw.rand(27, 48, 3), np.ones((40, 40, 1))) * 200
               + draw.rand(1080, 1920, 3) * 55).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'x.png'), picture)
    out = Compose(test_pipeline((960, 540)))(
        dict(img_info=dict(filename='x.png'), img_prefix=str(tmp_path)))
    img, metas = out['img'][0], out['img_metas'][0].data
    assert tuple(img.shape) == tuple(golden['shape'])
    np.testing.assert_allclose(img.numpy().ravel()[::331], golden['sample'], rtol=1e-4, atol=1e-6)
    assert metas['ori_shape'] == (1080, 1920, 3)
    assert metas['img_shape'] == (540, 960, 3)
    assert not metas['flip']
    assert metas['scale_factor'].tolist() == [0.5] * 4


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_images_decode_as_opencv_does(tmp_path, rng, suffix):
    path = save(tmp_path / f'a{suffix}', random_image(rng))
    out = Compose([dict(type='LoadImageFromFile')])(dict(img_info=dict(filename=str(path))))
    np.testing.assert_array_equal(out['img'], cv2.imread(str(path)))


def test_palette_labels_are_read_as_indices(tmp_path, rng):
    label = blocky_label(rng)
    picture = Image.fromarray(label)
    picture.putpalette(rng.integers(0, 256, 768).astype(np.uint8).tobytes())
    picture.save(tmp_path / 'label.png')
    image = save(tmp_path / 'a.png', random_image(rng))
    out = load(image, tmp_path / 'label.png')
    np.testing.assert_array_equal(out['gt_semantic_seg'], label)
    assert out['gt_semantic_seg'].dtype == np.uint8
    assert out['seg_fields'] == ['gt_semantic_seg']


def test_labels_are_renumbered_all_at_once(tmp_path, rng):
    label = np.array([[0, 1, 2, 255]], np.uint8)
    paths = save(tmp_path / 'a.png', random_image(rng, 1, 4)), save(tmp_path / 'l.png', label)
    swapped = load(*paths, label_map={0: 1, 1: 0, 2: -1})['gt_semantic_seg']
    assert swapped.tolist() == [[1, 0, 255, 255]]
    reduced = load(*paths, load=dict(reduce_zero_label=True))['gt_semantic_seg']
    assert reduced.tolist() == [[255, 0, 1, 255]]


def test_a_label_outside_the_classes_names_value_file_and_number(tmp_path, rng):
    label = blocky_label(rng)
    label[3, 4] = 19
    paths = save(tmp_path / 'a.png', random_image(rng)), save(tmp_path / 'odd.png', label)
    with pytest.raises(UserError, match=r'label value 19 in .*odd\.png is outside the 19 classes'):
        load(*paths, num_classes=19, ignore_index=255)
    load(*paths, num_classes=20, ignore_index=255)
    load(*paths, num_classes=19, ignore_index=19)


def test_sizes_that_differ_name_both_files(tmp_path, rng):
    paths = save(tmp_path / 'a.png', random_image(rng)), save(tmp_path / 'l.png', blocky_label(rng, 32, 56))
    with pytest.raises(UserError, match=r'a\.png is 64x32 but its label .*l\.png is 56x32'):
        load(*paths)


def test_colour_labels_are_refused(tmp_path, rng):
    paths = save(tmp_path / 'a.png', random_image(rng)), save(tmp_path / 'l.png', random_image(rng))
    with pytest.raises(UserError, match=r'l\.png has 3 channels'):
        load(*paths)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('kept', [0, 40, 200])
def test_a_corrupt_image_is_named(tmp_path, rng, suffix, kept):
    path = save(tmp_path / f'broken{suffix}', random_image(rng))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=rf'broken\{suffix}'):
        Compose([dict(type='LoadImageFromFile')])(dict(img_info=dict(filename=str(path))))


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(UserError, match=r'cannot read the image .*none\.png: No such file'):
        Compose([dict(type='LoadImageFromFile')])(dict(img_info=dict(filename=str(tmp_path / 'none.png'))))


def test_count_values_is_a_histogram(rng):
    label = rng.integers(0, 256, (37, 53)).astype(np.uint8)
    np.testing.assert_array_equal(count_values(label[::2]), np.bincount(label[::2].ravel(), minlength=256))


# ---- geometry ----


@pytest.mark.parametrize(('options', 'shape', 'factor'), [
    (dict(img_scale=(32, 32)), (16, 32), (0.5, 0.5)),  # 64x32 into 32x32: the long side decides
    (dict(img_scale=(32, 32), keep_ratio=False), (32, 32), (0.5, 1.0)),
    (dict(img_scale=(128, 64)), (64, 128), (2, 2)),
])
def test_resize(rng, options, shape, factor):
    out = run(dict(type='Resize', **options), random_image(rng), blocky_label(rng))
    assert out['img'].shape == (*shape, 3) == out['img_shape'] == out['pad_shape']
    assert out['gt_semantic_seg'].shape == shape
    assert out['scale_factor'].tolist() == [*factor, *factor]


def test_resized_labels_hold_no_new_values(rng):
    label = blocky_label(rng)
    out = run(dict(type='Resize', img_scale=(50, 25)), random_image(rng), label)
    assert set(np.unique(out['gt_semantic_seg'])) <= set(np.unique(label))


def test_resize_draws_scales_in_range(rng):
    widths = set()
    for seed in range(20):
        np.random.seed(seed)
        out = run(dict(type='Resize', img_scale=(64, 32), ratio_range=(0.5, 2.0)), random_image(rng))
        ratio = np.random.RandomState(seed).random_sample() * 1.5 + 0.5
        assert out['scale'] == (int(64 * ratio), int(32 * ratio))
        widths.add(out['img'].shape[1])
    assert len(widths) > 10
    np.random.seed(0)
    scale = run(dict(type='Resize', img_scale=[(64, 32), (96, 48)]), random_image(rng))['scale']
    assert 64 <= scale[0] <= 96
    assert 32 <= scale[1] <= 48
    scale = run(dict(type='Resize', img_scale=[(64, 32), (96, 48)], multiscale_mode='value'),
                random_image(rng))['scale']
    assert scale in [(64, 32), (96, 48)]


def test_bicubic_of_pillow_smooths_what_it_makes_smaller(rng):
    img, label = random_image(rng), blocky_label(rng)
    out = run(dict(type='Resize', img_scale=(32, 8), keep_ratio=False, interpolation='bicubic',
                   backend='pillow'), img, label)
    np.testing.assert_array_equal(out['img'], np.asarray(Image.fromarray(img).resize((32, 8), Image.BICUBIC)))
    np.testing.assert_array_equal(out['gt_semantic_seg'],
                                  np.asarray(Image.fromarray(label).resize((32, 8), Image.NEAREST)))


def test_a_second_resize_overrides_the_scale_of_the_first(rng):
    steps = [dict(type='Resize', ratio_range=(0.5, 0.5)),
             dict(type='Resize', img_scale=(20, 30), keep_ratio=False, override=True)]
    out = Compose(steps)(dict(img=random_image(rng), seg_fields=[]))
    assert out['img'].shape[:2] == (30, 20)
    assert out['scale'] == (20, 30)


def test_crop_draws_its_top_then_its_left(rng):
    img, label = random_image(rng), blocky_label(rng)
    np.random.seed(11)
    out = run(dict(type='RandomCrop', crop_size=(16, 20)), img, label)
    draw = np.random.RandomState(11)
    top, left = draw.randint(0, 32 - 16 + 1), draw.randint(0, 64 - 20 + 1)
    np.testing.assert_array_equal(out['img'], img[top:top + 16, left:left + 20])
    np.testing.assert_array_equal(out['gt_semantic_seg'], label[top:top + 16, left:left + 20])


def test_crop_looks_for_a_second_class(rng):
    label = np.zeros((32, 64), np.uint8)
    label[:, 32:] = 1
    label[:8] = 255  # ignored pixels do not count
    shares = []
    for seed in range(60):
        np.random.seed(seed)
        out = run(dict(type='RandomCrop', crop_size=(16, 16), cat_max_ratio=0.75), random_image(rng), label)
        counts = np.bincount(out['gt_semantic_seg'][out['gt_semantic_seg'] != 255], minlength=2)
        shares.append(counts.max() / counts.sum())
    # 7 of the 49 columns are good, and a crop has eleven tries: 1 - (42/49)^11 = 82 % succeed
    assert 0.65 < np.mean(np.array(shares) < 0.75) < 0.95


def test_crop_gives_up_after_eleven_windows(rng):
    np.random.seed(2)
    run(dict(type='RandomCrop', crop_size=(16, 16), cat_max_ratio=0.75), random_image(rng),
        np.zeros((32, 64), np.uint8))
    draw = np.random.RandomState(2)
    for _ in range(11):
        draw.randint(0, 17), draw.randint(0, 49)
    assert np.random.rand() == draw.rand()


def test_image_and_label_move_together(rng):
    """The label is painted into the image, so after any geometry they still agree."""
    label = rng.integers(0, 19, (32, 64)).astype(np.uint8)
    steps = Compose([
        dict(type='RandomCrop', crop_size=(24, 40)),
        dict(type='RandomFlip', prob=0.5),
        dict(type='Pad', size_divisor=32, pad_val=255, seg_pad_val=255),
        dict(type='RandomCutOut', prob=0.5, n_holes=(1, 3), cutout_shape=(5, 7), fill_in=(9, 9, 9),
             seg_fill_in=9)])
    flips = 0
    for seed in range(10):
        np.random.seed(seed)
        out = steps(dict(img=np.stack([label] * 3, -1), gt_semantic_seg=label,
                         seg_fields=['gt_semantic_seg']))
        assert out['img'].shape == (32, 64, 3) == out['pad_shape']
        np.testing.assert_array_equal(out['img'][..., 1], out['gt_semantic_seg'])
        flips += out['flip']
    assert 0 < flips < 10


def test_flip_follows_what_is_set_and_draws_nothing_then(rng):
    img = random_image(rng)
    np.random.seed(0)
    out = run(dict(type='RandomFlip'), img, flip=True, flip_direction='vertical')
    np.testing.assert_array_equal(out['img'], img[::-1])
    assert not run(dict(type='RandomFlip', prob=1.0), img, flip=False)['flip']
    assert np.random.rand() == np.random.RandomState(0).rand()


def test_pad_fills_below_and_right(rng):
    out = run(dict(type='Pad', size=(40, 70), pad_val=7, seg_pad_val=255), random_image(rng),
              blocky_label(rng))
    assert out['img'].shape == (40, 70, 3)
    assert (out['img'][32:] == 7).all()
    assert (out['gt_semantic_seg'][:, 64:] == 255).all()
    assert (out['gt_semantic_seg'][:32, :64] < 19).all()


def test_rotation_by_ninety_degrees(rng):
    img, label = random_image(rng, 33, 33), rng.integers(0, 19, (33, 33)).astype(np.uint8)
    out = run(dict(type='RandomRotate', prob=1.0, degree=(90, 90)), img, label)
    np.testing.assert_array_equal(out['gt_semantic_seg'], np.rot90(label, -1))
    uncovered = run(dict(type='RandomRotate', prob=1.0, degree=(45, 45), pad_val=7), img)['img']
    assert uncovered[0, 0].tolist() == [7, 7, 7]


def test_seg_rescale_halves_the_label_alone(rng):
    out = run(dict(type='SegRescale', scale_factor=0.5), random_image(rng), blocky_label(rng))
    assert out['gt_semantic_seg'].shape == (16, 32)
    assert out['img'].shape == (32, 64, 3)


# ---- values ----


def test_normalize_by_hand(rng):
    img = random_image(rng)
    out = run(dict(type='Normalize', **NORM), img)['img']
    expected = (img[..., ::-1].astype(np.float64) - NORM['mean']) / NORM['std']
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-6)
    assert out.dtype == np.float32


def test_photometric_distortion_changes_values_within_bounds(rng):
    img = random_image(rng)
    different = 0
    for seed in range(12):
        np.random.seed(seed)
        out = run(dict(type='PhotoMetricDistortion'), img)['img']
        assert out.dtype == np.uint8
        assert out.shape == img.shape
        different += not np.array_equal(out, img)
    assert different >= 9  # all four switches are off in one of 16


def test_brightness_alone_shifts_by_the_draw():
    class Fixed:
        """Brightness on, everything else off, contrast last."""

        def __init__(self):
            self.switches = iter([1, 0, 0, 0, 0])

        def randint(self, *_):
            return next(self.switches)

        def uniform(self, low, high):
            return high

    grey = np.full((4, 4, 3), 100, np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        fixed = Fixed()
        patch.setattr(np.random, 'randint', fixed.randint)
        patch.setattr(np.random, 'uniform', fixed.uniform)
        out = run(dict(type='PhotoMetricDistortion', brightness_delta=32), grey)['img']
    assert (out == 132).all()


def test_gamma_rerange_and_grey():
    img = np.array([[[0, 64, 255]]], np.uint8)
    gamma = run(dict(type='AdjustGamma', gamma=2.0), img)['img']
    assert gamma.tolist() == [[[0, int((64 / 255) ** 0.5 * 255), 255]]]
    assert run(dict(type='Rerange', max_value=1), img)['img'].ravel() == pytest.approx([0, 64 / 255, 1])
    assert (run(dict(type='Rerange'), np.full((2, 2, 3), 9, np.uint8))['img'] == 0).all()
    grey = run(dict(type='RGB2Gray', out_channels=2), img)['img']
    assert grey.tolist() == [[[int(64 * 0.587 + 255 * 0.114)] * 2]]


def test_clahe_works_on_each_channel(rng):
    img = random_image(rng)
    out = run(dict(type='CLAHE', clip_limit=40.0, tile_grid_size=(4, 4)), img)['img']
    expected = cv2.createCLAHE(40.0, (4, 4)).apply(np.ascontiguousarray(img[..., 2]))
    np.testing.assert_array_equal(out[..., 2], expected)


# ---- structure ----


def test_augmentation_at_test_time_is_listed_scale_by_scale(rng):
    img = random_image(rng)
    aug = Compose([dict(type='MultiScaleFlipAug', img_scale=(64, 32), img_ratios=[0.5, 1.0], flip=True,
                        transforms=[dict(type='Resize', keep_ratio=True), dict(type='RandomFlip'),
                                    dict(type='ImageToTensor', keys=['img'])])])
    out = aug(dict(img=img))
    assert [tuple(i.shape) for i in out['img']] == [(3, 16, 32)] * 2 + [(3, 32, 64)] * 2
    assert out['flip'] == [False, True, False, True]
    assert torch.equal(out['img'][3], out['img'][2].flip(-1))


def test_formatting_gives_tensors_to_stack(rng):
    img, label = random_image(rng), blocky_label(rng)
    steps = Compose([dict(type='DefaultFormatBundle'),
                     dict(type='Collect', keys=['img', 'gt_semantic_seg'], meta_keys=('img_shape', 'flip'))])
    out = steps(dict(img=img, gt_semantic_seg=label, img_shape=img.shape))
    assert out['img'].stack
    assert tuple(out['img'].data.shape) == (3, 32, 64)
    assert out['gt_semantic_seg'].data.dtype == torch.int64
    assert tuple(out['gt_semantic_seg'].data.shape) == (1, 32, 64)
    assert out['img_metas'].data == dict(img_shape=(32, 64, 3), flip=False)
    with pytest.raises(UserError, match="Collect: 'scale_factor' is missing"):
        Compose([dict(type='Collect', keys=['img'], meta_keys=('scale_factor',))])(dict(img=img))


def test_the_part_that_draws_nothing_is_split_off():
    steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
             dict(type='Resize', img_scale=(64, 32)), dict(type='RandomCrop', crop_size=(16, 16)),
             dict(type='Normalize', **NORM)]
    first, second = Compose(steps).split_deterministic()
    assert [type(t).__name__ for t in first.transforms] == ['LoadImageFromFile', 'LoadAnnotations', 'Resize']
    assert [type(t).__name__ for t in second.transforms] == ['RandomCrop', 'Normalize']
    steps[2]['ratio_range'] = (0.5, 2)
    assert len(Compose(steps).split_deterministic()[0].transforms) == 2


@pytest.mark.parametrize(('transform', 'message'), [
    (dict(type='RandomCorp', crop_size=(1, 1)), "did you mean 'RandomCrop'"),
    (dict(type='RandomCrop', crop_sise=(1, 1)), "did you mean 'crop_size'"),
    (dict(type='RandomFlip', prob=2), 'prob must be in 0 ... 1'),
    (dict(type='Pad'), 'either size or size_divisor'),
    (dict(type='Resize', img_scale=[(1, 1), (2, 2), (3, 3)]), 'two img_scale'),
    (dict(type='Resize', interpolation='cubic'), "interpolation 'cubic', expected bilinear or bicubic"),
    (dict(type='Resize', backend='pil'), "backend 'pil', expected cv2 or pillow"),
    ('flip', 'must be a dict or callable'),
])
def test_mistakes_in_a_pipeline(transform, message):
    with pytest.raises(UserError, match=message):
        Compose([transform])
