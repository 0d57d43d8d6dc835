"""The data half of the report: what is read from the folders of runs, and what each panel makes of it."""

from __future__ import annotations

import json
import statistics

import numpy as np
import pytest
import tiny_run
from report_runs import CLASSES, IMAGES, STEPS, leave_run

from mmseg.report.closing import closing_lines
from mmseg.report.logs import read_text_logs
from mmseg.report.page import all_panels, describe, make_page
from mmseg.report.panels.certainty import certainty_panel, histogram
from mmseg.report.panels.classes import classes_panel, confusion_panel, matrix_figure
from mmseg.report.panels.curves import MOST_POINTS, curves_panel, thin
from mmseg.report.panels.images import Kept, choose, images_panel
from mmseg.report.panels.rare_classes import rare_classes_panel
from mmseg.report.panels.records import records_panel
from mmseg.report.panels.table import table_panel
from mmseg.report.panels.training import thinned, training_panel
from mmseg.report.pictures import IGNORED, RIGHT, WRONG, error_map
from mmseg.report.record import read_record, short_labels, tell_apart
from tools import report

PLENTY = 10_000_000


@pytest.fixture
def runs(tmp_path):
    """Two seeds of 'a', one finished run of 'b', one in the middle."""
    folders = [
        leave_run(tmp_path, 'a', 0),
        leave_run(tmp_path, 'a', 1, {20: 0.2, STEPS: 0.6}),
        leave_run(tmp_path, 'b', 0, {STEPS: 0.7}),
        leave_run(tmp_path, 'b', 1, {20: 0.9}, done=False),
    ]
    return [read_record(folder) for folder in folders]


def test_a_record_has_what_the_folder_says(runs):
    run = runs[1]
    assert (run.name, run.method, run.seed, run.state) == ('toy_a_net_s1', 'toy_a_net', 1, 'finished')
    assert (run.steps, run.max_steps, run.evaluated, run.seconds) == (STEPS, STEPS, STEPS, 90 * 60)
    assert run.last('IoU.road') == pytest.approx(0.6) and run.curves['IoU.road'] == {20: 0.2, STEPS: 0.6}
    assert run.warnings == ['warning: <b>odd</b> thing'] and run.environment['git revision'] == 'abc123'
    assert run.faults == []
    assert (runs[3].state, runs[3].steps) == ('unfinished', 20)


def test_means_are_over_finished_runs(runs):
    content = table_panel(runs).content
    a, b = content['rows']
    assert content['keys'] == ['mIoU', 'mIoU.fog', 'aAcc']
    values = [60, 70]
    assert a['scores']['mIoU'] == dict(
        mean=pytest.approx(65), std=pytest.approx(statistics.stdev(values), 1e-4), n=2
    )
    assert b['scores']['mIoU'] == dict(mean=pytest.approx(80), std=None, n=1) and not b['partial']
    assert [run['scores']['mIoU'] for run in b['runs']] == pytest.approx([80, 100])
    assert a['seconds'] == 5400 and a['memory_gib'] == 2


def test_a_method_without_a_finished_run_is_marked(runs):
    [row] = table_panel(runs[3:]).content['rows']
    assert row['partial'] and row['scores']['mIoU']['mean'] == pytest.approx(100) and row['steps'] == 20


def test_curves_have_every_logged_value_in_percent_where_it_is_a_score(runs):
    content = curves_panel(runs).content
    found = {(trace['meta']['key'], trace['meta']['run']): trace for trace in content['traces']}
    assert content['keys'][0] == 'mIoU' and {'decode.loss_seg', 'IoU.car', 'time'} <= set(content['keys'])
    assert list(found['mIoU', 1]['x']) == [20, STEPS]
    assert list(found['mIoU', 1]['y']) == pytest.approx([30, 70])
    assert list(found['decode.loss_seg', 0]['y']) == pytest.approx([1 / 20, 1 / STEPS])


