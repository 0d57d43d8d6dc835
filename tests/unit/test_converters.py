"""The converters of all data sets but Cityscapes, on tiny trees; what holds for each of them."""
from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from data_trees import LABEL_IDS, acdc, blocky_label, cityscapes, save, train_pipeline
from download_trees import RAIN, SYNTHIA_IDS, gta, synthia, weather
from PIL import Image
from tqdm import tqdm

from mmseg.datasets import build_dataset
from mmseg.datasets.preparation.labels import left_out, png_size
from mmseg.utils import UserError

STATS = ('sample_class_stats.json', 'sample_class_stats_dict.json', 'samples_with_class.json')
# name: (tree, folder of the statistics, number of label maps, of these in the statistics)
KINDS = {
    'gta': (gta, '.', 4, 4),
    'synthia': (synthia, '.', 3, 3),
    'acdc': (acdc, '.', 8, 4),
    'foggy': (lambda root: weather(root, 'foggy'), 'leftImg8bit_foggy', 3, 2),
    'rain': (lambda root: weather(root, 'rain'), 'leftImg8bit_rain', 3, 2),
    'cityscapes': (lambda root: cityscapes(root, converted=False), '.', 5, 3),
}


def convert(kind: str, *args, code: int = 0) -> None:
    program = importlib.import_module(f'tools.convert_datasets.{kind}')
    with pytest.raises(SystemExit) as end:
        program.main([*map(str, args), '--nproc', '1'])
    assert end.value.code == code


def error_of(capsys) -> str:
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    return errors[0]


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob('*')) if p.is_file()}


@pytest.mark.parametrize('kind', KINDS)
def test_statistics_are_a_recount_of_the_label_maps(kind, tmp_path):
    tree, folder, maps, counted = KINDS[kind]
    root = tree(tmp_path / kind)
    convert(kind, root)
    outputs = sorted(p for p in root.rglob('*_labelTrainIds.png'))
    assert len(outputs) == maps
    training = [p for p in outputs if kind in ('gta', 'synthia') or 'train' in p.parts]
    assert len(training) == counted
    expected = []
    for path in training:
        values, counts = np.unique(np.array(Image.open(path)), return_counts=True)
        assert values.max() < 19
        expected.append({**{str(v): int(n) for v, n in zip(values, counts)},
                         'file': str(path.relative_to(root))})
    entries, by_path, with_class = (json.loads((root / folder / name).read_text()) for name in STATS)
    assert entries == sorted(expected, key=lambda entry: entry['file'])
    assert by_path == {e['file']: {k: v for k, v in e.items() if k != 'file'} for e in entries}
    assert with_class['13'] == [[e['file'], e['13']] for e in entries if '13' in e]


@pytest.mark.parametrize('kind', KINDS)
def test_a_second_run_rewrites_nothing_and_a_damaged_output_is_made_again(kind, tmp_path):
    root = KINDS[kind][0](tmp_path / kind)
    if kind == 'acdc':  # its label maps are part of the download; here they are made from the ids
        for path in list(root.rglob('*_gt_labelTrainIds.png')):
            ids = np.array(LABEL_IDS, np.uint8)[np.array(Image.open(path))]
            save(path.with_name(path.name.replace('TrainIds', 'Ids')), ids)
            path.unlink()
    convert(kind, root)
    before, times = contents(root), {p: p.stat().st_mtime_ns for p in root.rglob('*.*')}
    convert(kind, root)
    assert contents(root) == before
    assert {p: p.stat().st_mtime_ns for p in root.rglob('*.*')} == times
    if kind != 'acdc':
        damaged = sorted(root.rglob('*_labelTrainIds.png'))[0]
        damaged.write_bytes(damaged.read_bytes()[:50])
        convert(kind, root)
        assert contents(root) == before


def test_gta_ids_are_those_of_the_issue_and_other_sizes_are_left_out(tmp_path, capsys):
    root = gta(tmp_path)
    table = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
             26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    ids = np.arange(32 * 64, dtype=np.uint8).reshape(32, 64) % 35
    save(root / 'labels/00001.png', ids)
    save(root / 'labels/00003.png', np.full((30, 64), 7, np.uint8))
    convert('gta', root)
    assert 'left out: ' + str(root / 'labels/00003.png') + ' is 64x30' in capsys.readouterr().err
    label = np.array(Image.open(root / 'labels/00001_labelTrainIds.png'))
    np.testing.assert_array_equal(label, [[table.get(i, 255) for i in row] for row in ids.tolist()])
    assert not (root / 'labels/00003_labelTrainIds.png').exists()
    dataset = build_dataset(dict(type='GTADataset', data_root=str(root), img_dir='images', ann_dir='labels',
                                 pipeline=train_pipeline()))
    assert [info['filename'] for info in dataset.img_infos] == ['00001.png', '00002.png', '00004.png']
    # an earlier version wrote another name
    (root / 'excluded_images.txt').rename(root / 'left_out.txt')
    assert left_out(str(root)) == {'00003.png'}
    save(root / 'labels/00003.png', np.full((32, 64), 7, np.uint8))
    convert('gta', root)
    assert (root / 'excluded_images.txt').read_text() == '' and not (root / 'left_out.txt').exists()


