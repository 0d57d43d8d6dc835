"""Images that are damaged, claim to be huge or lie outside the data root."""
from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import torch
from mmcv.parallel import DataContainer
from torch.utils.data import Dataset

from mmseg.datasets import CustomDataset
from mmseg.datasets.loading.image_header import LIMIT_NAME, refuse_huge_image
from mmseg.datasets.loading.loader import build_train_loader, unwrap_batch
from mmseg.datasets.pipelines.decoding import decode_image
from mmseg.datasets.preparation.class_stats import LabelIndex
from mmseg.utils import UserError
from mmseg.utils.errors import BadFile


class Pictures(Dataset):
    """Twenty items, each of which draws a number; some are bad."""

    def __init__(self, bad=()):
        self.bad = bad

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index in self.bad:
            raise BadFile(f'cannot decode the image {index}.png')
        return dict(img=DataContainer(torch.tensor([float(index), np.random.rand()]),
                                      stack=True, pad_dims=None),
                    img_metas=DataContainer({'filename': f'{index}.png'}, cpu_only=True))


def batches(bad, workers, policy='skip', start=0) -> list:
    loader = build_train_loader(Pictures(bad), 2, workers, seed=1, start_step=start, max_steps=10,
                                bad_image=policy)
    return [unwrap_batch(batch, 'cpu') for batch in loader]


def test_a_bad_image_is_replaced_by_the_same_other_one_however_the_run_goes_on():
    whole, bad = batches((), 0), (3, 8)
    found = batches(bad, 0)
    again = batches(bad, 1, start=4)
    replaced = 0
    for step, (batch, undisturbed) in enumerate(zip(found, whole)):
        for n, meta in enumerate(batch['img_metas']):
            if 'replaced' in meta:
                replaced += 1
                index = int(undisturbed['img'][n, 0])
                assert index in bad and meta['replaced'][0] == f'cannot decode the image {index}.png'
                assert int(batch['img'][n, 0]) not in bad
            else:
                assert torch.equal(batch['img'][n], undisturbed['img'][n])
        if step >= 4:
            assert torch.equal(batch['img'], again[step - 4]['img'])
    assert replaced == 2, 'ten steps of two are each of the twenty items once'


@pytest.mark.parametrize('workers', [0, 1])
def test_a_bad_image_stops_the_run_with_its_name(workers):
    with pytest.raises(UserError) as told:
        batches((3,), workers, 'stop')
    assert str(told.value) == 'cannot decode the image 3.png'


def test_only_bad_images_are_no_bad_luck():
    with pytest.raises(UserError, match='10 images in a row.*cannot decode'):
        batches(range(20), 0)


def png_of(width: int, height: int) -> bytes:
    """A PNG of no pixel that says it is so big."""
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(b'')), chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


@pytest.mark.parametrize('size', [(60_000, 60_000), (2 ** 31 - 1, 2 ** 31 - 1), (200_000_000, 1),
                                  (12_000, 12_000)])
@pytest.mark.parametrize('decoder', [('color', 'cv2'), ('unchanged', 'pillow')])
def test_an_image_that_claims_to_be_huge_is_not_decoded(size, decoder):
    with pytest.raises(BadFile, match=rf'bomb.png .*pixels.*{LIMIT_NAME}'):
        decode_image(png_of(*size), 'bomb.png', *decoder)


def test_the_limit_of_pixels_can_be_set(monkeypatch):
    refuse_huge_image(png_of(30, 30), 'small.png')
    monkeypatch.setenv(LIMIT_NAME, '899')
    with pytest.raises(BadFile, match='30x30'):
        refuse_huge_image(png_of(30, 30), 'small.png')
    monkeypatch.setenv(LIMIT_NAME, 'many')
    with pytest.raises(UserError, match="'many'"):
        refuse_huge_image(png_of(30, 30), 'small.png')


@pytest.mark.parametrize('name, inside', [
    ('a', True), ('sub/../a', True), ('../elsewhere/a', True), ('{root}/img/a', True),
    ('../../secret', False), ('/etc/passwd', False), ('{root}-other/a', False)])
def test_a_list_of_images_names_none_outside_the_data_root(tmp_path, name, inside):
    root = tmp_path / 'data'
    (root / 'img').mkdir(parents=True)
    (root / 'list.txt').write_text(name.format(root=root) + '\n')
    make = dict(pipeline=[], img_dir='img', data_root=str(root), split='list.txt', test_mode=True,
                img_suffix='.png', ann_dir='label')
    if inside:
        assert len(CustomDataset(**make)) == 1
    else:
        with pytest.raises(UserError, match=r'list.txt names .* outside of .*data'):
            CustomDataset(**make)


def test_statistics_name_images_of_the_data_set_alone(tmp_path):
    """They are compared with its files, and nothing is opened by their names."""
    index = LabelIndex([str(tmp_path / 'gt' / city / 'a_label.png') for city in ('ulm', 'bonn')])
    assert index.find('gt/bonn/a_label.png') == index.find(f'{tmp_path}/gt/bonn/a_label.png') == [1]
    assert index.find('/where/it/was/before/gt/ulm/a_label.png') == [0]
    for path in ('/etc/passwd', '../../secret.png', '..', ''):
        assert index.find(path) == []
