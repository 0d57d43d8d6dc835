"""A training sample depends on (seed, rank, step, n) alone."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from data_trees import acdc, acdc_cfg, cityscapes, cityscapes_cfg, test_pipeline
from mmcv.parallel import DataContainer
from torch.utils.data import Dataset
from torch.utils.data._utils.pin_memory import pin_memory

from mmseg.datasets import build_dataloader, build_dataset, build_train_loader, unwrap_batch
from mmseg.datasets.loading import loader
from mmseg.datasets.loading.loader import ShardSampler, StepBatchSampler
from mmseg.datasets.loading.size_groups import SizeGroups
from mmseg.utils import DataError, UserError


@pytest.fixture(scope='module')
def pairs(tmp_path_factory):
    cfg = dict(type='UDADataset', source=cityscapes_cfg(cityscapes(tmp_path_factory.mktemp('c'))),
               target=acdc_cfg(acdc(tmp_path_factory.mktemp('a'))))
    return build_dataset(cfg)


def batches(dataset, workers: int = 0, **kwargs) -> list[dict]:
    options = dict(samples_per_gpu=2, seed=3, max_steps=6) | kwargs
    return [unwrap_batch(b, 'cpu') for b in build_train_loader(dataset, workers_per_gpu=workers, **options)]


def assert_same(one: list[dict], other: list[dict]) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other):
        for key in ('img', 'gt_semantic_seg', 'target_img'):
            assert torch.equal(a[key], b[key]), key
        assert [m['filename'] for m in a['img_metas']] == [m['filename'] for m in b['img_metas']]


def test_batches_do_not_depend_on_the_number_of_workers(pairs):
    expected = batches(pairs, 0)
    assert_same(batches(pairs, 1), expected)
    assert_same(batches(pairs, 2), expected)


def test_a_resumed_run_goes_on_with_the_batches_of_the_whole_run(pairs):
    assert_same(batches(pairs, start_step=4), batches(pairs)[4:])


def test_batches_do_not_depend_on_nor_change_the_global_state(pairs):
    expected = batches(pairs)
    np.random.seed(99)
    torch.manual_seed(7)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    assert_same(batches(pairs), expected)
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])


def test_seeds_and_ranks_see_different_samples(pairs):
    first = batches(pairs)[0]
    for other in (batches(pairs, seed=4)[0], batches(pairs, rank=1, world_size=2)[0]):
        assert not torch.equal(first['img'], other['img'])


def test_an_image_is_cropped_anew_in_each_epoch(pairs):
    seen = {}
    for batch in batches(pairs, max_steps=24):
        for name, img in zip((m['filename'] for m in batch['img_metas']), batch['img']):
            seen.setdefault(name, set()).add(img.numpy().tobytes())
    assert len(seen) == 3
    assert all(len(crops) > 8 for crops in seen.values())


def positions(**kwargs) -> list[int]:
    options = dict(length=10, batch_size=2, seed=0, max_steps=5) | kwargs
    return [key.index for batch in StepBatchSampler(**options) for key in batch]


def test_an_epoch_visits_every_item_once():
    first, second = positions(), positions(start_step=5, max_steps=10)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first == np.random.default_rng((0, 0)).permutation(10).tolist()


def test_ranks_share_an_epoch():
    by_rank = [positions(length=12, rank=r, world_size=3, max_steps=2) for r in range(3)]
    assert sorted(itertools.chain(*by_rank)) == list(range(12))


def test_keys_name_step_and_place():
    sampler = StepBatchSampler(10, 2, 0, start_step=7, max_steps=8)
    assert [key[1:] for key in next(iter(sampler))] == [(7, 0), (7, 1)]
    assert len(sampler) == 1
    endless = iter(StepBatchSampler(10, 2, 0))
    assert [next(endless)[0].step for _ in range(20)] == list(range(20))


def test_huge_data_sets_draw_instead_of_permuting(monkeypatch):
    monkeypatch.setattr(loader, 'LONGEST_PERMUTATION', 9)
    drawn = positions(max_steps=500)
    assert drawn[:10] == positions()
    assert np.bincount(drawn).min() > 60  # 1000 draws over 10 items
    assert drawn[8:] == positions(start_step=4, max_steps=500)


class Faulty(Dataset):
    """Item 3 is a user's mistake, item 4 ours."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == 3:
            raise DataError('label value 33 in x.png, DataError: convert it')
        if index == 4:
            raise ValueError('a bug')
        return dict(x=DataContainer(torch.full((1, 2, 2), float(index)), stack=True))


