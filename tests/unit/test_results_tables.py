"""The tables of docs/results.md are what docs/results/*.json say, and those what the runs left."""
from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from mmseg.models.uda.parts.mixed_batch import ENTROPY_PERCENTS
from mmseg.report.collected import collect, label_of, with_earlier
from mmseg.report.figures import FIGURES, draw
from mmseg.report.record import RunRecord
from mmseg.report.results import TABLES, with_tables
from mmseg.utils import DataError
from tools import results_tables

ROOT = Path(__file__).resolve().parents[2]


def dacs(balance: dict | None = None, sampling: bool = True) -> dict:
    train = dict(type='UDADataset', **(dict(rare_class_sampling={}) if sampling else {}))
    return dict(uda=dict(type='DACS', entropy_balance=balance), data=dict(train=train))


def run(config: dict, seed: int, score: float, certainty: dict | None = None, steps: int = 20,
        name: str = 'name') -> RunRecord:
    config = dict(config, seed=seed, runner=dict(max_iters=20))
    return RunRecord(Path('somewhere'), f'{name}_s{seed}', config, 'finished', seconds=90.0,
                     curves={'mIoU': {steps: score}, 'IoU.road': {steps: score + 0.1},
                             'IoU.car': {steps: 0.2}},
                     calibration=dict(scores=certainty) if certainty else {})


RUNS = [run(dict(name='x_source-only_y'), 0, 0.3), run(dict(name='x_source-only_y'), 1, 0.32),
        run(dict(name='x_target-only_y'), 0, 0.5), run(dict(name='x_target-only_y'), 1, 0.52),
        run(dacs(), 0, 0.4), run(dacs(), 1, 0.42, dict(ECE=0.05, NLL=0.7, entropy=0.3, wrong_certain=0.01,
                                                     right_undecided=0.02, AUROC=0.8)),
        run(dacs(dict(target=0.4, loss_weight=0.1)), 0, 0.43),
        run(dacs(dict(target=0.4, loss_weight=0.1)), 1, 0.41)]


def table(kind: str, runs=RUNS) -> list[str]:
    results = json.loads(json.dumps(collect(runs, 5, 'toy', 'command')), object_hook=lambda found: found)
    page = f'before\n<!-- table: 5 {kind} -->\nold\n<!-- end of table -->\nafter\n'
    made = with_tables(page, lambda name: results)
    assert made.startswith('before\n') and made.endswith('<!-- end of table -->\nafter\n')
    assert 'old' not in made
    return made.splitlines()[3:-3]


@pytest.mark.parametrize(('config', 'label'), [
    (dict(name='camvid_source-only_z'), 'source only'), (dict(name='camvid_target-only_z'), 'target only'),
    (dacs(sampling=False), 'DACS'), (dacs(), 'DAFormer'), (dict(uda=dict(type='MinEnt')), 'MinEnt'),
    (dict(uda=dict(type='ProDADistillation')), 'ProDA'),
    (dacs(dict(target=0.2, loss_weight=0.05)), 'EBDA, h = 0.2, λ = 0.05'),
    (dacs(dict(target=dict(type='RunningQuantile', quantile=0.6, momentum=0.99), loss_weight=0.1)),
     'EBDA, running quantile (q = 0.6, m = 0.99), λ = 0.1')])
def test_a_run_is_called_what_it_trains(config, label):
    assert label_of(config) == label


def test_scores_by_seed():
    head, _, *rows = table('scores')
    assert head == '| method | seed 0 | seed 1 | mean ± std | − DAFormer, by seed | gap closed (%) |'
    assert rows == [
        '| source only | 30.00 | 32.00 | 31.00 ± 1.41 |  |  |',
        '| DAFormer | 40.00 | 42.00 | 41.00 ± 1.41 |  | 50, 50 |',
        '| EBDA, h = 0.4, λ = 0.1 | 43.00 | 41.00 | 42.00 ± 1.41 '
        '| +3.00, −1.00 (1 of 2 up; mean +1.00) | 65, 45 |',
        '| target only | 50.00 | 52.00 | 51.00 ± 1.41 |  |  |']


def test_configs_of_one_label_are_rows_of_their_own():
    """As DACS with two networks in experiment 33, DAFormer on two targets in 8."""
    two = [run(dacs(), seed, score, name=name) for name, score in (('to_acdc', 0.4), ('to_zurich', 0.3))
           for seed in (0, 1)]
    assert [row.split(' | ')[0] for row in table('scores', two)[2:]] == [
        '| DAFormer (to_zurich)', '| DAFormer (to_acdc)']


def test_a_seed_that_is_missing_is_told():
    rows = table('scores', RUNS[:-1])
    assert '| EBDA, h = 0.4, λ = 0.1 | 43.00 | not measured | 43.00 | +3.00 (1 of 1 up) | 65 |' in rows