def test_long_curves_are_means_of_stretches():
    steps, values = thin({step: float(step) for step in range(1, 3 * MOST_POINTS + 1)})
    assert len(steps) == MOST_POINTS and steps[:2] == [3, 6] and values[:2] == [2.0, 5.0]
    assert thin({5: 1.0, 1: 2.0}) == ([1, 5], [2.0, 1.0])


def test_classes_and_confusion(runs):
    content = classes_panel(runs).content
    assert content['classes'] == list(CLASSES)
    assert content['scores'][0] == pytest.approx([50, 60, 70])
    assert content['shares'] == pytest.approx([50, 20, 30])
    [heat] = confusion_panel(runs).content['figures'][0]['data']
    assert [list(row) for row in heat['z']] == [[80, 20, 0], [25, 75, 0], [0, 0, 100]]


def test_a_class_that_is_missing_in_a_log_keeps_its_place(runs):
    del runs[0].curves['IoU.road']  # no pixel of it in the first evaluation
    content = classes_panel(runs).content
    assert content['classes'] == list(CLASSES)
    assert content['scores'][0] == [None, pytest.approx(60), pytest.approx(70)]


def test_a_class_without_pixels_has_no_shares():
    [heat] = matrix_figure([[0, 0], [1, 1]], ['x', 'y'])['data']
    assert [list(row) for row in heat['z']] == [[None, None], [50, 50]]


def test_certainty(runs):
    content = certainty_panel(runs).content
    right, wrong = content['histograms'][0]['data']
    assert list(right['y']) == [50, 20, 10, 0] and list(wrong['y']) == [0, 10, 0, 10]
    assert content['histograms'][0]['layout']['shapes'][0]['x0'] == 0.4
    assert list(content['reliability'][0]['x']) == [0.2, 0.9]
    assert content['scores'][0]['ECE'] == 5 and content['scores'][0]['right_undecided'] is None
    assert 'shapes' not in histogram(dict(edges=[0, 1], right=[1], wrong=[0]), None)['layout']


def test_rare_classes_are_those_of_the_statistics(tmp_path, runs):
    assert rare_classes_panel(runs).content == {}
    assert "the data 'nowhere' are not here" in rare_classes_panel(runs).missing[0]
    (tmp_path / 'sample_class_stats.json').write_text(json.dumps([{'0': 900, '1': 100, 'file': 'x.png'}]))
    for run in runs:
        run.config['data']['train']['source']['data_root'] = str(tmp_path)
    [bar] = rare_classes_panel(runs).content['data']
    odds = np.exp((0.9 - 0.1) / 0.1)  # softmax of (1 − f) / T over two classes
    assert list(bar['x']) == ['car', 'road'] and list(bar['y']) == pytest.approx(
        [100 * odds / (1 + odds), 100 / (1 + odds)], rel=1e-3
    )
    assert bar['meta']['runs'] == [0, 1, 2, 3]


def test_images_are_the_worst_the_best_and_the_most_different(tmp_path):
    scores = {'bad': (0.1, 0.12), 'good': (0.9, 0.91), 'split': (0.2, 0.8), 'dull': (0.5, 0.5)}
    kept = {
        name: {run: Kept(tmp_path, name, {'mIoU': value}) for run, value in enumerate(values)}
        for name, values in scores.items()
    }
    assert choose(kept, 3) == ['bad', 'good', 'split']


def test_pictures_keep_to_their_budget(runs):
    large = images_panel(runs, PLENTY).content['images']
    assert len(large) == IMAGES and set(large[0]['runs']) == {0, 1, 2, 3}
    assert large[0]['runs'][0]['prediction'].startswith('data:image/png;base64,')
    none = training_panel(runs, 100).content
    assert not none or sum(len(picture['src']) for picture in none['pictures']) < 400
    assert len(training_panel(runs, PLENTY).content['pictures']) == 4 * 6