def test_synthia_classes_are_in_the_last_channel(tmp_path, capsys):
    root = synthia(tmp_path)
    convert('synthia', root)
    for path in sorted((root / 'GT/LABELS').glob('*[0-9].png')):
        classes = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 2]
        label = cv2.imread(str(path.with_name(path.stem + '_labelTrainIds.png')), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(np.array(SYNTHIA_IDS)[label], classes)
    for picture, message in ((np.zeros((32, 64, 3), np.uint8), 'GT/COLOR'),
                             (np.full((32, 64, 3), 23, np.uint16), 'label value 23'),
                             (np.full((32, 64, 3), 999, np.uint16), 'label value 999')):
        cv2.imwrite(str(root / 'GT/LABELS/0000001.png'), picture)
        os.utime(root / 'GT/LABELS/0000001.png', (2e9, 2e9))
        convert('synthia', root, code=1)
        error = error_of(capsys)
        assert message in error and '0000001.png' in error
    cv2.imwrite(str(root / 'GT/LABELS/0000001.png'), np.zeros((32, 64, 3), np.uint16))
    save(root / 'RGB/0000001.png', np.zeros((16, 64, 3), np.uint8))
    convert('synthia', root, code=1)
    assert 'is 64x32 but its image' in error_of(capsys)


# kind: (what to rename or delete, words of the one line that is expected)
BAD = [
    ('gta', 'images', None, ['images does not exist', '01_images.zip']),
    ('gta', 'labels', 'label', ['labels does not exist', 'holds: images, label', '01_labels.zip']),
    ('gta', 'images/00002.png', None, ['images/00002.png is missing', '1 of 4', 'images.zip']),
    ('gta', 'labels/00002.png', None, ['labels/00002.png is missing', '1 of 4', 'labels.zip']),
    ('gta', 'images/00004.png', 'images/00004.png.part', ['images/00004.png is missing', 'images.zip']),
    ('synthia', 'GT', None, ['GT/LABELS does not exist', 'SYNTHIA_RAND_CITYSCAPES.rar']),
    ('synthia', 'GT/LABELS', 'GT/labels', ['GT/LABELS does not exist', 'SYNTHIA_RAND_CITYSCAPES.rar']),
    ('synthia', 'RGB', 'rgb', ['RGB does not exist', 'holds: GT, rgb', 'SYNTHIA_RAND_CITYSCAPES.rar']),
    ('synthia', 'RGB/0000001.png', None, ['RGB/0000001.png is missing', '1 of 3', 'CITYSCAPES.rar']),
    ('synthia', 'GT/LABELS/0000001.png', None, ['LABELS/0000001.png is missing', 'CITYSCAPES.rar']),
    ('cityscapes', 'gtFine', None, ['gtFine does not exist', 'gtFine_trainvaltest.zip']),
    ('cityscapes', 'gtFine', 'gt', ['gtFine does not exist', 'holds: gt, left', 'gtFine_trainvaltest.zip']),
    ('cityscapes', 'gtFine/train', None, ['town_000000_000019_gtFine_labelIds.png is missing', '3 of 5',
                                          'gtFine_trainvaltest.zip']),
    ('cityscapes', 'gtFine/val/town/town_000001_000019_gtFine_labelIds.png', None,
     ['val/town/town_000001_000019_gtFine_labelIds.png is missing', '1 of 5', 'gtFine_trainvaltest.zip']),
    ('acdc', 'gt', 'gt_trainval', ['gt does not exist', 'holds: gt_trainval, rgb', 'gt_trainval.zip']),
    ('acdc', 'gt', None, ['gt does not exist', 'gt_trainval.zip']),
    ('acdc', 'rgb_anon', 'rgb', ['rgb_anon does not exist', 'rgb_anon_trainvaltest.zip']),
    ('acdc', 'gt/fog/train', None, ['GP_fog_frame_000001_gt_labelTrainIds.png is missing', '1 of 8',
                                    'gt_trainval.zip']),
    ('acdc', 'rgb_anon/snow/val', None, ['_rgb_anon.png is missing', 'rgb_anon_trainvaltest.zip']),
    ('foggy', 'leftImg8bit_foggy', 'leftImg8bit_fog', ['leftImg8bit_foggy does not exist',
                                                       'trainvaltest_foggy.zip']),
    ('foggy', 'gtFine', None, ['gtFine does not exist', 'gtFine_trainvaltest.zip']),
    ('foggy', 'leftImg8bit_foggy/train/town/town_000001_000019_leftImg8bit_foggy_beta_0.01.png', None,
     ['beta_0.01', 'town_000001_000019 is missing', '1 of 9', 'foggy.zip']),
    ('foggy', 'gtFine/val', None, ['val/town/town_000000_000019_gtFine_labelIds.png is missing',
                                   'gtFine_trainvaltest.zip']),
    ('rain', 'leftImg8bit_rain', None, ['leftImg8bit_rain does not exist', 'trainval_rain.zip']),
    ('rain', 'leftImg8bit_rain', 'rain', ['leftImg8bit_rain does not exist', 'trainval_rain.zip']),
    ('rain', 'gtFine', 'gtfine', ['gtFine does not exist', 'gtFine_trainvaltest.zip']),
    ('rain', f'leftImg8bit_rain/train/town/town_000001_000019_leftImg8bit_rain_{RAIN[1]}_pattern_2.png', None,
     [f'{RAIN[1]}_pattern_2', 'town_000001_000019 is missing', '1 of 12', 'trainval_rain.zip']),
    ('rain', 'gtFine/train/town/town_000001_000019_gtFine_labelIds.png', None,
     ['town_000001_000019_gtFine_labelIds.png is missing', 'gtFine_trainvaltest.zip']),
    ('rain', 'leftImg8bit_rain/val/town', 'leftImg8bit_rain/town',
     ['no name of this data set', 'SPLIT/CITY']),
]


@pytest.mark.parametrize('kind, path, other_name, words', BAD)
def test_a_bad_download_gets_one_line_with_its_archive(kind, path, other_name, words, tmp_path, capsys):
    root = KINDS[kind][0](tmp_path / kind)
    (root / path).rename(root / other_name if other_name else tmp_path / 'elsewhere')
    before = contents(root)
    convert(kind, root, code=1)
    error = error_of(capsys)
    assert all(word in error for word in words), error
    assert contents(root) == before


@pytest.mark.parametrize('kind', KINDS)
def test_a_missing_data_root_is_told_with_what_to_fetch(kind, tmp_path, capsys):
    convert(kind, tmp_path / 'nowhere', code=1)
    error = error_of(capsys)
    assert 'nowhere does not exist' in error and ('.zip of https://' in error or '.rar of https' in error)


def test_files_that_are_missing_in_pairs_are_a_warning(tmp_path, capsys):
    root = gta(tmp_path / 'gta')
    for folder in ('images', 'labels'):
        (root / folder / '00002.png').unlink()
    convert('gta', root)
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith('warning: ')]
    assert '00002.png is missing (1 of 4 are' in line and '01_images.zip ... 10_images.zip' in line

    root = weather(tmp_path / 'cityscapes', 'foggy')
    for path in list((root / 'leftImg8bit_foggy/train/town').glob('town_000001*')):
        path.unlink()
    convert('foggy', root)
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith('warning: ')]
    assert 'town_000001_000019_gtFine_labelIds.png in' in line and '1 of 3 scenes' in line
    assert 'leftImg8bit_trainvaltest_foggy.zip' in line


