"""tools/analyze_logs.py: the right numbers at the right iterations, in a picture that is a new file."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from tools import analyze_logs


def log_lines(first: int, last: int, offset: float = 0.0) -> list[str]:
    """A training's log as mmcv writes it: every 10 iterations, an evaluation of 500 images every 20."""
    records = [dict(env_info='PyTorch', seed=0, exp_name='x')]
    for i in range(first, last + 1, 10):
        records.append({'mode': 'train', 'epoch': 1, 'iter': i, 'lr': 1e-3, 'decode.loss_seg': offset + 1 / i,
                        'memory': 5, 'time': 0.5})
        if i % 20 == 0:
            records.append({'mode': 'val', 'epoch': 1, 'iter': 500, 'lr': 1e-3, 'mIoU': offset + i / 1000,
                            'IoU.train': float('nan'), 'note': 'text'})
    return [json.dumps(record) for record in records]


@pytest.fixture
def run_dir(tmp_path):
    folder = tmp_path / 'run'
    folder.mkdir()
    (folder / '20260101_000000.log.json').write_text('\n'.join(log_lines(10, 40)) + '\n{"mode": "tra')
    (folder / '20260102_000000.log.json').write_text('\n'.join(log_lines(30, 60, offset=5)))
    return folder


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*args, code=0):
        with pytest.raises(SystemExit) as ended:
            analyze_logs.main([str(arg) for arg in args])
        text = capsys.readouterr()
        assert ended.value.code == code, text.err
        return text.out if code == 0 else text.err
    return run


def test_a_resumed_run_is_one_curve_of_its_last_values(run_dir):
    curves = analyze_logs.read_run(str(run_dir))
    assert curves['decode.loss_seg'] == pytest.approx(
        {10: 1 / 10, 20: 1 / 20, 30: 5 + 1 / 30, 40: 5 + 1 / 40, 50: 5 + 1 / 50, 60: 5 + 1 / 60})
    assert set(curves) == {'lr', 'decode.loss_seg', 'memory', 'time', 'mIoU'}


def test_an_evaluation_stands_at_the_iteration_that_it_followed(run_dir):
    curves = analyze_logs.read_run(str(run_dir))
    assert curves['mIoU'] == pytest.approx({20: 0.02, 40: 5.04, 60: 5.06})
    [first, _] = sorted(run_dir.iterdir())
    assert analyze_logs.read_run(str(first))['mIoU'] == pytest.approx({20: 0.02, 40: 0.04})


def test_an_evaluation_between_logged_iterations_stands_at_its_own(tmp_path):
    records = ({'mode': 'train', 'iter': 1000, 'loss': 1.0},
               {'mode': 'val', 'iter': 500, 'step': 1020, 'mIoU': 0.5})
    (tmp_path / 'now.log.json').write_text('\n'.join(map(json.dumps, records)))
    assert analyze_logs.read_run(str(tmp_path)) == {'loss': {1000: 1.0}, 'mIoU': {1020: 0.5}}


def test_each_key_is_a_panel_and_each_run_a_line():
    runs = {'a': {'x': {1: 1.0, 3: 5.0, 2: 3.0}, 'y': {1: 0.0}}, 'b': {'x': {1: 9.0}}}
    figure = analyze_logs.plot(runs, ['x', 'y'], window=2, title='both')
    first, second = figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in first.lines}
    assert lines == {'a': [[1, 1], [2, 2], [3, 4]], 'b': [[1, 9]]}
    assert [line.get_label() for line in second.lines] == ['a'] and second.get_ylabel() == 'y'


def test_scores_are_drawn_in_percent():
    figure = analyze_logs.plot({'a': {'mIoU': {1: 0.25, 2: 0.5}}}, ['mIoU'], window=1, title='')
    [axes] = figure.axes
    assert axes.get_ylabel() == 'mIoU (%)'
    assert axes.lines[0].get_ydata().tolist() == [25.0, 50.0]


def test_smoothing_is_the_mean_of_the_last_values():
    values = np.random.RandomState(0).rand(9)
    expected = [values[max(0, i - 3):i + 1].mean() for i in range(9)]
    np.testing.assert_allclose(analyze_logs.smoothed(values, 4), expected)
    np.testing.assert_allclose(analyze_logs.smoothed(values, 1), values)


def test_the_picture_is_a_new_file(call, run_dir, tmp_path):
    arguments = [run_dir, run_dir, '--keys', 'mIoU', 'decode.loss_seg']
    assert 'curves.png' in call(*arguments)
    before = (tmp_path / 'curves.png').read_bytes()
    assert cv2.imread(str(tmp_path / 'curves.png')).std() > 10
    assert 'curves_2.png' in call(*arguments)
    assert 'exists' in call(*arguments, '--out', tmp_path / 'curves.png', code=1)
    assert (tmp_path / 'curves.png').read_bytes() == before


def test_runs_are_named_by_their_folders_or_as_told():
    assert analyze_logs.labels_of(['/a/one', '/b/two/']) == ['one', 'two']
    assert analyze_logs.labels_of(['/a/one', '/b/one', 'c/1.log.json']) == ['one (1)', 'one (2)', '1']


def test_an_unknown_key_lists_what_was_logged(call, run_dir):
    message = call(run_dir, '--keys', 'miou', code=1)
    assert "did you mean 'mIoU'" in message and 'decode.loss_seg, lr, mIoU, memory, time' in message


def test_mistakes_end_in_one_line(call, run_dir, tmp_path):
    assert 'no folder that holds one' in call(tmp_path, code=1)
    assert 'no folder that holds one' in call(tmp_path / 'none', code=1)
    (tmp_path / 'a.log.json').write_text('{}\nno json\n{}')
    assert 'line 2: no JSON' in call(tmp_path / 'a.log.json', code=1)
    (tmp_path / 'b.log.json').write_text('{"env_info": 1}\n')
    assert 'logged nothing' in call(tmp_path / 'b.log.json', code=1)
    assert '2 names for 1 runs' in call(run_dir, '--labels', 'a', 'b', code=1)
    assert 'must end in .png' in call(run_dir, '--out', 'x.pdf', code=1)
    assert 'at least 1' in call(run_dir, '--smooth', '0', code=1)
