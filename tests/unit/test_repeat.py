"""One command repeats an experiment: what it starts, in order, and what it leaves out the second time."""
from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from experiments import generate_experiment_cfgs, resolve
from mmseg.experiments.runs import FINISHED
from tools import repeat

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def started(monkeypatch, tmp_path, capsys):
    """Repeats an experiment with programs that do nothing but leave ``made``; the programs' arguments."""
    def of(*argv: str, made: tuple[str, ...] = (), code: int = 0, ends: int = 0) -> list[list[str]]:
        commands: list[list[str]] = []

        def stand_in(command: list[str]) -> int:
            assert command[0] == sys.executable and Path(command[1]).is_file()
            commands.append([Path(command[1]).relative_to(ROOT).as_posix(), *command[2:]])
            for path in made:
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text('{}')
            return ends

        monkeypatch.setattr(repeat, 'run_to_the_end', stand_in)
        with pytest.raises(SystemExit) as end:
            repeat.main(list(argv))
        assert end.value.code == code
        return commands

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.setattr(repeat, 'state_of', lambda folder, cfg: FINISHED)
    return of


RUN = 'work_dirs/local-exp900/261128_1200_a_s0_12345'
FINISHED_RUN = (f'{RUN}/261128_1200_a_s0_12345.json', f'{RUN}/iter_20.pth', f'{RUN}/iter_100.pth')


def test_streets_are_rendered_trained_scored_and_summarised(started, capsys):
    commands = started('900', '--jobs', '2', made=FINISHED_RUN)
    assert [command[0] for command in commands] == [
        'tools/make_synthetic_streets.py', 'tools/convert_datasets/cityscapes.py', 'run_experiments.py',
        'tools/test.py', 'tools/summarize.py']
    assert commands[3][1:3] == [FINISHED_RUN[0], f'{RUN}/iter_100.pth'], 'the last checkpoint, not by letters'
    assert capsys.readouterr().out.splitlines()[-1] == (
        'figures: work_dirs/900.json; published: docs/results/900.json')
    for command in commands:  # the programs have these options
        module = importlib.import_module(command[0].removesuffix('.py').replace('/', '.'))
        if hasattr(module, 'parse_args'):
            module.parse_args(command[1:])


def test_what_is_there_is_not_made_again(started):
    score = f'work_dirs/scores-exp900/{Path(RUN).name}/eval_1.json'
    converted = 'data/streets/cityscapes/sample_class_stats.json'
    started('900', made=(*FINISHED_RUN, score, converted))
    assert [command[0] for command in started('900')] == ['run_experiments.py', 'tools/summarize.py']


def test_compared_methods_have_streets_of_their_own(started):
    commands = started('930', made=FINISHED_RUN)
    assert commands[0][1:] == ['data/streets_930', '--train', '120', '--val', '40', '--references']
    assert commands[2][1:] == ['--exp', '930', '--work-dirs', 'work_dirs', '--data-root',
                               'data/streets=data/streets_930']
    assert [command[0] for command in commands[3:]] == ['tools/summarize.py'], 'its tables have no entropies'


def test_camvid_is_split_where_it_is_the_download(started, tmp_path):
    (tmp_path / 'data/camvid/train').mkdir(parents=True)
    assert started('901')[0] == ['tools/convert_datasets/camvid.py', 'data/camvid', '--day-and-dusk']
    (tmp_path / 'data/camvid/day').mkdir()
    assert started('901')[0] == ['tools/convert_datasets/camvid.py', 'data/camvid']


def test_without_camvid_its_page_is_named(started, capsys):
    assert started('902', code=1) == []
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and 'data/camvid' in line and 'docs/datasets.md' in line


def test_a_failing_program_ends_it(started):
    assert len(started('900', code=7, ends=7)) == 1


def test_the_data_are_those_of_the_experiments():
    """Each experiment of the page has an entry here, of the data that its configs name."""
    published = {int(path.stem) for path in (ROOT / 'docs/results').glob('*.json')}
    assert set(repeat.DATA) == published
    for number, data in repeat.DATA.items():
        written = json.dumps(resolve(generate_experiment_cfgs(number)[0])['data'])
        assert ('data/camvid' in written) == (data == repeat.CAMVID)
        assert ('data/streets' in written) == isinstance(data, repeat.Streets)
