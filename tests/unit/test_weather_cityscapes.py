"""Foggy and Rain Cityscapes: names, lists of scenes, pools of both, the source images they share."""
from __future__ import annotations

import numpy as np
import pytest
from data_trees import acdc, acdc_cfg, cityscapes_cfg, save, test_pipeline, train_pipeline
from download_trees import weather

from mmseg.core.evaluation import ConfusionMatrix
from mmseg.datasets import UDADataset, build_dataset, leaf_configs
from mmseg.utils import UserError
from tools.convert_datasets import foggy, rain

KINDS = {'foggy': 'FoggyCityscapesDataset', 'rain': 'RainCityscapesDataset'}


@pytest.fixture
def root(tmp_path):
    for kind, program in (('foggy', foggy), ('rain', rain)):
        weather(tmp_path, kind)
        with pytest.raises(SystemExit) as end:
            program.main([str(tmp_path), '--nproc', '1'])
        assert end.value.code == 0
    return tmp_path


def cfg(root, kind='foggy', part='train', **kwargs):
    return {**dict(type=KINDS[kind], data_root=str(root), img_dir=f'leftImg8bit_{kind}/{part}',
                   ann_dir=f'gtFine/{part}', pipeline=train_pipeline()), **kwargs}


def pool(root, part='val', **kwargs):
    return dict(type='ConcatDataset', datasets=[cfg(root, kind, part, **kwargs) for kind in KINDS])


def uda(root, target, **kwargs):
    return build_dataset(dict(type='UDADataset', source=cityscapes_cfg(root), target=target, **kwargs))


def test_three_pictures_of_a_scene_share_its_label(root):
    dataset = build_dataset(cfg(root))
    assert len(dataset) == 6
    assert [dataset.group_of(index) for index in range(3)] == ['beta_0.005', 'beta_0.01', 'beta_0.02']
    first = dataset.get_gt_seg_map(0)
    np.testing.assert_array_equal(dataset.get_gt_seg_map(2), first)
    assert (dataset.get_gt_seg_map(3) != first).any()
    densest = build_dataset(cfg(root, betas=[0.02])).img_infos
    assert [info['condition'] for info in densest] == ['beta_0.02'] * 2
    with pytest.raises(UserError, match=r'has a beta of \[0.3\]'):
        build_dataset(cfg(root, betas=[0.3]))


FOLDERS = ('', 'town/', 'SPLIT/town/', './SPLIT/town/', 'leftImg8bit_foggy/SPLIT/town/',
           '/data/cityscapes/leftImg8bit/SPLIT/town/')
ENDS = ('', '.png', '_leftImg8bit', '_leftImg8bit.png', '_foggy_beta_0.02.png', '_gtFine_labelTrainIds.png',
        '_leftImg8bit_foggy_beta_0.02', '_leftImg8bit_foggy_beta_0.02.png')


@pytest.mark.parametrize('folder', FOLDERS)
def test_a_list_of_scenes_of_both_splits_serves_each(root, folder):
    for tree in ('leftImg8bit_foggy', 'gtFine'):  # the validation scene has a name of its own
        for path in list((root / tree / 'val/town').iterdir()):
            path.rename(path.with_name(path.name.replace('town_000000', 'town_000004')))
    for end in ENDS:
        first, second, gone = (f"{folder.replace('SPLIT', split)}{scene}{end}" for split, scene in (
            ('train', 'town_000001_000019'), ('val', 'town_000004_000019'), ('train', 'town_000007_000019')))
        (root / 'refined.txt').write_text(f'{first}\n\n{second}\n')
        for part, scene in (('train', 'town_000001_000019'), ('val', 'town_000004_000019')):
            infos = build_dataset(cfg(root, part=part, split='refined.txt')).img_infos
            assert [info['scene'] for info in infos] == [scene] * 3
            assert [info['condition'] for info in infos] == ['beta_0.005', 'beta_0.01', 'beta_0.02']
        (root / 'refined.txt').write_text(f'{first}\n{gone}\n')
        if 'SPLIT' not in folder:  # it may be a scene of another split
            assert len(build_dataset(cfg(root, split='refined.txt'))) == 3
            continue
        with pytest.raises(UserError, match=f"names the scene '{gone}'"):
            build_dataset(cfg(root, split='refined.txt'))


