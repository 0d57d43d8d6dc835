"""tools/make_pseudo_labels.py, called in this process; a killed run in one of its own."""
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv import Config
from tiny_run import NAMES, SIZE_HW, make_run

from mmseg.apis.inference import init_segmentor
from mmseg.apis.recorded_folder import RecordedFolder
from mmseg.checkpoint.weights import save_checkpoint
from mmseg.core.evaluation import get_classes
from mmseg.datasets import build_dataset
from mmseg.models.segmentors import EncoderDecoder
from tools import make_pseudo_labels as program

REPO = Path(__file__).resolve().parents[2]
TARGET = 'leftImg8bit/val'
# Of 11 writings: 0 the record, 1-6 confidence and label of three images, 7 the thresholds, 8-10 the labels.
STAGES = {'prediction': 3, 'thresholds': 7, 'labels': 9}
# Each stage in a process of its own that is forked before torch has threads; it dies at its n-th writing.
DYING = '''
import os, signal, sys
from mmseg.apis import pseudo_labels, recorded_folder
from tools import make_pseudo_labels

def dying(write, left):
    def until(*args):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        write(*args)
    return until

out, arguments, stages = sys.argv[1], sys.argv[2].split(), sys.argv[3:]
for stage, last in (text.split('=') for text in stages):
    child = os.fork()
    if child == 0:
        left = [int(last)]
        pseudo_labels.write_image = dying(pseudo_labels.write_image, left)
        recorded_folder.write_json = dying(recorded_folder.write_json, left)
        make_pseudo_labels.main([*arguments, '--out', os.path.join(out, stage)])
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
'''


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A run's folder, with a training target, and a second network of another seed."""
    run = make_run(tmp_path_factory.mktemp('run'))
    cfg = Config.fromfile(str(run / 'run.json'))
    leaf = {key: value for key, value in cfg.data.test.items() if key != 'pipeline'}
    pipeline = [dict(type='LoadImageFromFile'), dict(type='Collect', keys=['img'])]
    cfg.data.train = dict(type='UDADataset', source={**leaf, 'pipeline': pipeline},
                          target={**leaf, 'pipeline': pipeline, 'cache': 'not there'})
    cfg.dump(str(run / 'run.json'))
    torch.manual_seed(7)
    other = init_segmentor(str(run / 'run.json'))
    for parameter in other.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    save_checkpoint(str(run / 'other.pth'), other, meta={})
    return run


@pytest.fixture
def call(made, tmp_path, capsys):
    def run(*args, code=0, out=tmp_path / 'out', checkpoints=('latest.pth',)):
        with pytest.raises(SystemExit) as ended:
            program.main([str(made / 'run.json'), *(str(made / name) for name in checkpoints),
                          '--device', 'cpu', '--out', str(out), *map(str, args)])
        printed, err = capsys.readouterr()
        assert ended.value.code == code, err
        return printed if code == 0 else [line for line in err.splitlines() if line.startswith('error: ')]
    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def pictures(folder: Path, kind: str) -> list[np.ndarray]:
    return [cv2.imread(str(folder / kind / f'{name}.png'), cv2.IMREAD_UNCHANGED) for name in NAMES]


def enlarged(model, x, metas):
    prob = torch.softmax(model.decode_head(model.extract_feat(x)), 1)
    return torch.nn.functional.interpolate(prob, metas[0]['ori_shape'][:2], mode='bilinear')


def probabilities(run: Path, checkpoint: str, flip: bool = False, find=EncoderDecoder.inference
                  ) -> list[np.ndarray]:
    """By hand: (19 H W) of each image."""
    model = init_segmentor(str(run / 'run.json'), str(run / checkpoint), 'cpu')
    norm = Config.fromfile(str(run / 'run.json')).data.test.pipeline[1].transforms[2]
    found = []
    for name in NAMES:
        img = cv2.imread(str(run.parent / f'data/{TARGET}/{name}_leftImg8bit.png'))[..., ::-1]
        x = torch.from_numpy((img - np.float32(norm.mean)) / np.float32(norm.std)).permute(2, 0, 1)[None]
        with torch.no_grad():
            metas = [dict(ori_shape=(*SIZE_HW, 3), flip=False)]
            views = [find(model, x, metas)]
            if flip:
                views.append(find(model, x.flip(3), metas).flip(3))
        found.append((sum(views) / len(views))[0].numpy())
    return found


def sorted_thresholds(maps: list[np.ndarray], share: float, most: float) -> np.ndarray:
    confidence, label = (np.stack([f(p, axis=0) for p in maps]) for f in (np.max, np.argmax))
    ranked = [np.sort(confidence[label == c]) for c in range(19)]
    return np.array([min(x[min(round(share * len(x)), len(x) - 1)], most) if len(x) else 0 for x in ranked])


