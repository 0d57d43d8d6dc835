"""CamVid in both layouts; on the real frames where they are at hand."""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data_trees import blocky_label, random_image, save, test_pipeline, train_pipeline
from mmcv import Config

from mmseg.datasets import build_dataset, build_train_loader, unwrap_batch
from mmseg.utils import UserError
from tools.convert_datasets import camvid as converter

REPO = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get('CAMVID_ROOT', REPO.parent / 'shared' / 'data' / 'camvid'))
CONFIG = REPO / 'configs/_base_/datasets/uda_camvid_day_to_dusk_256x256.py'


def tree(root: Path, layout: str) -> Path:
    rng = np.random.default_rng(0)
    for number in range(2):
        label = blocky_label(rng, classes=11)
        label[:4] = 11  # unlabelled
        if layout == 'folders':
            image, path = f'day/images/{number}.jpg', f'day/labels/{number}.png'
        else:
            image, path = f'train/{number}.png', f'trainannot/{number}.png'
        save(root / image, random_image(rng))
        save(root / path, label)
    return root


def cfg(root: Path, img_dir: str, **kwargs) -> dict:
    return dict(type='CamVidDataset', data_root=str(root), img_dir=img_dir,
                pipeline=train_pipeline((32, 64)), **kwargs)


def convert(monkeypatch, *args) -> int:
    monkeypatch.setattr(sys, 'argv', ['camvid.py', *map(str, args)])
    with pytest.raises(SystemExit) as end:
        converter.main()
    return end.value.code


@pytest.mark.parametrize(('layout', 'img_dir', 'more'), [
    ('folders', 'day', {}),
    ('folders', 'day/images', {}),
    ('folders', 'day/images/', dict(ann_dir='day/labels/')),
    ('segnet', 'train', {}),
    ('segnet', 'train', dict(ann_dir='trainannot', img_suffix='.png')),
])
def test_both_layouts_are_read(tmp_path, layout, img_dir, more):
    dataset = build_dataset(cfg(tree(tmp_path, layout), img_dir, **more))
    assert len(dataset) == 2
    assert dataset.CLASSES[:2] == ('sky', 'building')
    assert len(dataset.CLASSES) == 11
    label = dataset.get_gt_seg_map(0)
    assert (label[:4] == 255).all()
    assert label[4:].max() < 11
    assert set(np.unique(dataset[0]['gt_semantic_seg'].data)) <= {*range(11), 255}


def test_twelve_is_no_class(tmp_path):
    root = tree(tmp_path, 'folders')
    save(root / 'day/labels/0.png', np.full((32, 64), 12, np.uint8))
    with pytest.raises(UserError, match='label value 12 in .*0.png is outside the 11 classes'):
        build_dataset(cfg(root, 'day'))[0]


@pytest.mark.parametrize('layout', ['folders', 'segnet'])
def test_statistics_leave_unlabelled_pixels_out(tmp_path, monkeypatch, layout):
    root = tree(tmp_path, layout)
    assert convert(monkeypatch, root, '--nproc', 1) == 0
    stats = json.loads((root / 'sample_class_stats_dict.json').read_text())
    assert len(stats) == 2
    for counts in stats.values():
        assert '11' not in counts
        assert sum(counts.values()) == (32 - 4) * 64


def test_a_missing_folder_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    assert convert(monkeypatch, tmp_path) == 1
    assert capsys.readouterr().err.startswith('error: no day/labels and no trainannot in')


@pytest.fixture
def download(tmp_path) -> Path:
    """The SegNet tutorial's folders, with the frames that CamVid has of each sequence."""
    names = dict(train=[*(f'0006R0_f{n:05d}' for n in range(930, 3931, 30)),
                        *(f'0016E5_{n:05d}' for n in range(390, 6511, 30)),
                        *(f'0001TP_{n:06d}' for n in range(6690, 8521, 30))],
                 val=[f'0016E5_{n:05d}' for n in range(7959, 8160, 2)],
                 test=[*(f'0001TP_{n:06d}' for n in range(8550, 10381, 30)),
                       *(f'Seq05VD_f{n:05d}' for n in range(0, 5101, 30))])
    names['train'].remove('0016E5_06510')
    rng = np.random.default_rng(0)
    for split, stems in names.items():
        image, label = random_image(rng), blocky_label(rng, classes=11)
        for stem in stems:
            save(tmp_path / split / f'{stem}.png', image)
            save(tmp_path / f'{split}annot' / f'{stem}.png', label)
    return tmp_path


