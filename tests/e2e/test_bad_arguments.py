"""The tables of bad_inputs.py: each mistake ends its program in one line that names the culprit."""
from __future__ import annotations

import bad_inputs
import bad_inputs_tools
import pytest
from programs import Ended, check_refusal, start, state_of_files


@pytest.fixture(scope='module')
def places(tmp_path_factory, streets) -> dict:
    return bad_inputs.make_places(tmp_path_factory.mktemp('places'), streets)


@pytest.fixture
def refuse(places, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(program: str, line: str, *parts: str) -> None:
        before = state_of_files(places['at'], places['streets'])
        capsys.readouterr()
        code = start(program, *(word.format(**places) for word in line.split()))
        check_refusal(Ended(code, *capsys.readouterr()), *(part.format(**places) for part in parts))
        assert state_of_files(places['at'], places['streets']) == before
        results = ('.pth', '.onnx', '.png', '.pkl')
        assert not [path.name for path in tmp_path.rglob('*') if path.suffix in results]

    return call


def with_parts(cases: list) -> list:
    return [pytest.param(*case[:-1], case[-1:], id=' '.join(case[:2])) if len(case) == 3
            else pytest.param(case[0], case[1], case[2:], id=' '.join(case[:2])) for case in cases]


@pytest.mark.parametrize('program, line, parts', with_parts(bad_inputs.COMMAND_LINES))
def test_command_lines(refuse, program, line, parts):
    refuse(program, line, *parts)


@pytest.mark.parametrize('program, line, parts', with_parts(bad_inputs_tools.COMMAND_LINES))
def test_command_lines_of_the_tools(refuse, program, line, parts):
    refuse(program, line, *parts)


@pytest.mark.parametrize('option, parts', [(option, parts) for option, *parts in bad_inputs.OPTIONS],
                         ids=[option for option, *_ in bad_inputs.OPTIONS])
def test_options(refuse, option, parts):
    refuse('tools.train', '{config} --options ' + option.replace('{', '{{').replace('}', '}}'), *parts)


@pytest.mark.parametrize('program', bad_inputs.CONFIG_PROGRAMS)
def test_bad_configs(refuse, program):
    for config, *parts in bad_inputs.BAD_CONFIGS:
        refuse(program, bad_inputs.CONFIG_PROGRAMS[program].replace('CONFIG', config), *parts)


def test_a_config_that_is_its_own_base(refuse):
    refuse('tools.print_config', '{at}/circle.py', 'circle.py')


@pytest.mark.parametrize('program', bad_inputs.CHECKPOINT_PROGRAMS)
def test_bad_checkpoints(refuse, program):
    for checkpoint, *parts in bad_inputs.BAD_CHECKPOINTS:
        refuse(program, bad_inputs.CHECKPOINT_PROGRAMS[program].replace('CHECKPOINT', checkpoint), *parts)


def test_the_tables_hold_as_many_mistakes_as_they_should():
    """Beside those of test_bad_input.py and test_bad_data.py."""
    tables = (bad_inputs.COMMAND_LINES, bad_inputs_tools.COMMAND_LINES, bad_inputs.OPTIONS)
    products = (len(bad_inputs.CONFIG_PROGRAMS) * len(bad_inputs.BAD_CONFIGS),
                len(bad_inputs.CHECKPOINT_PROGRAMS) * len(bad_inputs.BAD_CHECKPOINTS))
    assert sum(map(len, tables)) + sum(products) > 350
