"""tools/test.py, called in this process."""
from __future__ import annotations

import json
import pickle
import re

import cv2
import numpy as np
import pytest
import torch
from mmcv import Config, ConfigDict
from PIL import Image
from tiny_run import NAMES, SIZE_HW, make_run

from mmseg.apis import init_segmentor
from mmseg.checkpoint.weights import save_checkpoint
from mmseg.core.evaluation import ConfusionMatrix
from mmseg.core.pictures import GAP, LEGEND_WIDTH
from mmseg.datasets.cityscapes import LABEL_IDS
from mmseg.utils import ConfigError
from tools import test as program


@pytest.fixture
def run_dir(tmp_path):
    return make_run(tmp_path)


@pytest.fixture
def call(run_dir, capsys):
    def run(*args, code=0, config='run.json', checkpoint='latest.pth'):
        with pytest.raises(SystemExit) as ended:
            program.main([str(run_dir / config), str(run_dir / checkpoint), *map(str, args)])
        out, err = capsys.readouterr()
        assert ended.value.code == code, err
        return out if code == 0 else ''.join(
            line for line in err.splitlines() if line.startswith('error: '))
    return run


def results(run_dir):
    return [json.loads(p.read_text()) for p in sorted(run_dir.glob('eval_*.json'))]


def predictions(call, tmp_path, *args):
    call(*args, '--out', tmp_path / 'p.pkl')
    written = (tmp_path / 'p.pkl').read_bytes()
    (tmp_path / 'p.pkl').unlink()
    return pickle.loads(written)


def labels(run_dir):
    return [cv2.imread(str(run_dir.parent / f'data/gtFine/val/{name}_gtFine_labelTrainIds.png'), 0)
            for name in NAMES]


def test_scores_are_printed_and_kept_in_a_file(call, run_dir, tmp_path):
    maps = predictions(call, tmp_path)
    assert results(run_dir) == []  # --out alone asks for no scores
    matrix = ConfusionMatrix(19)
    for pred, label in zip(maps, labels(run_dir)):
        matrix.update(pred, label)
    miou = float(np.nanmean(matrix.metrics()['IoU']))

    out = call('--eval', 'mIoU', 'mDice')
    assert 'traffic light' in out
    assert float(re.findall(r'^mIoU: (.*) %$', out, re.M)[-1]) == pytest.approx(100 * miou, abs=5e-3)
    [result] = results(run_dir)
    assert result['scores']['mIoU'] == pytest.approx(miou) and 'mDice' in result['scores']
    np.testing.assert_array_equal(result['confusion_matrix'], matrix.matrix.numpy())
    call()
    assert len(results(run_dir)) == 2  # an earlier result stays


def test_the_teacher_is_another_network(call, tmp_path):
    student, teacher = predictions(call, tmp_path), predictions(call, tmp_path, '--teacher')
    assert any((a != b).any() for a, b in zip(student, teacher))


@pytest.fixture
def other(run_dir):
    """A second network."""
    torch.manual_seed(7)
    network = init_segmentor(str(run_dir / 'run.json'), str(run_dir / 'latest.pth'), 'cpu')
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    save_checkpoint(str(run_dir / 'other.pth'), network, meta={})
    return run_dir / 'other.pth'


def probabilities(run_dir, checkpoint, softmax_first):
    """By hand: (19 H W) of each image, what OpenCV reads and numpy normalises."""
    network = init_segmentor(str(run_dir / 'run.json'), str(checkpoint), 'cpu')
    norm = Config.fromfile(str(run_dir / 'run.json')).data.test.pipeline[1].transforms[2]
    found = []
    for name in NAMES:
        img = cv2.imread(str(run_dir.parent / f'data/leftImg8bit/val/{name}_leftImg8bit.png'))[..., ::-1]
        x = torch.from_numpy((img - np.float32(norm.mean)) / np.float32(norm.std)).permute(2, 0, 1)[None]
        with torch.no_grad():
            coarse = network.decode_head(network.extract_feat(x))
            first = coarse.softmax(1) if softmax_first else coarse
            large = torch.nn.functional.interpolate(first, SIZE_HW, mode='bilinear')
            found.append((large if softmax_first else large.softmax(1))[0].numpy())
    return found