def test_day_and_dusk_out_of_the_public_download(download, monkeypatch):
    mine = save(download / 'day/images/0006R0_f00930.png', random_image(np.random.default_rng(1)))
    before = mine.read_bytes()
    for _ in range(2):  # the second run changes nothing
        assert convert(monkeypatch, download, '--day-and-dusk', '--nproc', 1) == 0
    assert mine.read_bytes() == before
    stats = json.loads((download / 'sample_class_stats_dict.json').read_text())
    assert len(stats) == 305 and all(path.startswith('day/labels/') for path in stats)
    data = Config.fromfile(CONFIG)._cfg_dict.to_dict()['data']
    with_root(data, download)
    data['train']['rare_class_sampling'] = None
    pairs = build_dataset(data['train'])
    val = build_dataset(data['val'], dict(test_mode=True))
    assert (len(pairs.source), len(pairs.target), len(val)) == (305, 62, 32)
    stems = [Path(info['filename']).stem for info in val.img_infos]
    assert [stems[place] for place in (0, 1, 7, 8, -1)] == [
        f'0001TP_{number}' for number in ('008550', '008580', '008760', '009030', '010200')]
    moved = download.rename(download.with_name('moved'))
    assert (moved / 'dusk_val/labels/0001TP_009030.png').is_file(), 'the links are relative'


@pytest.mark.skipif(not (REAL / 'day').is_dir(), reason='CamVid is not here')
def test_the_frames_are_those_that_were_measured():
    for part, split in (('day', 'train'), ('dusk_train', 'train'), ('dusk_val', 'test')):
        names = sorted(path.name for path in (REAL / part / 'images').iterdir())
        assert len(names) == converter.FRAMES[part]
        assert {converter.part_of(split, name) for name in names} == {part}


@pytest.mark.parametrize('lost, told', [
    ('train/0001TP_006690.png', '61 of the 62 frames of dusk_train'),
    ('testannot/0001TP_008550.png', '0001TP_008550.png is missing')])
def test_a_part_of_the_download_is_told_in_one_line(download, monkeypatch, capsys, lost, told):
    (download / lost).unlink()
    assert convert(monkeypatch, download, '--day-and-dusk') == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and told in line and 'is the download whole?' in line
    assert not (download / 'day').exists()


def with_root(node: dict, root: Path) -> None:
    for key, value in node.items():
        if key == 'data_root':
            node[key] = str(root)
        elif isinstance(value, dict):
            with_root(value, root)


@pytest.mark.skipif(not (REAL / 'day').is_dir(), reason='CamVid is not here')
def test_the_real_frames_load_through_the_config(tmp_path, monkeypatch):
    assert convert(monkeypatch, REAL, '-o', tmp_path, '--nproc', 2) == 0
    data = Config.fromfile(CONFIG)._cfg_dict.to_dict()['data']
    with_root(data, REAL)
    data['train']['rare_class_sampling'] = dict(min_pixels=500, class_temp=0.01, min_crop_ratio=0.5,
                                                stats_dir=str(tmp_path))
    pairs = build_dataset(data['train'])
    assert (len(pairs.source), len(pairs.target)) == (305, 62)
    assert set(pairs.sampler.classes[:3]) == {10, 9, 2}  # bicyclist, pedestrian, pole
    batch = unwrap_batch(next(iter(build_train_loader(pairs, 2, 0, seed=0, max_steps=1))), 'cpu')
    assert tuple(batch['img'].shape) == tuple(batch['target_img'].shape) == (2, 3, 256, 256)
    assert torch.isin(batch['gt_semantic_seg'], torch.tensor([*range(11), 255])).all()
    val = build_dataset({**data['val'], 'pipeline': test_pipeline((480, 360))}, dict(test_mode=True))
    assert len(val) == 32
    assert tuple(val[0]['img'][0].shape) == (3, 360, 480)
    scores = val.evaluate(val.get_gt_seg_maps(), logger='silent')
    assert scores['mIoU'] == 1.0