@pytest.mark.parametrize('workers', [0, 1])
def test_a_users_mistake_in_a_worker_stays_one_line(workers):
    batches = iter(build_dataloader(Faulty(), 1, workers, dist=False, shuffle=False))
    assert [unwrap_batch(next(batches), 'cpu')['x'].mean().item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError) as caught:
        next(batches)
    assert str(caught.value) == 'label value 33 in x.png, DataError: convert it'


def test_samples_that_make_no_batch_are_told_as_from_here():
    sizes = [dict(x=DataContainer(torch.zeros(1, 2, width), stack=True)) for width in (2, 3)]
    with pytest.raises(DataError) as caught:
        list(build_dataloader(sizes, 2, 1, dist=False, shuffle=False))
    assert str(caught.value).startswith("'x' of a batch has several sizes")


def test_a_bug_in_a_worker_keeps_its_traceback():
    with pytest.raises(ValueError, match='Traceback'):
        list(build_dataloader(torch.utils.data.Subset(Faulty(), [4]), 1, 1, dist=False, shuffle=False))


def test_test_batches_are_lists_over_augmentations(tmp_path):
    cfg = cityscapes_cfg(cityscapes(tmp_path), 'val')
    cfg['pipeline'] = test_pipeline()
    cfg['pipeline'][1]['flip'] = True
    dataset = build_dataset(cfg, dict(test_mode=True))
    out = [unwrap_batch(b, 'cpu') for b in build_dataloader(dataset, 1, 0, dist=False, shuffle=False)]
    assert len(out) == 2
    assert [tuple(img.shape) for img in out[0]['img']] == [(1, 3, 32, 64)] * 2
    assert [[m['flip'] for m in metas] for metas in out[0]['img_metas']] == [[False], [True]]


def test_shards_cover_everything_once():
    shards = [list(ShardSampler(7, r, 3, shuffle=False, seed=0)) for r in range(3)]
    assert shards == [[0, 3, 6], [1, 4], [2, 5]]
    assert [len(ShardSampler(7, r, 3, False, 0)) for r in range(3)] == [3, 2, 2]
    shuffled = [list(ShardSampler(7, r, 3, shuffle=True, seed=0)) for r in range(3)]
    assert sorted(itertools.chain(*shuffled)) == list(range(7))
    assert shuffled != shards


@pytest.mark.parametrize('stacked', ['train', 'sizes'])
def test_what_torch_pins_is_all_but_the_meta_data(monkeypatch, stacked):
    """torch's own walk through a batch, which takes the tensors and must change nothing else."""
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self: self + 1)
    meta = dict(a=(1, 2), tensor=torch.zeros(2))
    samples = [dict(img=DataContainer(torch.zeros(2), stack=True, pad_dims=None), aug=[torch.zeros(1)],
                    some=DataContainer(torch.zeros(1)), img_metas=DataContainer(meta, cpu_only=True))] * 2
    if stacked == 'train':
        pinned = unwrap_batch(pin_memory(loader.collate(samples)), 'cpu')
    else:
        [(places, batch)] = groups = pin_memory(SizeGroups([([1, 0], loader.collate(samples))]))
        assert isinstance(groups, SizeGroups) and places == [1, 0]
        pinned = unwrap_batch(batch, 'cpu')
    assert pinned['img'].tolist() == [[1, 1], [1, 1]] and pinned['some'] == [torch.ones(1)] * 2
    assert pinned['aug'][0].tolist() == [[1], [1]]
    assert pinned['img_metas'] == [meta] * 2 and pinned['img_metas'][0] is meta


def test_an_empty_data_set_is_refused():
    with pytest.raises(UserError, match='empty'):
        build_train_loader(torch.utils.data.Subset(Faulty(), []), 1, 0, seed=0)