@pytest.mark.parametrize('args, weights', [([], [0.5, 0.5]), (['--weights', '0.2', '0.8'], [0.2, 0.8]),
                                           (['--upsample', 'softmax'], [0.5, 0.5])])
def test_several_networks_are_averaged(call, run_dir, other, tmp_path, args, weights):
    """ADVENT's two networks and, with the softmax before enlarging, FDA's three, against averages by hand."""
    softmax_first = 'softmax' in args
    one, two = (probabilities(run_dir, path, softmax_first) for path in (run_dir / 'latest.pth', other))
    mean = [weights[0] * a + weights[1] * b for a, b in zip(one, two)]
    maps = predictions(call, tmp_path, other, *args)
    for found, prob in zip(maps, mean):
        best = np.sort(prob, axis=0)
        clear = best[-1] - best[-2] > 1e-5
        assert clear.mean() > 0.99
        np.testing.assert_array_equal(found[clear], prob.argmax(0)[clear])
    assert any((found != alone.argmax(0)).any() for found, alone in zip(maps, one))
    call(other, '--format-only', '--eval-options', f'imgfile_prefix={tmp_path}/f', 'to_label_id=False', *args)
    for name, found in zip(NAMES, maps):
        [path] = (tmp_path / 'f').rglob(f'{name.split("/")[-1]}*.png')
        np.testing.assert_array_equal(np.asarray(Image.open(path)), found)


def test_scores_of_an_average_are_of_no_run(call, run_dir, other, tmp_path, monkeypatch):
    maps = predictions(call, tmp_path, other)
    matrix = ConfusionMatrix(19)
    for pred, label in zip(maps, labels(run_dir)):
        matrix.update(pred, label)
    monkeypatch.chdir(tmp_path)
    call(other, '--eval', 'mIoU', 'calibration')
    assert results(run_dir) == []
    [path] = (tmp_path / 'work_dirs/tests/latest+other').glob('eval_*.json')
    written = json.loads(path.read_text())
    assert written['scores']['mIoU'] == pytest.approx(float(np.nanmean(matrix.metrics()['IoU'])))
    assert written['checkpoint'] == [str(run_dir / 'latest.pth'), str(other)]
    assert 0 < written['calibration']['scores']['ECE'] < 1


def test_weights_of_an_average_are_one_each(call, other):
    assert "2 networks have the weights [0.5]" in call(other, '--weights', '0.5', code=1)
    assert 'the sum 1' in call(other, '--weights', '0.5', '0.6', code=1)


def test_formatted_predictions_have_the_images_names_and_the_servers_ids(call, run_dir, tmp_path):
    maps = predictions(call, tmp_path)
    ids = tmp_path / 'out' / 'ids'
    out = call('--format-only', '--eval-option', f'imgfile_prefix={ids}')
    assert f'3 files written to {ids}' in out and results(run_dir) == []
    call('--format-only', '--eval-options', f'imgfile_prefix={tmp_path / "train_ids"}',
         'to_label_id=False')
    for name, seg in zip(NAMES, maps):
        file = name.split('/')[1] + '_leftImg8bit.png'
        with Image.open(ids / file) as written:
            np.testing.assert_array_equal(np.array(written), np.array(LABEL_IDS)[seg])
        with Image.open(tmp_path / 'train_ids' / file) as written:
            np.testing.assert_array_equal(np.array(written), seg)


def test_the_test_split_needs_no_labels_to_be_formatted(call, tmp_path):
    call('--format-only', '--test-set', '--eval-options', f'imgfile_prefix={tmp_path / "out"}')
    assert len(list((tmp_path / 'out').iterdir())) == 3
    assert 'gtFine/test' in call('--test-set', code=1)


def test_pictures_are_written_under_the_images_names(call, tmp_path):
    call('--show-dir', tmp_path / 'preds', '--opacity', '1')
    for name in NAMES:
        picture = cv2.imread(str(tmp_path / 'preds' / f'{name}_leftImg8bit.png'))
        assert picture.shape == (*SIZE_HW, 3)


