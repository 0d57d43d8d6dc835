"""The console commands, without a wheel."""
from __future__ import annotations

import sys

import pytest

from ebda import commands
from mmseg.utils import ArgumentParser


@pytest.mark.parametrize('argv, start, name', [
    (['/usr/bin/ebda-experiments', '--help'], commands.experiments, 'ebda-experiments'),
    (['/usr/bin/ebda', 'tools/report.py', '--help'], commands.any_program, 'ebda tools/report.py')])
def test_the_help_calls_a_program_as_it_was_called(argv, start, name, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', argv)
    monkeypatch.setattr(sys, 'path', [*sys.path])
    monkeypatch.setattr(ArgumentParser, 'commands', {})
    with pytest.raises(SystemExit) as end:
        start()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: {name} [-h]')
