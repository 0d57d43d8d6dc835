"""From each data set's download to training, scores and a submission, on synthetic streets in its layout."""
from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import shutil
import socket
from pathlib import Path

import pytest
from programs import SMALL_WH as SIZE
from programs import shrink

from mmseg.datasets import leaf_configs
from mmseg.synthetic import write_streets
from mmseg.synthetic.layouts import write_layout
from mmseg.utils.config import load_config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# pair: (converters with the folder of each, the submission's kind and images)
PAIRS = {
    'gta_to_cityscapes': ({'gta': 'gta', 'cityscapes': 'cityscapes'}, ('cityscapes', 'cityscapes')),
    'synthia_to_cityscapes': ({'synthia': 'synthia', 'cityscapes': 'cityscapes'}, None),
    'cityscapes_to_acdc': ({'cityscapes': 'cityscapes', 'acdc': 'acdc'}, ('acdc', 'acdc/rgb_anon')),
    'cityscapes_to_darkzurich': ({'cityscapes': 'cityscapes'},
                                 ('darkzurich', 'dark_zurich/rgb_anon')),
    'cityscapes_to_foggyrain': (dict.fromkeys(['cityscapes', 'foggy', 'rain'], 'cityscapes'), None),
}


@pytest.fixture(scope='module')
def streets(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    write_streets(root, train=4, val=4, test=4, size=SIZE, nproc=1, progress=False)
    for kind in ('gta', 'synthia', 'darkzurich', 'foggy', 'rain'):
        write_layout(kind, root, train=2, val=1, test=3, size=SIZE, patterns=1)
    cityscapes = root / 'cityscapes/leftImg8bit'
    shutil.copytree(cityscapes / 'val', cityscapes / 'test')
    return root


def call(program: str, *args, code: int = 0) -> None:
    with pytest.raises(SystemExit) as end:
        importlib.import_module(program).main([str(arg) for arg in args])
    assert end.value.code == code


def write_config(pair: str, streets: Path, folder: Path) -> Path:
    """The shipped data config, with tiny sizes and the streets' folder."""
    cfg = load_config(CONFIGS / f'_base_/datasets/uda_{pair}_512x512.py')
    shrink(cfg._cfg_dict, streets)
    for leaf in leaf_configs([cfg.data.train, cfg.data.val, cfg.data.test]):
        assert leaf.data_root.startswith('data/')
        leaf.data_root = str(streets) + leaf.data_root.removeprefix('data')
    cfg.dump(str(folder / 'data.json'))
    bases = [str(CONFIGS / '_base_' / name) for name in (
        'default_runtime.py', 'models/daformer_sepaspp_mitb0_narrow.py', 'uda/ebda_nofd.py',
        'schedules/adamw_toy.py', 'schedules/poly10warm_toy.py')]
    (folder / 'run.py').write_text(
        f"_base_ = {[*bases, 'data.json']}\n"
        'data = dict(samples_per_gpu=1, workers_per_gpu=0, train=dict(\n'
        '    rare_class_sampling=dict(min_pixels=0, class_temp=0.01, min_crop_ratio=0.5)))\n'
        'model = dict(pretrained=None)\n'
        'optimizer_config = None\nseed = 0\nn_gpus = 1\nname = "chain"\nexp = "basic"\n'
        "runner = dict(type='IterBasedRunner', max_iters=2)\n"
        'checkpoint_config = dict(by_epoch=False, interval=2)\n'
        "evaluation = dict(interval=2, metric='mIoU')\n")
    return folder / 'run.py'


@pytest.mark.parametrize('pair', PAIRS)
def test_from_the_download_to_the_submission(pair, streets, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    converters, submission = PAIRS[pair]
    for name, folder in converters.items():
        call(f'tools.convert_datasets.{name}', streets / folder, '--nproc', 1)
    config, work_dir = write_config(pair, streets, tmp_path), tmp_path / 'work'
    call('tools.check_dataset', config, '--nproc', 1)
    assert 'ready for training' in capsys.readouterr().out
    call('tools.train', config, '--work-dir', work_dir, '--device', 'cpu')
    test = 'tools.test', config, work_dir / 'latest.pth', '--device', 'cpu'
    call(*test)
    [scores] = [json.loads(p.read_text())['scores'] for p in work_dir.glob('eval_*.json')]
    out = capsys.readouterr().out
    assert 0 <= scores['mIoU'] <= 1
    wanted = {'cityscapes_to_acdc': ['mIoU.fog', 'mIoU.night', 'mIoU.rain', 'mIoU.snow'],
              'cityscapes_to_foggyrain': ['mIoU.foggy', 'mIoU.rain'],
              'synthia_to_cityscapes': ['mIoU16', 'mIoU13']}.get(pair, [])
    assert all(0 <= scores[name] <= 1 and f'{name}: {100 * scores[name]:.2f} %' in out for name in wanted)
    if pair == 'cityscapes_to_foggyrain':
        assert 'source images of the scenes of the target kept' in out
    if submission:
        kind, images = submission
        call(*test, '--submission', kind)
        [archive] = work_dir.glob('submission_*.zip')
        call('tools.check_submission', kind, archive, '--images', streets / images)
        assert 'no fault found' in capsys.readouterr().out
        if kind == 'darkzurich':
            two = in_two_processes(tmp_path, *test, '--submission', kind, '--work-dir', tmp_path / 'two')
            assert two == [f'{len(list((streets / images).rglob("test/**/*.png")))} images written to '
                           f'{tmp_path / "two" / archive.name}\n', '']
            assert [p.name for p in (tmp_path / 'two').iterdir()] == [archive.name]
            assert (tmp_path / 'two' / archive.name).read_bytes() == archive.read_bytes()


def in_two_processes(folder: Path, *words) -> list[str]:
    """What each of two processes of a program prints, as torchrun would start them."""
    with socket.socket() as probe:
        probe.bind(('localhost', 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=one_process, args=(rank, port, folder / f'out{rank}', words))
                 for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    return [(folder / f'out{rank}').read_text() for rank in range(2)]


def one_process(rank: int, port: int, out: Path, words: tuple) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='localhost',
                      MASTER_PORT=str(port))
    with open(out, 'w') as file, contextlib.redirect_stdout(file):
        call(*words)