def test_a_run_that_is_not_finished_is_left_out():
    results = collect([*RUNS, run(dacs(), 2, 0.9, steps=10)], 5, 'toy', 'command')
    assert len(results['runs']) == len(RUNS)


def test_classes_certainty_and_costs():
    assert table('classes')[2:] == ['| road | 41.0 | 51.0 | 52.0 | 61.0 |',
                                    '| car | 20.0 | 20.0 | 20.0 | 20.0 |']
    assert table('certainty')[2:] == ['| DAFormer | 1 | 5.00 | 0.700 | 0.300 | 1.00 | 2.00 | 80.00 |']
    assert '| DAFormer | 20 | 2, 2 | None |' in table('costs')


def test_the_trainings_before_a_run_count_in_its_costs():
    before = {'name_s0': [run(dacs(), 0, 0.1), run(dacs(), 0, 0.2)]}
    results = collect([run(dacs(), 0, 0.4)], 5, 'toy', 'command', before)
    assert '| DAFormer | 60 in 3 trainings | 4 | None |' in TABLES['costs'](results)  # 3 × 90 s


def balanced(target: float, weight: float, seed: int, score: float) -> RunRecord:
    return run(dacs(dict(target=target, loss_weight=weight)), seed, score)


GRID = [balanced(0.2, 0.1, 0, 0.5), balanced(0.2, 0.1, 1, 0.52), balanced(0.4, 0.05, 0, 0.6), *RUNS[:3]]


def test_a_grid_has_the_balance_s_runs_at_their_places():
    assert table('grid', GRID) == ['|  | λ = 0.05 | λ = 0.1 |', '| --- | ---: | ---: |',
                                   '| h = 0.2 | not measured | 51.00 |', '| h = 0.4 | 60.00 | not measured |']


def counted(seed: int, right: Sequence[float], config: dict | None = None) -> RunRecord:
    """A run whose pseudo-labels were counted at steps 5, 10, …, and one of them twice, as after a kill."""
    found = run(config or dacs(), seed, 0.4)
    lines = [dict(step=5 * (n + 1), right=share, confident=share / 2, right_if_confident=1.0, classes=dict(
        road=dict(recall=share, precision=0.5, confident=0.5, right_if_confident=1.0),
        train=dict(recall=None, precision=None, confident=None, right_if_confident=None)))
        for n, share in enumerate(right)]
    found.pseudo_labels = [dict(lines[0], right=0.0), *lines]
    return found


def test_pseudo_labels_at_the_quarters_of_a_training():
    runs = [counted(0, [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]), counted(1, [0.4] * 8), *RUNS[:2]]
    assert table('pseudo_labels', runs) == [
        '| method | seeds | right at steps 10, 20, 30, 40 | confident | right of the confident |',
        '| --- | ---: | ---: | ---: | ---: |',
        '| DAFormer | 2 | 35.0 → 45.0 → 55.0 → 65.0 | 17.5 → 22.5 → 27.5 → 32.5 '
        '| 100.0 → 100.0 → 100.0 → 100.0 |']
    assert table('pseudo_classes', runs)[2:] == ['| road | 65.0 / 100.0 |', '| train | – / – |']
    kept = collect(runs, 5, 'toy', 'command')['runs'][0]['pseudo_labels']
    assert kept['steps'] == [*range(5, 45, 5)] and kept['right'][0] == 0.2


def test_pseudo_labels_of_a_few_steps_are_told_too():
    assert '| 20.0 → 20.0 → 30.0 → 30.0 |' in table('pseudo_labels', [counted(0, [0.2, 0.3])])[2]


HISTOGRAM = dict(edges=[0.0, 0.5, 1.0], right=[6, 2], wrong=[0, 2])


def test_entropies_are_kept_as_shares_of_all_pixels_as_long_as_the_run_is_the_same():
    measured, again = run(dacs(), 0, 0.4, dict(ECE=0.1)), run(dacs(), 0, 0.4)
    measured.calibration['entropy_histogram'] = HISTOGRAM
    first, second = (collect([one], 5, 'toy', 'command') for one in (measured, again))
    assert first['runs'][0]['entropies'] == dict(largest=1.0, right=[0.6, 0.2], wrong=[0.0, 0.2])
    assert second['runs'][0]['entropies'] is None
    assert with_earlier(second, first) == first
    other = collect([run(dacs(), 0, 0.5)], 5, 'toy', 'command')
    assert with_earlier(other, first)['runs'][0]['entropies'] is None