@pytest.mark.parametrize('rule, share', [('bdl', 0.5), ('fda', 0.66)])
def test_labels_confidences_and_thresholds(call, made, tmp_path, rule, share):
    printed = call('--rule', rule)
    maps = probabilities(made, 'latest.pth')
    expected = sorted_thresholds(maps, share, 0.9)
    record = json.loads((tmp_path / 'out/pseudo_labels.json').read_text())
    assert list(record['thresholds']) == record['classes'] == list(get_classes('cityscapes'))
    np.testing.assert_allclose(list(record['thresholds'].values()), expected, atol=1e-5)
    assert sum(record['pixels'].values()) == 3 * 64 * 128
    for prob, label, level in zip(maps, pictures(tmp_path / 'out', 'labels'),
                                  pictures(tmp_path / 'out', 'confidence')):
        assert level.dtype == np.uint16 and label.dtype == np.uint8
        confidence, best = prob.max(axis=0), prob.argmax(axis=0)
        np.testing.assert_allclose(level / 65535, confidence, atol=1e-5)
        clear = np.abs(confidence - expected[best]) > 2e-5  # not on a threshold, to the rounding
        assert np.mean(clear) > 0.95
        wanted = np.where(confidence < expected[best], 255, best)
        np.testing.assert_array_equal(label[clear], wanted[clear])
        assert 0.2 < np.mean(label == 255) < 0.8
    assert f'3 images labelled in {tmp_path}/out' in printed


def test_several_networks_are_averaged(call, made, tmp_path):
    call('--rule', 'threshold', '--threshold', '0', '--weights', '0.25', '0.75',
         checkpoints=('latest.pth', 'other.pth'))
    maps = [0.25 * a + 0.75 * b for a, b in zip(probabilities(made, 'latest.pth'),
                                                probabilities(made, 'other.pth'))]
    for prob, label, level in zip(maps, pictures(tmp_path / 'out', 'labels'),
                                  pictures(tmp_path / 'out', 'confidence')):
        np.testing.assert_allclose(level / 65535, prob.max(axis=0), atol=1e-5)
        assert np.mean(label != prob.argmax(axis=0)) < 1e-3


@pytest.mark.parametrize('args, find', [([], EncoderDecoder.inference),
                                        (['--upsample', 'softmax'], enlarged)])
def test_proda_averages_with_the_mirrored_image(call, made, tmp_path, args, find):
    call('--rule', 'proda', '--threshold', '0.1', *args)
    maps = probabilities(made, 'latest.pth', flip=True, find=find)
    for prob, level in zip(maps, pictures(tmp_path / 'out', 'confidence')):
        np.testing.assert_allclose(level / 65535, prob.max(axis=0), atol=1e-5)


def test_a_target_trains_on_what_was_made(call, made, tmp_path):
    call('--rule', 'bdl')
    cfg = Config.fromfile(str(made / 'run.json')).data.train.target
    cfg.pop('cache')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', img_scale=(64, 32)),
                dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img'])]
    target = build_dataset({**cfg, 'pipeline': pipeline, 'pseudo_labels': str(tmp_path / 'out')})
    assert target[0]['pseudo_semantic_seg'].data.shape == (1, 32, 64)


@pytest.fixture(scope='module')
def killed(made, tmp_path_factory):
    """A folder of runs that were killed, by their stage, and the arguments of all."""
    folder = tmp_path_factory.mktemp('killed')
    arguments = [str(made / 'run.json'), str(made / 'latest.pth'), '--device', 'cpu', '--rule', 'bdl']
    ended = subprocess.run(
        [sys.executable, '-c', DYING, str(folder), ' '.join(arguments),
         *(f'{stage}={last}' for stage, last in STAGES.items())],
        cwd=REPO, capture_output=True, text=True, timeout=300, env={**os.environ, 'PYTHONPATH': str(REPO)})
    assert ended.stdout.split() == [str(int(signal.SIGKILL))] * len(STAGES), ended.stderr
    with pytest.raises(SystemExit):
        program.main([*arguments, '--out', str(folder / 'undisturbed')])
    return folder


@pytest.mark.parametrize('stage', STAGES)
def test_a_killed_run_ends_with_the_files_of_an_undisturbed_one(call, killed, stage):
    out = killed / stage
    assert json.loads((out / 'pseudo_labels.json').read_text())['complete'] is False
    (out / 'labels/aachen/.x.png.tmp1').write_bytes(b'half')
    call('--rule', 'bdl', out=out)
    assert files(out) == files(killed / 'undisturbed')