def test_first_images_of_all_steps_come_before_second_ones(tmp_path):
    files = [(step, tmp_path / f'{step:06d}_{i}.png') for i in (0, 1) for step in range(10)]
    assert [step for step, _ in thinned(files, 4)] == [0, 3, 6, 9]
    assert len(thinned(files, 100)) == 20 and thinned(files, 12)[:2] == [files[0], files[10]]


def test_errors_are_told_from_ignored_pixels():
    truth, prediction = np.array([[0, 1, 255]]), np.array([[0, 0, 0]])
    assert error_map(prediction, truth, 2).tolist() == [[RIGHT, WRONG, IGNORED]]


def test_records_tell_differences_and_commands(runs):
    runs[0].base = {'runner': {'max_iters': 7}}
    found = records_panel(runs).content['runs']
    assert f'~ runner.max_iters = {STEPS} (was 7)' in found[0]['from_base'] and found[0]['from_first'] is None
    assert "~ method = 'b' (was 'a')" in found[2]['from_first']
    assert (
        found[0]['commands'][0] == 'git checkout abc123'
        and 'run_experiments.py --exp 5' in found[0]['commands'][1]
    )


@pytest.mark.parametrize('exp', ['basic', 901, None])
def test_the_base_files_are_those_of_the_config_that_the_command_names(tmp_path, monkeypatch, exp):
    """Configs of the project have an 'exp' that is no table's; one beside a checkpoint is not read."""
    run = read_record(leave_run(tmp_path / 'runs'))
    run.config['exp'] = exp
    for name in ('mine', 'theirs'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'base.json').write_text('{"runner": {"max_iters": 7}}')
        (tmp_path / name / 'own.py').write_text("_base_ = 'base.json'\n")
    (tmp_path / 'theirs' / 'latest.pth').touch()
    monkeypatch.chdir(tmp_path)
    found = {}
    for file in ('mine/own.py', 'theirs/own.py', 'configs/toy/streets_ebda_mitb0_s0.py', 'gone.py'):
        run.environment['command'] = f'tools/train.py {file} --seed 3'
        found[file] = report.base_config(run)
    shipped_base = found.pop('configs/toy/streets_ebda_mitb0_s0.py')
    assert found == {'mine/own.py': dict(runner=dict(max_iters=7)), 'theirs/own.py': None, 'gone.py': None}
    assert shipped_base['uda']['type'] == 'DACS'


@pytest.mark.parametrize(
    'damage, told',
    [
        ('config', 'no readable config'),
        ('log', 'damaged'),
        ('scores', 'damaged'),
        ('images', 'damaged'),
        ('pictures', 'damaged'),
        ('everything', 'no log'),
        ('halves', 'missing or damaged'),
    ],
)
def test_a_damaged_folder_is_told_and_the_rest_shown(tmp_path, damage, told):
    good, bad = leave_run(tmp_path, 'a'), leave_run(tmp_path, 'b')
    files = dict(
        config=f'{bad.name}.json',
        log='1.log.json',
        scores='evaluation/scores.json',
        images='evaluation/images.json',
        pictures='class_mix_debug/000000_0.png',
        halves='evaluation/00000_truth.png',
    )
    if damage == 'everything':
        bad = tmp_path / 'empty'
        bad.mkdir()
    else:
        (bad / files[damage]).write_bytes(b'\x00{"mode": \nnothing\n')
    runs = [read_record(folder) for folder in (good, bad)]
    panels = all_panels(runs)
    assert any(told in line and bad.name in line for panel in panels for line in panel.missing), panels
    assert all(panel.content for panel in panels if panel.id != 'rare')
    assert make_page(runs, 'x')


def test_nothing_but_an_empty_folder_makes_a_page(tmp_path):
    page = make_page([read_record(tmp_path)], '<b>&')
    assert '<h1>&lt;b&gt;&amp;</h1>' in page


