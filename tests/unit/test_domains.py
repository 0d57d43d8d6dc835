"""Samples of more than two domains."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from data_trees import acdc, acdc_cfg, cityscapes, cityscapes_cfg, train_pipeline
from mmcv import Config

from mmseg.datasets import build_dataset, leaf_configs
from mmseg.datasets.preparation.class_stats import label_stats, write_class_stats
from mmseg.datasets.preparation.inspection import splits_of
from mmseg.engine.failure_dump import sample_names
from mmseg.engine.hooks import CorruptSampleHook
from mmseg.utils import UserError

RCS = dict(min_pixels=63, class_temp=0.1, min_crop_ratio=0.5)
IMAGES = train_pipeline(labels=False)


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    city = cityscapes(tmp_path_factory.mktemp('city'), train=12)
    dataset = build_dataset(cityscapes_cfg(city))
    write_class_stats(str(city), [
        label_stats(dataset.get_gt_seg_map(i), f"gtFine/train/{info['ann']['seg_map']}")
        for i, info in enumerate(dataset.img_infos)])
    return city, acdc(tmp_path_factory.mktemp('weather'))


def config(roots, rcs: dict | None = None, **domains: dict) -> dict:
    city, weather = roots
    return dict(type='UDADataset', source=cityscapes_cfg(city), target=acdc_cfg(weather, pipeline=IMAGES),
                rare_class_sampling=rcs, **(dict(domains=domains) if domains else {}))


def reference(roots, **kwargs) -> dict:
    return acdc_cfg(roots[1], pipeline=IMAGES, **kwargs)


def file_of(sample: dict, domain: str) -> str:
    return sample[f'{domain}_img_metas'].data['filename']


@pytest.mark.parametrize('rcs', [None, RCS])
def test_further_domains_leave_source_and_target_as_they_were(roots, rcs):
    plain = build_dataset(config(roots, rcs))
    more = build_dataset(config(roots, rcs, dusk=reference(roots), night=reference(roots)))
    assert len(plain) == len(more)
    files = set()
    for seed in range(12):
        np.random.seed(seed)
        two = plain[seed]
        np.random.seed(seed)
        four = more[seed]
        assert {*four} - {*two} == {'dusk_img', 'dusk_img_metas', 'night_img', 'night_img_metas'}
        for key in ('img', 'gt_semantic_seg', 'target_img'):
            np.testing.assert_array_equal(two[key].data, four[key].data)
        files.add((file_of(four, 'dusk'), file_of(four, 'night')))
    assert len({dusk for dusk, _ in files}) > 1 and len({dusk == night for dusk, night in files}) == 2


@pytest.mark.parametrize('rcs', [None, RCS])
def test_images_of_a_paired_domain_go_with_those_of_another(roots, rcs):
    pairs = build_dataset(config(roots, rcs, clear=reference(roots, paired_with='target'),
                                 again=reference(roots, paired_with='clear')))
    assert pairs.paired == dict(clear='target', again='clear')
    for seed in range(8):
        np.random.seed(seed)
        sample = pairs[seed]
        assert file_of(sample, 'clear') == file_of(sample, 'target') == file_of(sample, 'again')


@pytest.mark.parametrize('rcs', [None, RCS])
def test_a_pair_is_cropped_alike_and_draws_nothing(roots, rcs):
    pairs = build_dataset(config(roots, rcs, clear=reference(roots, paired_with='target'),
                                 again=reference(roots, paired_with='clear'), dusk=reference(roots)))
    alone = build_dataset(config(roots, rcs, dusk=reference(roots)))
    windows = set()
    for seed in range(8):
        np.random.seed(seed)
        sample = pairs[seed]
        np.random.seed(seed)
        expected = alone[seed]
        for name in ('clear', 'again'):
            np.testing.assert_array_equal(sample[f'{name}_img'].data, sample['target_img'].data)
        np.testing.assert_array_equal(sample['dusk_img'].data, expected['dusk_img'].data)
        windows.add((file_of(sample, 'target'), float(sample['target_img'].data.sum())))
    assert len(windows) > len({file for file, _ in windows}), 'one image in several crops'


def test_labels_of_a_further_domain_are_opened_on_request_alone(roots, tmp_path):
    labelled = acdc_cfg(roots[1])
    closed = build_dataset(config(roots, stylised=acdc_cfg(acdc(tmp_path, labels=False))))
    assert 'stylised_gt_semantic_seg' not in closed[0] and 'stylised_img' in closed[0]
    opened = build_dataset(config(roots, stylised={**labelled, 'use_labels': True}))[0]
    assert opened['stylised_gt_semantic_seg'].data.shape[-2:] == opened['stylised_img'].data.shape[-2:]


def test_mistakes_in_domains_are_told(roots):
    other = {**cityscapes_cfg(roots[0]), 'pipeline': IMAGES}
    for domains, message in (
            (dict(target=reference(roots)), "called 'target'"),
            ({'two words': reference(roots)}, "called 'two words'"),
            (dict(clear=reference(roots, paired_with='source')), "paired with 'source', expected .*: target"),
            (dict(clear=reference(roots, paired_with='late'), late=reference(roots)), "paired with 'late'"),
            (dict(clear={**other, 'paired_with': 'target'}), "'clear' has 12 images and 'target'.* 4"),
            (dict(clear=reference(roots, classes=['road'])), 'clear have different classes: .* 19 and 1$'),
            (dict(clear=dict(type='CustomDataset', img_dir=str(roots[1]), img_suffix='.png', pipeline=[])),
             "clear: the data set 'CustomDataset' names no classes: give it the attribute CLASSES"),
            (dict(clear=[reference(roots)]), 'expected a config for each name')):
        with pytest.raises(UserError, match=message):
            build_dataset(config(roots, **domains))


def test_programs_look_at_every_domain(roots):
    cfg = config(roots, clear=reference(roots, paired_with='target', references=True))
    assert [leaf['type'] for leaf in leaf_configs(cfg)] == ['CityscapesDataset', 'ACDCDataset', 'ACDCDataset']
    found = splits_of(Config(dict(data=dict(train=cfg))))
    assert [title for title, _ in found] == ['train source CityscapesDataset', 'train target ACDCDataset',
                                             'train clear ACDCDataset']
    assert 'paired_with' not in found[2][1] and found[2][1]['use_labels'] is False
    batch = {f'{name}img_metas': [dict(filename=f'{name}.png')] for name in ('', 'target_', 'clear_')}
    assert sample_names(batch) == ['.png', 'target_.png', 'clear_.png']
    batch['clear_img_metas'][0]['replaced'] = ['broken']
    lines, meta = [], {}
    CorruptSampleHook().after_train_iter(SimpleNamespace(
        batch=batch, iter=3, meta=meta, logger=SimpleNamespace(warning=lines.append)))
    assert meta == dict(replaced_samples=1) and 'broken' in lines[0]


@pytest.mark.parametrize('exclude', [False, True])
def test_no_constructor_changes_what_it_was_handed(roots, exclude):
    source = build_dataset(cityscapes_cfg(roots[0]))
    target = build_dataset(reference(roots, use_labels=False))
    before = {**vars(source)}, {**vars(target)}
    cls = type(build_dataset(config(roots)))
    if exclude:
        target.img_infos = [{**target.img_infos[0], 'scene': 'town_000001_000019'}]
        before[1]['img_infos'] = target.img_infos
    cls(source, target, RCS, exclude_paired_source=exclude)
    assert (vars(source), vars(target)) == before