def test_entropies_of_the_mixed_images_are_kept_at_a_few_steps_and_the_last():
    one = run(dacs(), 0, 0.4)
    for percent in ENTROPY_PERCENTS:
        one.curves[f'mix.H.q{percent:02d}'] = {step: step + percent / 1000 for step in range(10, 610, 10)}
    kept = collect([one], 5, 'toy', 'command')['runs'][0]['mixed_entropies']
    assert kept['steps'] == [*range(30, 610, 30)]
    assert kept['q25'] == pytest.approx([step + 0.025 for step in kept['steps']])


@pytest.mark.parametrize('kind', FIGURES)
def test_a_figure_shows_what_was_measured(kind):
    """The same bytes each time; other data, other curves."""
    def made(right: float) -> bytes:
        runs = [*GRID, counted(0, [0.1, right]), counted(1, [0.2, right])]
        runs[0].curves['mIoU'] = {10: 0.2, 20: right}
        runs[0].calibration = dict(scores={}, entropy_histogram=dict(HISTOGRAM, right=[6, 1000 * right]))
        runs[2].curves['mIoU'] = {20: right}
        for n, steps in ((3, {5: right, 10: right / 2}), (4, {7: 1.0, 10: right})):  # logged differently
            runs[n].curves.update({f'mix.H.q{percent:02d}': steps for percent in ENTROPY_PERCENTS})
        return draw(kind, collect(runs, 5, 'toy', 'command'))

    def drawn(figure: bytes) -> bytes:
        return figure.partition(b'</metadata>')[2]

    first, again, other = made(0.3), made(0.3), made(0.5)
    assert b'<svg' in first and first == again
    assert drawn(first) != drawn(other)


def test_a_figure_is_made_anew_if_its_data_are_others(tmp_path):
    page, data = tmp_path / 'results.md', tmp_path / 'results'
    data.mkdir()
    page.write_text('![The grid](results/5_grid.svg)\n')
    said = []
    for runs in (GRID, GRID[:2]):
        (data / '5.json').write_text(json.dumps(collect(runs, 5, 'toy', 'command')))
        for argv in (['--check'], [], ['--check']):
            with pytest.raises(SystemExit) as end:
                results_tables.main(['--page', str(page), *argv])
            said.append(bool(end.value.code))
    assert said == [True, False, False] * 2
    page.write_text('![The grid](results/5_gird.svg)\n')
    with pytest.raises(SystemExit) as end:
        results_tables.main(['--page', str(page)])
    assert end.value.code == 1


def test_two_experiments_make_one_table(tmp_path):
    """The same training is a row once, with what either has of it."""
    again = counted(0, [0.1, 0.2])
    for number, runs in ((5, RUNS[4:6]), (6, [again, run(dacs(dict(target=0.2)), 0, 0.3, name='other')])):
        (tmp_path / f'{number}.json').write_text(json.dumps(collect(runs, number, 'toy', 'command')))
    results = results_tables.read_results(tmp_path, '5_6')
    assert results['experiment'] == 5
    found = {one['name']: one for one in results['runs']}
    assert [*found] == ['name_s0', 'name_s1', 'other_s0']
    assert found['name_s0']['pseudo_labels']['right'] == [0.1, 0.2] and not found['name_s1']['pseudo_labels']


@pytest.mark.parametrize('kind, runs, told', [('classes', [], 'experiment 5: .* no finished run'),
                                              ('scores', [], 'experiment 5: .* no finished run'),
                                              ('grid', RUNS[:1], 'experiment 5: .* no run of an entropy')])
def test_data_without_what_a_table_or_figure_shows_are_told(kind, runs, told):
    results = collect(runs, 5, 'toy', 'command')
    for made in (TABLES[kind], *[partial(draw, kind)] * (kind in FIGURES)):
        with pytest.raises(DataError, match=told):
            made(results)


def test_a_kind_that_is_not_known_is_told():
    with pytest.raises(DataError, match="'scores'"):
        table('score')


def test_the_page_is_what_its_data_say(tmp_path, capsys):
    """Of this repository; and where a table was changed by hand, the check fails and the program mends it."""
    with pytest.raises(SystemExit) as end:
        results_tables.main(['--check'])
    assert not end.value.code, capsys.readouterr().err
    page, data = tmp_path / 'results.md', tmp_path / 'results'
    data.mkdir()
    (data / '5.json').write_text(json.dumps(collect(RUNS, 5, 'toy', 'command')))
    page.write_text('<!-- table: 5 scores -->\n<!-- end of table -->\n')
    with pytest.raises(SystemExit) as end:
        results_tables.main(['--page', str(page), '--check'])
    assert end.value.code == 1 and 'other than the data say' in capsys.readouterr().err
    for argv in (['--page', str(page)], ['--page', str(page), '--check']):
        with pytest.raises(SystemExit) as end:
            results_tables.main(argv)
        assert not end.value.code
    assert '| DAFormer | 40.00 |' in page.read_text()