def test_a_page_needs_no_network_and_its_data_cannot_end_their_script(runs):
    page = make_page(runs, 'x')
    data = page.partition('id="data">')[2].partition('</script>')[0]
    assert '<' not in data and json.loads(data)['panels'][0]['id'] == 'table'
    head = page.partition('id="data">')[0]
    assert 'http:' not in head and 'https:' not in head


def test_labels_are_what_differs():
    assert short_labels(['toy_a_net', 'toy_b_c_net']) == {'toy_a_net': 'a', 'toy_b_c_net': 'b_c'}
    assert short_labels(['x']) == {'x': 'x'} and short_labels([]) == {}


def test_runs_of_one_name_and_other_settings_are_two_methods_and_twins_have_names(tmp_path):
    """Their scores would be averaged as if they were seeds, and nobody could choose between them."""
    one, again, other = (leave_run(tmp_path / word, 'a') for word in ('x', 'y', 'z'))
    again = again.rename(again.with_name('later'))
    [kept] = other.glob('*_abcde.json')
    kept.write_text(json.dumps({**json.loads(kept.read_text()), 'optimizer': {'lr': 0.1}}))
    nameless = leave_run(tmp_path / 'n', 'b')
    [kept] = nameless.glob('*_abcde.json')
    kept.unlink()
    runs = [read_record(folder) for folder in (one, again, other, nameless)]
    tell_apart(runs)
    told = describe(runs)
    assert [run['method'] for run in told] == [
        'toy_a_net', 'toy_a_net', 'toy_a_net, optimizer.lr = 0.1', 'toy_b_net']
    assert [run['label'] for run in told] == [
        f'a · seed 0, {one.name}', 'a · seed 0, later', 'a, optimizer.lr = 0.1 · seed 0', 'b']


def test_time_is_summed_over_starts(tmp_path):
    for day in (1, 2):
        (tmp_path / f'{day}.log').write_text(
            f'2026-01-0{day} 10:00:00,000 - mmseg - INFO - a\n'
            f'2026-01-0{day} 10:00:10,000 - mmseg - INFO - b\n'
        )
    assert read_text_logs(tmp_path) == (20, [])


def test_closing_lines(tmp_path):
    one = leave_run(tmp_path, 'a')
    assert closing_lines([one]) == [
        'score:  mIoU 60.00 %',
        f'time:   1:30:00 for {STEPS} of {STEPS} steps',
        f'result: {one / "latest.pth"}; report: python -m tools.report {one}',
    ]
    two = [one, leave_run(tmp_path, 'a', 1, {STEPS: 0.7}), leave_run(tmp_path, 'b', 0, {})]
    lines = closing_lines(two, '--exp 5')
    assert lines[0] == f'score:  mIoU a 70.00 % ± {statistics.stdev([60, 80]):.2f}, b not evaluated'
    assert lines[1] == 'time:   4:30:00 for 3 runs' and lines[2].endswith('python -m tools.report --exp 5')


def test_a_cut_line_of_pseudo_labels_takes_no_other_with_it(tmp_path):
    """A run is read while it writes; one that was killed there goes on behind the cut."""
    folder = leave_run(tmp_path)
    file = folder / 'pseudo_labels.jsonl'
    file.write_text('{"step": 5}\n{"step": 10}\n{"st')
    found = read_record(folder)
    assert found.pseudo_labels == [{'step': 5}, {'step': 10}] and not found.faults
    file.write_text('{"step": 5}\n{"st{"step": 10}\n{"step": 15}\n')
    found = read_record(folder)
    assert found.pseudo_labels == [{'step': 5}, {'step': 15}]
    assert [fault for fault in found.faults if 'pseudo_labels.jsonl, line 2 is damaged' in fault]


def test_a_finished_run_has_made_its_steps_though_the_log_ends_before(tmp_path):
    """Logged every 50 steps, a run of 2 or of 99 has no line of its last."""
    done, going = (leave_run(tmp_path, name, scores={20: 0.3}, done=name == 'a') for name in 'ab')
    assert closing_lines([done])[1].endswith(f'for {STEPS} of {STEPS} steps')
    assert closing_lines([going])[1].endswith(f'for 20 of {STEPS} steps')