def test_a_list_without_scenes_is_told(root):
    (root / 'refined.txt').write_text('a line\n')
    with pytest.raises(UserError, match="has the line 'a line'"):
        build_dataset(cfg(root, split='refined.txt'))


def test_a_picture_with_another_name_is_told(root):
    save(root / 'leftImg8bit_foggy/train/town/picture.png', np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match='picture.png is not named like'):
        build_dataset(cfg(root))


def test_a_pool_is_scored_as_a_whole_and_by_domain(root):
    dataset = build_dataset(pool(root), dict(test_mode=True))
    assert len(dataset) == 3 + 4
    assert [dataset.group_of(index) for index in range(7)] == ['foggy'] * 3 + ['rain'] * 4
    # right in fog, all road in rain
    results = [dataset.get_gt_seg_map(index) if index < 3 else np.zeros((32, 64), np.uint8)
               for index in range(7)]
    scores = dataset.evaluate(results, logger='silent')
    matrix = ConfusionMatrix(19)
    for index in range(3, 7):
        matrix.update(results[index], dataset.get_gt_seg_map(index))
    assert scores['mIoU.foggy'] == 1
    assert scores['mIoU.rain'] == pytest.approx(float(np.nanmean(matrix.metrics()['IoU'])))
    for index in range(3):
        matrix.update(results[index], dataset.get_gt_seg_map(index))
    assert scores['mIoU'] == pytest.approx(float(np.nanmean(matrix.metrics()['IoU'])))
    paths = dataset.format_results(results, str(root / 'out'))
    assert len(set(paths)) == 7 and paths[6].startswith(str(root / 'out/rain/'))


def test_paired_source_images_are_left_out_on_request(root):
    split = root / 'one.txt'
    split.write_text('train/town/town_000001_000019\n')
    target = pool(root, 'train', split=str(split))
    kept, excluded = uda(root, target), uda(root, target, exclude_paired_source=True)
    given = build_dataset(cityscapes_cfg(root))
    named = given.prediction_names
    fewer = UDADataset(given, kept.target, exclude_paired_source=True)
    assert (len(given), len(fewer.source)) == (2, 1) and given.prediction_names == named  # left as it was
    assert fewer.source.prediction_names == named[:1]
    assert len(kept.source) == 2 and '1 of 2 source images show scenes of the target: kept' in kept.note
    assert [info['filename'] for info in excluded.source.img_infos] == [
        'town/town_000000_000019_leftImg8bit.png']
    assert 'left out, 1 remain' in excluded.note
    assert len(excluded) == 1 * (3 + 4) and {'img', 'target_img'} <= set(excluded[6])
    with pytest.raises(UserError, match='all 2 source images show scenes of the target'):
        uda(root, pool(root, 'train'), exclude_paired_source=True)


def test_other_targets_have_no_paired_images(root, tmp_path):
    target = acdc_cfg(acdc(tmp_path / 'acdc'))
    assert uda(root, target).note is None
    with pytest.raises(UserError, match='is not Cityscapes in rendered weather'):
        uda(root, target, exclude_paired_source=True)


def test_rare_classes_are_drawn_from_every_picture_of_a_scene(root):
    sampling = dict(min_pixels=0, class_temp=0.01, min_crop_ratio=0.5,
                    stats_dir=str(root / 'leftImg8bit_foggy'))
    dataset = build_dataset(dict(type='UDADataset', source=cfg(root), target=cityscapes_cfg(root, 'val'),
                                 rare_class_sampling=sampling))
    assert all(len(indices) % 3 == 0 for indices in dataset.sampler.images.values())


def test_reference_images_of_acdc(tmp_path):
    root = acdc(tmp_path)
    dataset = build_dataset(acdc_cfg(root, references=True, pipeline=test_pipeline(), test_mode=True))
    names = [info['filename'] for info in dataset.img_infos]
    assert names == ['fog/train_ref/GP/GP_frame_000009_rgb_ref_anon.png']
    assert len(dataset[0]['img']) == 1
    with pytest.raises(UserError, match='have no labels'):
        dataset.get_gt_seg_map(0)


def test_leaves_of_nested_configs(root):
    nested = dict(type='UDADataset', source=dict(type='RepeatDataset', times=2, dataset=cityscapes_cfg(root)),
                  target=pool(root))
    assert [leaf['type'] for leaf in leaf_configs([nested])] == ['CityscapesDataset', *KINDS.values()]
