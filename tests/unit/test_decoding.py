"""The fast decoder gives the pixels of the slow ones, and knows when it cannot."""
from __future__ import annotations

import io
import struct
import zlib

import cv2
import mmcv
import numpy as np
import pytest
from PIL import Image

from mmseg.datasets.pipelines import decoding
from mmseg.datasets.pipelines.decoding import decode_image
from mmseg.utils import UserError

RGB = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
GREY, ALPHA = RGB[..., 0], RGB[..., 1:2]


def written(array: np.ndarray | Image.Image, suffix: str = 'png', **options) -> bytes:
    buffer = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(buffer, suffix, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))


def with_chunk(png: bytes, name: bytes, data: bytes, at: int = 33) -> bytes:
    return png[:at] + chunk(name, data) + png[at:]


def interlaced(grey: np.ndarray) -> bytes:
    """Adam7, which Pillow does not write: a 1x1 picture has its single pixel in the first pass."""
    header = struct.pack('>IIBBBBB', 1, 1, 8, 0, 0, 0, 1)
    return (decoding.PNG_SIGNATURE + chunk(b'IHDR', header)
            + chunk(b'IDAT', zlib.compress(bytes([0, grey[0, 0]]))) + chunk(b'IEND', b''))


def turned() -> bytes:
    """EXIF data that ask for a turn by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes().removeprefix(b'Exif\0\0')


FAST = {
    'rgb': written(RGB),
    'rgba': written(np.concatenate([RGB, ALPHA], -1)),
    'grey': written(GREY),
    'rgb with gamma': with_chunk(written(RGB), b'gAMA', struct.pack('>I', 45455)),
    'grey with text': with_chunk(written(GREY), b'tEXt', b'Software\0x'),
    'two chunks of data': written(np.tile(RGB, (9, 9, 1))),
}
SLOW = {
    'palette': written(Image.fromarray(RGB).quantize(16)),
    'one bit': written(Image.fromarray(GREY).convert('1')),
    'sixteen bits': written(GREY.astype(np.uint16) * 257 + 3),
    'grey with alpha': written(Image.fromarray(np.ascontiguousarray(RGB[..., :2]), 'LA')),
    'transparent rgb': with_chunk(written(RGB), b'tRNS', struct.pack('>HHH', *map(int, RGB[0, 0]))),
    'transparent grey': with_chunk(written(GREY), b'tRNS', struct.pack('>H', int(GREY[0, 0]))),
    'turned': with_chunk(written(RGB), b'eXIf', turned()),
    'turned, said at the end': with_chunk(written(RGB), b'eXIf', turned(), -12),
    'interlaced': interlaced(GREY),
    'jpeg': written(RGB, 'jpeg'),
    'turned jpeg': written(RGB, 'jpeg', exif=b'Exif\0\0' + turned()),
}


@pytest.mark.parametrize('backend, flag', [('cv2', 'color'), ('cv2', 'unchanged'), ('cv2', 'grayscale'),
                                           ('pillow', 'unchanged'), ('pillow', 'color')])
@pytest.mark.parametrize('kind', [*FAST, *SLOW])
def test_the_pixels_are_those_of_the_backend(kind, backend, flag):
    content = {**FAST, **SLOW}[kind]
    found = decode_image(content, 'x', flag, backend)
    expected = mmcv.imfrombytes(content, flag=flag, backend=backend)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    if (backend, flag) == ('cv2', 'color'):
        np.testing.assert_array_equal(found, cv2.imdecode(np.frombuffer(content, np.uint8), 1))


@pytest.mark.skipif(decoding.decode_image_png_u8 is None, reason='no kornia_rs with this decoder')
def test_who_decodes_what(monkeypatch):
    def slow(*_, **__):
        raise OSError('the slow decoder')
    monkeypatch.setattr(mmcv, 'imfrombytes', slow)
    for kind, content in FAST.items():
        assert decode_image(content, kind).ndim == 3
    for backend in ('cv2', 'pillow'):
        np.testing.assert_array_equal(decode_image(FAST['grey'], 'x', 'unchanged', backend), GREY)
    for kind, content in SLOW.items():
        with pytest.raises(UserError, match=kind):
            decode_image(content, kind)


def test_without_the_fast_decoder_opencv_does_it(monkeypatch):
    monkeypatch.setattr(decoding, 'decode_image_png_u8', None)
    np.testing.assert_array_equal(decode_image(FAST['rgb'], 'x'), RGB[..., ::-1])
    np.testing.assert_array_equal(decode_image(FAST['grey'], 'x', 'unchanged', 'pillow'), GREY)


@pytest.mark.parametrize('damage', ['cut', 'cut in the header', 'changed'])
def test_a_damaged_file_ends_in_one_line_and_leaves_stderr_alone(capfd, damage):
    content = FAST['rgb']
    damaged = {'cut': content[:-900], 'cut in the header': content[:30],
               'changed': content[:900] + bytes([content[900] ^ 1]) + content[901:]}[damage]
    with pytest.raises(UserError, match=r'cannot decode the image town\.png \(\d+ bytes\)'):
        decode_image(damaged, 'town.png')
    if damage != 'cut in the header':
        assert capfd.readouterr().err == ''


def test_labels_that_pillow_can_still_read_are_read():
    """A label whose last chunk is missing: the reference implementation trains on it."""
    np.testing.assert_array_equal(decode_image(FAST['grey'][:-12], 'x', 'unchanged', 'pillow'), GREY)
