"""BDL in two rounds: a training, labels from it, a training on these; killed in each stage, and changed."""
from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from programs import ROOT, STREETS_TEST
from two_processes import CLEAN

import run_experiments
from mmseg.checkpoint.weights import load_file
from mmseg.experiments import launch
from mmseg.experiments.runs import DONE, OUTPUT
from mmseg.utils.files import write_json

BDL = STREETS_TEST.with_name('streets_bdl_mitb0_s0.py')
STEPS, KILLED_AFTER, KILLED_AT_IMAGE = 3, 2, 3
# A kill -9 of the whole chain, launching process and stage: once in each stage, at a known point of it.
KILLER = f"""
import multiprocessing, os
from pathlib import Path
from mmcv.runner import HOOKS, Hook
from mmseg.datasets.builder import PIPELINES

def kill(note):
    if not Path(note).exists():
        Path(note).touch()
        os.kill(multiprocessing.parent_process().pid, 9)
        os.kill(os.getpid(), 9)

@HOOKS.register_module()
class KillOnce(Hook):
    def __init__(self, note):
        self.note = note

    def after_train_iter(self, runner):
        if runner.iter + 1 == {KILLED_AFTER}:
            kill(self.note)

@PIPELINES.register_module()
class KillAtImage:
    seen = 0

    def __init__(self, note):
        self.note = note

    def __call__(self, results):
        KillAtImage.seen += 1
        if KillAtImage.seen == {KILLED_AT_IMAGE}:
            kill(self.note)
        return results
"""
STAGES = ('first', 'labels', 'last')


@pytest.fixture
def chain(tiny, tmp_path) -> Path:
    """The config of the second round, with the stages before it."""
    (tmp_path / 'killer.py').write_text(KILLER)
    shared = {'runner.max_iters': STEPS, 'checkpoint_config.interval': 1, 'evaluation': None,
              'log_config.interval': 1, 'checkpoint_config.max_keep_ckpts': 2,
              'custom_imports': dict(imports=['killer'], allow_failed_imports=False)}
    first, last = (tiny(BDL, f'{name}.json', custom_hooks=[dict(type='KillOnce', note=name)], **shared)
                   for name in ('first', 'last'))

    def name_and_kill(cfg: dict) -> None:
        cfg['name'] = 'first'
        cfg['data']['test']['pipeline'].insert(1, dict(type='KillAtImage', note='labels'))

    def add_stages(cfg: dict) -> None:
        cfg.update(name='last', load_from='{first}')
        cfg['data']['train']['target']['pseudo_labels'] = '{labels}'
        labels = ['{first.config}', '{first}', '--rule', 'bdl', '--device', 'cpu', '--out', '{out}']
        cfg['stages'] = dict(first=dict(_base_=[str(first)]),
                             labels=dict(program='tools/make_pseudo_labels.py', args=labels))

    change(first, name_and_kill)
    change(last, add_stages)
    return last


def change(path: Path, how) -> None:
    cfg = json.loads(path.read_text())
    how(cfg)
    write_json(path, cfg)


def launched(folder: Path, *argv: str) -> None:
    """run_experiments.py in this process, which has computed nothing: its stages can be forked."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    torch.set_num_threads(1)
    launch.Children.method = 'fork'
    run_experiments.main([*argv, '--work-dirs', 'work'])


def run_chain(folder: Path, *argv: str) -> int:
    """The exit code; -9: killed."""
    process = CLEAN.Process(target=launched, args=(folder, *argv))
    process.start()
    process.join()
    return process.exitcode


def folders(root: Path) -> dict[str, list[Path]]:
    """Stage → the folders of its runs, the oldest first."""
    found = sorted(root.glob('work/local-basic/*'), key=lambda path: path.stat().st_ctime_ns)
    return {name: [path for path in found if f'_{name}_' in path.name.replace('last_labels', 'labels')]
            for name in STAGES}


def labels_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob('*.png'))}


def assert_same(one: Path, other: Path) -> None:
    first, second = (load_file(str(folder / f'iter_{STEPS}.pth')) for folder in (one, other))
    for part in ('state_dict', 'optimizer', 'training'):
        assert_equal(first[part], second[part])
    assert {path.name for path in one.glob('*.pth')} == {path.name for path in other.glob('*.pth')}


def assert_equal(one, other) -> None:
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert str(one) == str(other)


def test_a_chain_that_is_killed_in_each_stage_ends_as_an_undisturbed_one(chain, tmp_path):
    command = ('--config', str(chain))
    assert [run_chain(tmp_path, *command) for _ in STAGES] == [-9, -9, -9]
    assert run_chain(tmp_path, *command) == 0
    # the notes of the kills are there, so that this one is left alone
    assert run_chain(tmp_path, *command, '--rerun') == 0
    both = folders(tmp_path)
    assert {name: len(found) for name, found in both.items()} == dict.fromkeys(STAGES, 2)
    for name in ('first', 'last'):
        assert_same(*both[name])
    labels = [labels_of(folder / OUTPUT) for folder in both['labels']]
    assert labels[0] == labels[1] and len(labels[0]) == 12
    assert all((folder / DONE).is_file() for folder in both['labels'])


def test_the_stages_of_proda_in_the_startup_test(streets, tmp_path):
    (tmp_path / 'demo').symlink_to(ROOT / 'demo')
    here = f'data/streets={streets}'
    assert run_chain(tmp_path, '--exp', '130', '--only', 'proda', '--data-root', here) == 0
    found = {path.name.split('_', 3)[3].rsplit('_', 1)[0]: path for path in tmp_path.glob('work/*-exp130/*')}
    assert sorted(found) == sorted((
        'proda_warmup_mitb0_s0', 'proda_stage1_mitb0_s0', 'proda_mitb0_s0_labels1', 'proda_stage2_mitb0_s0',
        'proda_mitb0_s0_labels2', 'proda_mitb0_s0'))
    # the network of the stage before teaches the next one
    stage1, stage2 = (load_file(str(found[f'proda_stage{number}_mitb0_s0'] / 'iter_2.pth'))['state_dict']
                      for number in (1, 2))
    weights = [name for name in stage2 if name.startswith('teacher.')]
    assert weights and all(torch.equal(stage2[name], stage1[name.replace('teacher.', 'model.', 1)])
                           for name in weights)