def test_what_is_complete_is_kept(call, tmp_path, monkeypatch):
    first = call('--rule', 'bdl')
    before = files(tmp_path / 'out')
    monkeypatch.setattr('mmseg.apis.pseudo_labels.write_image', lambda *args: pytest.fail('written again'))
    assert call('--rule', 'bdl') == first
    assert files(tmp_path / 'out') == before


def test_what_was_removed_since_is_made_again(call, tmp_path):
    call('--rule', 'bdl')
    before, record = files(tmp_path / 'out'), tmp_path / 'out/pseudo_labels.json'
    for complete in (True, False):
        record.write_text(json.dumps({**json.loads(record.read_text()), 'complete': complete}))
        for kind in ('labels', 'confidence'):
            (tmp_path / 'out' / kind / 'bonn/bonn_000000.png').unlink()
        call('--rule', 'bdl')
        assert files(tmp_path / 'out') == before


def test_the_folder_is_looked_at_once_a_data_set(call, monkeypatch):
    looked = []
    found = RecordedFolder.missing.fget
    monkeypatch.setattr(RecordedFolder, 'missing', property(lambda folder: looked.append(1) or found(folder)))
    call('--rule', 'bdl')
    assert len(looked) == 1


def test_what_it_did_not_make_is_not_overwritten(call, made, tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'notes.txt').write_text('mine')
    [line] = call('--rule', 'bdl', code=1)
    assert 'holds files that are not of tools/make_pseudo_labels.py' in line
    assert files(out) == {'notes.txt': b'mine'}
    shutil.rmtree(out)
    call('--rule', 'bdl')
    before = files(out)
    for args, key in ((['--rule', 'fda'], 'rule'), (['--rule', 'bdl', '--teacher'], 'teacher'),
                      (['--rule', 'bdl', '--flip'], 'flip')):
        [line] = call(*args, code=1)
        assert f'were made with other {key}: name another folder, or remove this one' in line
    [line] = call('--rule', 'bdl', code=1, checkpoints=('other.pth',))
    assert 'were made with other checkpoints' in line
    assert files(out) == before


def test_a_picture_of_somebody_else_is_not_overwritten(call, tmp_path):
    call('--rule', 'bdl')
    picture = next((tmp_path / 'out/labels').rglob('*.png'))
    cv2.imwrite(str(picture), np.zeros((4, 4), np.uint8))
    [line] = call('--rule', 'bdl', code=1)
    assert str(picture) in line and 'was there before' in line


@pytest.mark.parametrize('kind, content, told', [
    ('confidence', b'half a file', 'confidence/bonn/bonn_000000.png is damaged: remove it and'),
    ('labels', b'half a file', 'labels/bonn/bonn_000000.png'), ('confidence', None, None)])
def test_files_that_were_damaged_since_are_told_and_missing_ones_made(call, tmp_path, kind, content, told):
    """Of a run that was cut off when it had predicted all."""
    rule = ('--rule', 'threshold', '--threshold', '0')
    call(*rule)
    before = files(tmp_path / 'out')
    path = tmp_path / 'out/pseudo_labels.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'complete': False, 'least_levels': None}))
    picture = tmp_path / 'out' / kind / 'bonn/bonn_000000.png'
    if content is None:
        picture.unlink()
        call(*rule)
        assert files(tmp_path / 'out') == before
        return
    picture.write_bytes(picture.read_bytes()[:120] + content)
    [line] = call(*rule, code=1)
    assert told in line


@pytest.mark.parametrize('args, told', [
    (['--rule', 'threshold'], "the rule 'threshold' needs a threshold"),
    (['--rule', 'fda', '--threshold', '0.9'], "the rule 'fda' finds its thresholds itself"),
    (['--rule', 'bdl', '--weights', '0.5', '0.5'], '1 networks have the weights [0.5, 0.5]'),
    (['--rule', 'bdl', '--options', 'data.train.target.img_dir=nowhere'], 'nowhere does not exist'),
    (['--rule', 'bdl', '--options', 'model.decode_head.num_classes=7'], 'the network tells 7 classes apart'),
    (['--rule', 'bdl', '--upsample', 'softmax', '--options', 'model.test_cfg.mode=slide',
      'model.test_cfg.crop_size=64,64', 'model.test_cfg.stride=32,32'], "with model.test_cfg.mode='whole'"),
    (['--rule', 'proda', '--options', 'data.test.pipeline.1.type=Resize'], 'no MultiScaleFlipAug to change')])
def test_mistakes_are_told_in_one_line_and_leave_nothing(call, tmp_path, args, told):
    [line] = call(*args, code=1)
    assert told in line
    assert not (tmp_path / 'out').exists()


def test_the_images_are_no_place_for_labels(call, made):
    [line] = call('--rule', 'bdl', code=1, out=made.parent / 'data' / TARGET / 'pseudo')
    assert 'is a folder of the data set' in line