@pytest.mark.parametrize('kind, archive', [
    ('CityscapesDataset', 'gtFine_trainvaltest.zip'), ('ACDCDataset', 'gt_trainval.zip'),
    ('GTADataset', '01_images.zip'), ('SynthiaDataset', 'SYNTHIA_RAND_CITYSCAPES.rar'),
    ('DarkZurichDataset', 'Dark_Zurich_train_anon.zip'),
    ('FoggyCityscapesDataset', 'trainvaltest_foggy.zip'), ('RainCityscapesDataset', 'trainval_rain.zip')])
def test_a_data_set_without_its_folder_says_what_to_fetch(kind, archive, tmp_path):
    for root in (tmp_path / 'nowhere', tmp_path):
        with pytest.raises(UserError, match=f'does not exist .* put the data there .*{archive}.* of https://'):
            build_dataset(dict(type=kind, data_root=str(root), img_dir='no_such', pipeline=[]))


def test_truncated_pictures_and_labels_are_named(tmp_path, capsys):
    root = gta(tmp_path)
    for path in (root / 'images/00002.png', root / 'labels/00002.png'):
        whole = path.read_bytes()
        path.write_bytes(whole[:-20])
        convert('gta', root, code=1)
        assert str(path) in error_of(capsys)
        path.write_bytes(whole)