def test_pictures_with_a_legend_and_panels(call, tmp_path):
    call('--show-dir', tmp_path / 'preds', '--legend', '--outlines', '--panels', tmp_path / 'panels')
    for name in NAMES:
        file = f'{name}_leftImg8bit.png'
        assert cv2.imread(str(tmp_path / 'preds' / file)).shape[1] == SIZE_HW[1] + LEGEND_WIDTH
        # image, truth and prediction in the first of two rows
        assert cv2.imread(str(tmp_path / 'panels' / file)).shape[1] == 3 * (SIZE_HW[1] + GAP) + LEGEND_WIDTH
    call('--panels', tmp_path / 'bare', '--test-set')
    heights = [{cv2.imread(str(path)).shape[0] for path in (tmp_path / folder).rglob('*.png')}
               for folder in ('panels', 'bare')]
    assert max(heights[1]) < max(heights[0]), 'without labels one row: image, prediction and entropy'


def test_panels_of_several_data_sets(call, tmp_path):
    call('--panels', tmp_path / 'panels', '--options', 'data.test.img_dir=[leftImg8bit/val,leftImg8bit/val]',
         'data.test.ann_dir=[gtFine/val,gtFine/val]')
    pictures = [cv2.imread(str(path)) for path in (tmp_path / 'panels').rglob('*.png')]
    assert len(pictures) == 2 * len(NAMES)
    assert {picture.shape[1] for picture in pictures} == {3 * (SIZE_HW[1] + GAP) + LEGEND_WIDTH}


def test_panels_alone_take_one_pass(call, tmp_path, monkeypatch):
    monkeypatch.setattr(program, 'run_test', lambda *args, **settings: pytest.fail('a pass for nothing'))
    call('--panels', tmp_path / 'panels')
    assert len([*(tmp_path / 'panels').rglob('*.png')]) == len(NAMES)


def test_other_ways_to_predict_run_and_differ(call, tmp_path):
    plain = predictions(call, tmp_path)
    for args in (['--aug-test'], ['--inference-mode', 'slide']):
        other = predictions(call, tmp_path, *args)
        assert [m.shape for m in other] == [SIZE_HW] * 3
        assert any((a != b).any() for a, b in zip(plain, other)), args
    same = predictions(call, tmp_path, '--inference-mode', 'whole')
    np.testing.assert_array_equal(plain, same)


def test_options_reach_the_config(call, tmp_path):
    assert 'no_such' in call('--options', 'data.test.img_dir=no_such', code=1)
    assert "did you mean 'mIoU'" in call('--eval', 'miou', code=1)


def test_nothing_is_written_among_the_data(call, run_dir):
    data = run_dir.parent / 'data' / 'leftImg8bit'
    before = {p: p.read_bytes() for p in data.rglob('*.png')}
    for folder in (data / 'val', data / 'val' / 'aachen', data / 'val' / 'new'):
        assert 'would be overwritten' in call('--show-dir', folder, code=1)
        assert 'would be overwritten' in call(
            '--format-only', '--eval-options', f'imgfile_prefix={folder}', code=1)
    assert {p: p.read_bytes() for p in data.rglob('*.png')} == before


@pytest.mark.parametrize('args, message', [
    (['--eval', 'mIoU', '--format-only'], 'exclude each other'),
    (['--submission', 'acdc', '--format-only'], '--submission excludes'),
    (['--submission', 'acdc'], '--submission acdc needs a ACDCDataset as data.test'),
    (['--submission', 'acdc', '--invalid-below', '0.5'], '--invalid-below goes with --submission darkzurich'),
    (['--submission', 'darkzurich', '--invalid-below', '1.5'], '1.5 is no probability'),
    (['--out', 'x.txt'], 'must end in .pkl'),
    (['--out', 'used.pkl'], "'used.pkl' exists already"),
    (['--format-only', '--eval-options', 'prefix=x'], "unknown key 'prefix' in --eval-options"),
    (['--options', 'novalue'], 'key=value'),
    (['--device', 'cuda:99'], 'is not available'),
    (['--options', 'model.decode_head.channels=8'], 'does not fit EncoderDecoder'),
    (['--options', 'data.test.classes=road,car'], 'tells 19 classes apart'),
    (['--launcher', 'pytorch'], 'torchrun'),
    (['--show-dir', 'preds', '--opacity', '7'], 'between 0 and 1')])
