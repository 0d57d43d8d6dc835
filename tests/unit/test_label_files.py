"""Label maps are numbers: what a file stores is what is read, or the file is refused."""
from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg.core.evaluation.metrics import eval_metrics
from mmseg.datasets import build_dataset
from mmseg.datasets.pipelines.loading import read_label
from mmseg.datasets.preparation.inspection import inspect
from mmseg.utils import UserError

LABEL = np.arange(6, dtype=np.uint8).reshape(2, 3)


def packed_png(values: np.ndarray, depth: int) -> bytes:
    """A grey PNG of ``depth`` bits a pixel, by the letter of the format."""
    rows = b''
    for row in values:
        bits = ''.join(f'{value:0{depth}b}' for value in row)
        bits += '0' * (-len(bits) % 8)
        rows += b'\0' + int(bits, 2).to_bytes(len(bits) // 8, 'big')
    height, width = values.shape
    chunks = ((b'IHDR', struct.pack('>IIBBBBB', width, height, depth, 0, 0, 0, 0)),
              (b'IDAT', zlib.compress(rows)), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
        for name, data in chunks)


def encoded(picture: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **options)
    return file.getvalue()


def tiff_with(tag: int, value: int, picture: np.ndarray) -> bytes:
    """A TIFF with another value of one tag (a short)."""
    content = bytearray(encoded(picture, 'TIFF', tiffinfo={tag: 1}))
    place = content.index(struct.pack('<HHI', tag, 3, 1)) + 8
    content[place:place + 2] = struct.pack('<H', value)
    return bytes(content)


@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
@pytest.mark.parametrize('depth', [1, 2, 4, 8])
def test_packed_grey_pngs_give_what_they_store(tmp_path, depth, backend):
    values = np.arange(35).reshape(5, 7) % 2 ** depth
    (tmp_path / 'x.png').write_bytes(packed_png(values, depth))
    label = read_label(str(tmp_path / 'x.png'), backend)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, values)


@pytest.mark.parametrize('content', [
    encoded(LABEL, 'PNG'), encoded(LABEL, 'BMP'), encoded(LABEL, 'TIFF', compression='tiff_lzw'),
    encoded(LABEL.astype(np.int32), 'TIFF'), encoded(LABEL.astype(np.float32), 'TIFF'),
    encoded(LABEL, 'PPM'), b'P2 3 2 255\n0 1 2 3 4 5\n', encoded(LABEL, 'GIF'),
    encoded(LABEL.astype(np.uint16), 'PNG')])
def test_exact_formats_are_read(tmp_path, content):
    (tmp_path / 'x').write_bytes(content)
    np.testing.assert_array_equal(read_label(str(tmp_path / 'x')), LABEL)


@pytest.mark.parametrize('content, message', [
    (encoded(LABEL, 'JPEG'), 'is a JPEG file, whose lossy compression'),
    (encoded(LABEL, 'JPEG2000'), 'is a JPEG2000 file, whose lossy compression'),
    (encoded(np.stack([LABEL] * 3, -1), 'WEBP'), 'is a WEBP file, whose lossy compression'),
    (encoded(np.stack([LABEL] * 3, -1), 'WEBP', lossless=True), 'has 3 channels'),
    (encoded(LABEL, 'TIFF', compression='jpeg'), 'compressed as jpeg'),
    (encoded(LABEL + np.float32(0.5), 'TIFF'), 'has the value 0.5, expected whole numbers'),
    (encoded(np.where(LABEL == 2, np.nan, LABEL).astype(np.float32), 'TIFF'), 'has the value nan'),
    (encoded(LABEL.astype(np.int32) - 1, 'TIFF'), 'has the value -1'),
    (encoded(LABEL.astype(np.int32) + 254, 'TIFF'), 'has the value 256'),
    (tiff_with(339, 2, LABEL - np.uint8(1)), 'has the value -1'),
    (encoded(Image.fromarray(LABEL), 'TIFF', tiffinfo={262: 0}), 'whose white is 0'),
    (b'P5 3 2 15\n' + LABEL.tobytes(), 'Netpbm file whose values decoders change'),
    (b'P4 8 1\n\xaa', 'Netpbm file whose values decoders change')])
def test_what_would_not_come_back_exactly_is_refused(tmp_path, content, message):
    (tmp_path / 'x').write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_label(str(tmp_path / 'x'))


def test_labels_by_path_are_read_like_others(tmp_path):
    """By scripts of the reference implementation, which give file names to the evaluation."""
    (tmp_path / 'x.png').write_bytes(packed_png(LABEL % 4, 2))
    assert eval_metrics([LABEL % 4], [str(tmp_path / 'x.png')], 4, 255)['aAcc'] == 1
    (tmp_path / 'x.jpg').write_bytes(encoded(LABEL, 'JPEG'))
    with pytest.raises(UserError, match='lossy'):
        eval_metrics([LABEL], [str(tmp_path / 'x.jpg')], 6, 255)


# ---- photos that EXIF data turn


def turned_photo(path, size: tuple[int, int], orientation: int, kind: str = 'JPEG') -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, kind, exif=exif)


def one_photo(tmp_path, size, orientation, label_size, kind='JPEG', **load):
    for folder in ('img', 'ann'):
        (tmp_path / folder).mkdir()
    turned_photo(tmp_path / 'img/x.jpg', size, orientation, kind)
    cv2.imwrite(str(tmp_path / 'ann/x.png'), np.zeros(label_size, np.uint8))
    return dict(type='CustomDataset', data_root=str(tmp_path), img_dir='img', ann_dir='ann', classes=['a'],
                pipeline=[dict(type='LoadImageFromFile', **load), dict(type='LoadAnnotations')])


@pytest.mark.parametrize('orientation, size', [(3, (4, 6)), (2, (4, 6)), (6, (4, 4)), (6, (4, 6))])
@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_a_turned_photo_of_a_label_that_is_not_is_refused(tmp_path, orientation, size, kind):
    cfg = one_photo(tmp_path, size, orientation, size, kind)
    dataset = build_dataset(cfg)
    for read in (dataset.__getitem__, dataset.get_gt_seg_map):
        with pytest.raises(UserError, match=rf'turned by its EXIF orientation \({orientation}\)'):
            read(0)
    assert 'EXIF' in inspect(cfg, 'train', quick=True).errors[0]


@pytest.mark.parametrize('orientation, load', [(1, {}), (3, dict(color_type='unchanged')), (8, {})])
def test_photos_that_fit_to_their_label_are_taken(tmp_path, orientation, load):
    """Not turned at all, stored so and read so, or with a label of the turned photo."""
    label_size = (6, 4) if orientation == 8 else (4, 6)
    cfg = one_photo(tmp_path, (4, 6), orientation, label_size, **load)
    dataset = build_dataset(cfg)
    assert dataset[0]['img'].shape[:2] == dataset.get_gt_seg_map(0).shape == label_size
    assert inspect(cfg, 'train', quick=True).errors == []
