"""The worked example of docs/datasets.md, as it stands there, on a few tiny photos."""
from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from programs import ROOT, start

from mmseg.datasets import build_dataset
from mmseg.utils.config import load_config

GUIDE = (ROOT / 'docs/datasets.md').read_text().split('## Your own classes and folders')[1]
CONFIGS = re.findall(r'`mine/(harbour\w*\.py)`:\n\n```python\n(.*?)```', GUIDE, re.DOTALL)
COMMANDS = [line for block in re.findall(r'```sh\n(.*?)```', GUIDE, re.DOTALL) for line in block.splitlines()]
SIZE = '128,64'
# a network and a run small enough for a test
TINY = ['model.pretrained=None', 'model.backbone.type=mit_b0', 'model.decode_head.in_channels=32,64,160,256',
        'model.decode_head.channels=16', 'model.decode_head.decoder_params.embed_dims=16',
        'data.samples_per_gpu=1', 'data.workers_per_gpu=0', 'runner.max_iters=2',
        'checkpoint_config.interval=2', 'evaluation.interval=2', f'data.val.pipeline.1.img_scale={SIZE}',
        f'data.test.pipeline.1.img_scale={SIZE}']


def small(part: str) -> list[str]:
    return [f'{part}.pipeline.2.img_scale={SIZE}', f'{part}.pipeline.3.crop_size=64,64',
            f'{part}.pipeline.6.size=64,64']


@pytest.fixture
def harbour(tmp_path, monkeypatch):
    """Configs as written in the guide, and the folders that it supposes."""
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    for name, text in CONFIGS:
        (tmp_path / 'mine' / name).write_text(text)
    rng = np.random.default_rng(0)
    for split, count in (('train', 3), ('val', 2), ('night', 2)):
        for number in range(count):
            photo = tmp_path / f'data/harbour/photos/{split}/day 1/IMG_{number}.jpg'
            photo.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(photo), rng.integers(0, 256, (48, 96, 3), dtype=np.uint8))
            mask = tmp_path / f'data/harbour/masks/{split}/day 1/IMG_{number}_mask.png'
            if split != 'night':
                mask.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(mask), rng.choice([0, 1, 2, 255], (48, 96)).astype(np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_worked_example_runs_as_it_stands(harbour, capsys):
    assert [name for name, _ in CONFIGS] == ['harbour.py', 'harbour_night.py'] and len(COMMANDS) == 7
    for command in COMMANDS:
        python, program, config, *rest = shlex.split(command)
        assert python == 'python' and (ROOT / program).is_file()
        parts = ['data.train.source', 'data.train.target'] if 'night' in config else ['data.train']
        options = TINY + [option for part in parts for option in small(part)]
        device = ['--device', 'cpu'] if program in ('tools/train.py', 'tools/test.py') else []
        code = start(program.removesuffix('.py').replace('/', '.'), config, *rest, *device,
                     '--options', *options)
        out, err = capsys.readouterr()
        assert code == 0, (command, out, err)
        if 'check' in program:
            assert 'ready for training' in out and 'label values: 0, 1, 2, 255' in out
    for run in ('harbour', 'harbour_night'):
        [result] = [json.loads(path.read_text()) for path in Path('work_dirs', run).glob('eval_*.json')]
        assert result['classes'] == ['water', 'quay', 'ship'] and result['images'] == 2
        assert 0 <= result['scores']['IoU.ship'] <= 1
    assert len(list(Path('work_dirs/harbour/pictures').rglob('*.jpg'))) == 2
    stats = json.loads(Path('data/harbour/sample_class_stats.json').read_text())
    assert [entry['file'] for entry in stats] == [f'masks/train/day 1/IMG_{n}_mask.png' for n in range(3)]
    label = cv2.imread('data/harbour/' + stats[0]['file'], cv2.IMREAD_UNCHANGED)
    assert {key: stats[0][key] for key in '012'} == {str(c): int((label == c).sum()) for c in range(3)}


def test_zero_can_mean_that_nobody_knows(harbour):
    cfg = load_config('mine/harbour.py')
    plain = build_dataset(cfg.data.train)
    reduced = build_dataset({**cfg.data.train, 'reduce_zero_label': True, 'classes': ['quay', 'ship']})
    for index in range(3):
        stored = plain.get_gt_seg_map(index)
        expected = np.select([stored == 1, stored == 2], [0, 1], 255)
        np.testing.assert_array_equal(reduced.get_gt_seg_map(index), expected)
        trained = reduced[index]['gt_semantic_seg'].data
        assert set(trained.unique().tolist()) <= {0, 1, 255}


def test_classes_from_a_file_and_a_list_of_photos(harbour):
    cfg = load_config('mine/harbour.py').data.train
    Path('names.txt').write_text('water\nquay\nship\n')
    Path('data/harbour/train.txt').write_text('day 1/IMG_2\n')
    dataset = build_dataset({**cfg, 'classes': 'names.txt', 'split': 'train.txt'})
    assert dataset.CLASSES == ('water', 'quay', 'ship')
    assert dataset.img_infos == [{'filename': 'day 1/IMG_2.jpg', 'ann': {'seg_map': 'day 1/IMG_2_mask.png'}}]