def test_mistakes_end_in_one_line(call, monkeypatch, tmp_path, args, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'used.pkl').touch()
    assert message in call(*args, code=1)
    assert not (tmp_path / 'used.pkl').stat().st_size


def test_missing_files_are_named(call, run_dir):
    assert 'none.json' in call(config='none.json', code=1)
    assert 'none.pth' in call(checkpoint='none.pth', code=1)
    (run_dir / 'junk.pth').write_bytes(b'junk')
    assert 'junk.pth' in call(checkpoint='junk.pth', code=1)


def test_val_becomes_test_as_a_word_below_the_root_only():
    cfg = ConfigDict(type='Interval', data_root='/home/val/data', img_dir='rgb_anon/val',
                     ann_dir='/home/valentin/gt_val', split='lists/val.txt', n=3)
    program.use_test_split(cfg)
    assert cfg == dict(type='Interval', data_root='/home/val/data', img_dir='rgb_anon/test',
                       ann_dir='/home/valentin/gt_test', split='lists/test.txt', n=3)


def test_a_test_split_can_be_named():
    cfg = ConfigDict(type='CustomDataset', img_dir='photos/check', ann_dir='masks/check')
    with pytest.raises(ConfigError, match=r"'photos/check'\? .* data.test_split=dict"):
        program.use_test_split(cfg)
    assert cfg.img_dir == 'photos/check'
    program.use_test_split(cfg, dict(img_dir='photos/exam', ann_dir=None))
    assert cfg == dict(type='CustomDataset', img_dir='photos/exam', ann_dir=None)


def test_only_folders_and_lists_of_val_become_those_of_test():
    cfg = dict(type='CustomDataset', img_dir='val/images', seg_map_suffix='_val.png', data_root='/val')
    program.use_test_split(cfg)
    assert cfg == dict(type='CustomDataset', img_dir='test/images', seg_map_suffix='_val.png',
                       data_root='/val')


def test_sliding_takes_its_window_from_the_config():
    cfg = Config(dict(model=dict(test_cfg=dict(mode='whole')), crop_size=(512, 256)))
    program.use_inference_mode(cfg, 'slide')
    assert cfg.model.test_cfg == dict(mode='slide', crop_size=(512, 256), stride=(256, 128))


@pytest.mark.parametrize('train', [dict(type='UDADataset', source=dict(type='SynthiaDataset'), target={}),
                                   dict(type='SynthiaDataset')])
def test_synthia_as_source_prints_its_means(call, run_dir, train):
    cfg = Config.fromfile(str(run_dir / 'run.json'))
    cfg.data.train = train
    cfg.dump(str(run_dir / 'synthia.json'))
    out = call(config='synthia.json')
    ious = [v for k, v in results(run_dir)[0]['scores'].items() if k.startswith('IoU.')]
    for name, without in (('mIoU16', (9, 14, 16)), ('mIoU13', (3, 4, 5, 9, 14, 16))):
        kept = [v for c, v in enumerate(ious) if c not in without and v is not None]
        assert f'{name}: {100 * np.mean(kept):.2f} %' in out
    assert out.strip().splitlines()[-1].startswith('mIoU: ')


@pytest.mark.parametrize('excluded, words', [(True, 'left out'), (False, 'kept')])
def test_the_report_says_how_paired_source_images_were_treated(call, run_dir, excluded, words):
    cfg = Config.fromfile(str(run_dir / 'run.json'))
    cfg.data.train = dict(type='UDADataset', source=dict(type='CityscapesDataset'),
                          target=dict(type='ConcatDataset', datasets=[dict(type='RainCityscapesDataset')]),
                          exclude_paired_source=excluded)
    cfg.dump(str(run_dir / 'rain.json'))
    note = f'training: source images of the scenes of the target {words}'
    assert note in call(config='rain.json')
    assert results(run_dir)[0]['note'] == note