def test_the_size_of_a_whole_png_is_read_and_any_damage_of_its_ends_told(tmp_path):
    path = tmp_path / 'x.png'
    Image.fromarray(np.arange(128, dtype=np.uint16).reshape(8, 16)).save(path)
    whole = path.read_bytes()
    assert png_size(str(path)) == (16, 8)
    for damaged in (*(whole[:kept] for kept in range(len(whole))), whole[:20] + b'x' + whole[21:],
                    b'GIF89a' + whole[6:], whole + b'x'):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match='x.png is no whole PNG file'):
            png_size(str(path))
    with pytest.raises(UserError, match='cannot read the image .*none.png: No such file'):
        png_size(str(tmp_path / 'none.png'))


def test_missing_images_of_cityscapes_are_a_warning(tmp_path, capsys):
    root = cityscapes(tmp_path, converted=False)
    (root / 'leftImg8bit').rename(root / 'left')
    convert('cityscapes', root)
    err = capsys.readouterr().err
    assert '5 of 5 images' in err and 'leftImg8bit_trainvaltest.zip' in err


@pytest.mark.parametrize('middle', ['_leftImg8bit', ''])
def test_labels_of_rain_are_those_of_the_scene(tmp_path, middle):
    root = weather(tmp_path, 'rain', middle)
    convert('rain', root)
    dataset = build_dataset(dict(type='RainCityscapesDataset', data_root=str(root), pipeline=train_pipeline(),
                                 img_dir='leftImg8bit_rain/train', ann_dir='gtFine/train'))
    assert len(dataset) == 8
    for index, info in enumerate(dataset.img_infos):
        ids = np.array(Image.open(root / f"gtFine/train/town/{info['scene']}_gtFine_labelIds.png"))
        np.testing.assert_array_equal(np.array(LABEL_IDS)[dataset.get_gt_seg_map(index)], ids)
    assert {info['condition'] for info in dataset.img_infos} == {'alpha_0.01', 'alpha_0.02'}


def test_a_converter_killed_at_its_work_ends_with_the_same_bytes(tmp_path):
    rng, moments = np.random.default_rng(5), random.Random(0)
    trees = {name: gta(tmp_path / name, 2) for name in ('killed', 'undisturbed')}
    for number in range(1, 61):
        ids = np.array(LABEL_IDS, np.uint8)[blocky_label(rng, 256, 512)]
        for root in trees.values():
            save(root / f'labels/{number:05d}.png', ids)
            save(root / f'images/{number:05d}.png', np.zeros((256, 512, 3), np.uint8))
    start_converter(trees['undisturbed']).join()
    kills, maps = 0, []
    for attempt in range(10):
        process = start_converter(trees['killed'])
        # a moment of its work, whatever the machine is busy with; some kills come before the first map
        wanted = made(trees['killed']) + moments.randint(0, 3)
        while process.is_alive() and made(trees['killed']) < wanted:
            process.join(0.001)
        # twice it dies with its workers, once they end what they have been given
        if process.is_alive():
            (os.kill if attempt % 3 == 2 else os.killpg)(process.pid, signal.SIGKILL)
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        maps.append(made(trees['killed']))
    assert kills >= 3 and len({*maps}) >= 3, (kills, maps)
    (trees['killed'] / 'labels/00001_labelTrainIds.png.tmp4194305').write_bytes(b'half')
    convert('gta', trees['killed'])
    assert contents(trees['killed']) == contents(trees['undisturbed'])


def made(root: Path) -> int:
    return len(list(root.glob('labels/*TrainIds.png')))


def start_converter(root: Path) -> multiprocessing.Process:
    """In a process group of its own, with two workers."""
    ready = multiprocessing.Event()
    process = multiprocessing.get_context('fork').Process(target=run_quietly, args=(root, ready))
    process.start()
    ready.wait()
    return process


def run_quietly(root: Path, ready) -> None:
    os.setpgid(0, 0)
    # tqdm's own is a semaphore shared with the test, taken for ever if the kill comes while a bar moves
    tqdm.set_lock(threading.RLock())
    ready.set()
    with open(os.devnull, 'w') as nowhere, contextlib.redirect_stderr(nowhere), \
            contextlib.redirect_stdout(nowhere):
        importlib.import_module('tools.convert_datasets.gta').main([str(root), '--nproc', '2'])