def call(capsys, *argv) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        report.main([str(word) for word in argv])
    return end.value.code, *capsys.readouterr()


def test_an_earlier_report_is_replaced_and_another_file_is_not(tmp_path, capsys):
    folder, out = leave_run(tmp_path), tmp_path / 'r.html'
    for _ in range(2):
        code, said, _ = call(capsys, folder, '--out', out)
        assert code == 0 and str(out) in said
    out.write_text('my own notes')
    code, _, error = call(capsys, folder, '--out', out)
    assert code == 1 and 'is no report' in error and out.read_text() == 'my own notes'
    code, _, error = call(capsys, tmp_path / 'gone', '--out', tmp_path / 's.html')
    assert code == 1 and 'gone' in error
    assert call(capsys)[0] == 2


def test_without_plotly_a_command_is_told_that_works_beside_a_wheel(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report.importlib.util, 'find_spec', lambda name: None)
    code, _, error = call(capsys, tmp_path)
    assert code == 1 and error == "error: the report needs Plotly: pip install 'plotly>=6,<7'\n"


def test_runs_of_a_table_are_found_in_its_order(tmp_path, monkeypatch, capsys):
    cfgs = [dict(name=f'toy_{method}_net_s{seed}', _base_=[]) for method in 'ba' for seed in (0, 1)]
    monkeypatch.setattr(report, 'generate_experiment_cfgs', lambda number: cfgs)
    group = tmp_path / 'slurm-exp5'
    folders = [leave_run(group, 'a', 0), leave_run(group, 'b', 0)]
    assert report.folders_of(5, tmp_path) == folders[::-1]
    code, _, error = call(capsys, '--exp', 6, '--work-dirs', tmp_path)
    assert code == 1 and 'no run of experiment 6' in error


def test_scores_in_another_folder_are_found_by_their_checkpoint(tmp_path):
    ours, other = (
        leave_run(tmp_path / 'runs', 'a', pictures=False),
        leave_run(tmp_path / 'runs', 'b', pictures=False),
    )
    scores = tmp_path / 'scores' / 'x' / 'eval_latest_1.json'
    scores.parent.mkdir(parents=True)
    scores.write_text(
        json.dumps(
            dict(
                checkpoint=f'/far/{ours.name}/iter_1.pth',
                classes=CLASSES,
                confusion_matrix=np.eye(3).tolist(),
            )
        )
    )
    found = [bool(read_record(folder, tmp_path / 'scores').evaluation) for folder in (ours, other)]
    assert found == [True, False]


def test_predictions_are_made_where_none_were_kept(tmp_path, capsys):
    folder = tiny_run.make_run(tmp_path)
    cfg = tiny_run.config(tmp_path / 'data')
    cfg.data.val = cfg.data.test
    cfg.dump(str(folder / 'run.json'))
    for _ in range(2):
        assert call(capsys, folder, '--predict', '--device', 'cpu', '--out', tmp_path / 'r.html')[0] == 0
    content = images_panel([read_record(folder)], PLENTY).content
    assert [image['name'] for image in content['images']] and len(content['images']) == len(tiny_run.NAMES)
    assert [entry['name'] for entry in content['legend']][:2] == ['road', 'sidewalk']
    (folder / 'latest.pth').write_bytes(b'no checkpoint')
    (folder / 'evaluation' / 'images.json').unlink()
    assert call(capsys, folder, '--predict', '--device', 'cpu', '--out', tmp_path / 'r.html')[0] == 0
    assert '--predict: ' in (tmp_path / 'r.html').read_text()


def test_the_title_names_every_folder_of_runs_once(tmp_path):
    folders = [tmp_path / 'exp901' / 'a', tmp_path / 'exp901' / 'b', tmp_path / 'exp902' / 'a']
    assert report.title_of(None, folders) == 'exp901, exp902'
