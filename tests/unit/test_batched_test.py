"""Testing in batches, in reduced precision and in little memory."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.parallel import DataContainer
from test_test_program import call, predictions, results, run_dir  # noqa: F401 (fixtures)
from tiny_run import MODEL, NAMES
from torch.utils.data import Dataset

from mmseg.datasets.loading.size_groups import build_test_loader, sized_batches
from mmseg.engine.class_maps import class_maps, reduced_precision
from mmseg.engine.evaluation import run_test
from mmseg.models import build_segmentor
from mmseg.models.segmentors import EncoderDecoder
from mmseg.utils import UserError


@pytest.fixture(scope='module')
def model() -> EncoderDecoder:
    torch.manual_seed(0)
    return build_segmentor({**MODEL, 'pretrained': None}).eval()


class Images(Dataset):
    """Noise of the given sizes (height, width), made when it is asked for; labels are class 3."""

    CLASSES, PALETTE, ignore_index = tuple('abcdefghijklmnopqrs'), [[0, 0, 0]] * 19, 255

    def __init__(self, sizes):
        self.sizes, self.read = sizes, []

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        img = torch.rand(3, *self.sizes[index], generator=torch.Generator().manual_seed(index)) * 4 - 2
        meta = dict(ori_filename=f'{index}.png', ori_shape=(*self.sizes[index], 3), flip=False)
        return {'img': [img], 'img_metas': [DataContainer(meta, cpu_only=True)]}

    def get_gt_seg_map(self, index):
        self.read.append(index)
        return np.full(self.sizes[index], 3, np.uint8)


MIXED = [(32, 32), (32, 64), (32, 32), (64, 32), (32, 64), (32, 32), (32, 32)]


@pytest.mark.parametrize('size', [1, 4])
def test_batches_of_mixed_sizes_give_each_image_its_map(model, size):
    dataset = Images(MIXED)
    found = run_test(model, build_test_loader(dataset, size, 0), 'cpu', keep_predictions=True, progress=False)
    assert sorted(found.indices) == list(range(7))
    assert sorted(dataset.read) == list(range(7))  # each label once
    total = sum(h * w for h, w in MIXED)
    assert int(found.matrix.matrix[3].sum()) == total
    for index, seg in zip(found.indices, found.predictions):
        with torch.no_grad():
            alone = model.encode_decode(dataset[index]['img'][0][None]).argmax(1)[0].numpy()
        assert seg.dtype == np.uint8
        assert np.mean(seg != alone) < 1e-3  # rounding may decide a tie


def test_images_of_one_size_share_a_pass():
    batches = list(sized_batches(build_test_loader(Images(MIXED), 4, 0), 'cpu'))
    assert [indices for indices, _ in batches] == [[0, 2], [1], [3], [4], [5, 6]]
    assert [tuple(data['img'][0].shape) for _, data in batches][:2] == [(2, 3, 32, 32), (1, 3, 32, 64)]


def test_maps_stay_where_the_network_is(model):
    with torch.no_grad():
        maps = class_maps(model, [torch.rand(2, 3, 32, 64)], [[dict(ori_shape=(48, 80, 3))] * 2])
    assert isinstance(maps, torch.Tensor)
    assert maps.shape == (2, 48, 80)


def test_a_network_that_predicts_in_its_own_way_is_left_to_it(model, monkeypatch):
    class Own(EncoderDecoder):
        def simple_test(self, *_):
            return ['mine']
    own = Own(**{k: v for k, v in MODEL.items() if k not in ('type', 'pretrained')}).eval()
    assert class_maps(own, [torch.rand(1, 3, 32, 32)], [[dict(ori_shape=(32, 32, 3))]]) == ['mine']


def test_reduced_precision_ends_in_float32_logits(model):
    img, metas = torch.rand(1, 3, 64, 64), [dict(ori_shape=(64, 64, 3))]
    seen = []
    hook = model.decode_head.linear_fuse.register_forward_hook if hasattr(
        model.decode_head, 'linear_fuse') else model.backbone.register_forward_hook
    handle = hook(lambda m, i, out: seen.append((out[-1] if isinstance(out, list | tuple) else out).dtype))
    with torch.no_grad():
        exact = model.inference_logits(img, metas, True)
        with reduced_precision(model, 'cpu', 'bfloat16'):
            coarse = model.inference_logits(img, metas, True)
        again = model.inference_logits(img, metas, True)
    handle.remove()
    assert coarse.dtype == torch.float32
    assert torch.equal(again, exact)
    assert 0 < (coarse - exact).abs().max() < 0.1 * exact.abs().max()
    with pytest.raises(UserError, match="amp is 'int8', expected bfloat16 or float16"), \
            reduced_precision(model, 'cpu', 'int8'):
        pass


def test_the_program_takes_batches_and_precision(call, run_dir, tmp_path):  # noqa: F811
    small = cv2.imread(str(run_dir.parent / f'data/leftImg8bit/val/{NAMES[1]}_leftImg8bit.png'))[:32]
    label = run_dir.parent / f'data/gtFine/val/{NAMES[1]}_gtFine_labelTrainIds.png'
    cv2.imwrite(str(run_dir.parent / f'data/leftImg8bit/val/{NAMES[1]}_leftImg8bit.png'), small)
    cv2.imwrite(str(label), cv2.imread(str(label), 0)[:32])
    one, two = predictions(call, tmp_path), predictions(call, tmp_path, '--batch-size', '2')
    assert [m.shape for m in two] == [(64, 128), (32, 128), (64, 128)]
    assert all(np.mean(a != b) < 1e-3 for a, b in zip(one, two))
    half = predictions(call, tmp_path, '--amp', 'bfloat16', '--batch-size', '3')
    assert all(np.mean(a != b) < 0.1 for a, b in zip(one, half))
    assert any((a != b).any() for a, b in zip(one, half))
    call('--batch-size', '3')
    call()
    first, second = (np.array(r['confusion_matrix']) for r in results(run_dir))
    assert np.abs(first - second).sum() < 20
    assert 'expected at least 1' in call('--batch-size', '0', code=1)


def memory() -> int:
    """Bytes of this process in memory."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='reads the memory from /proc')
def test_memory_does_not_grow_with_the_number_of_images(model):
    """Predictions that are kept as int64 would make it grow by 1 MB an image. Medians, as freed memory
    goes back to the system when that pleases the C library."""
    class Watched(Images):
        seen = []

        def __getitem__(self, index):
            self.seen.append(memory())
            return super().__getitem__(index)

    class Stub(EncoderDecoder):
        def encode_decode(self, img, img_metas=None):
            return torch.cat([img] * 6 + [img[:, :1]], 1)
    network = Stub(**{k: v for k, v in MODEL.items() if k not in ('type', 'pretrained')}).eval()
    dataset = Watched([(256, 512)] * 60)
    run_test(network, build_test_loader(dataset, 1, 0), 'cpu', progress=False)
    assert len(dataset.seen) == 60
    assert np.median(dataset.seen[40:]) - np.median(dataset.seen[10:30]) < 25e6
