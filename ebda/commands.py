"""The console commands: each runs a program of the project, from any folder."""
from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
# in a wheel the programs are in this folder, in the checkout above it
PROJECT = HERE if (HERE / 'run_experiments.py').is_file() else HERE.parent


def refuse_shadowing() -> None:
    """End where mmsegmentation is installed, too: its package has the same name, and the files of both are
    mixed. Nothing of mmseg is imported before, which may be either's."""
    try:
        other = version('mmsegmentation')
    except PackageNotFoundError:
        return
    sys.exit(f'error: mmsegmentation {other} is installed here, whose package mmseg this one would shadow: '
             'use an environment of its own, or pip uninstall mmsegmentation ebda and install ebda again')


def run(program: str, name: str) -> None:
    """Run ``program``, a path in the project, with the arguments of this process; ``name`` is how its help
    calls it."""
    refuse_shadowing()
    path = PROJECT / program
    sys.path.insert(0, str(PROJECT))  # the programs import each other and experiments.py
    from mmseg.utils import ArgumentParser

    ArgumentParser.commands[path.name] = name
    sys.argv[0] = str(path)
    runpy.run_path(str(path), run_name='__main__')


def command(program: str) -> Callable[[], None]:
    return lambda: run(program, Path(sys.argv[0]).stem)


train = command('tools/train.py')
test = command('tools/test.py')
experiments = command('run_experiments.py')
demo = command('demo/image_demo.py')
report = command('tools/report.py')


def any_program() -> None:
    """``ebda PROGRAM …`` runs a program that has no command of its own; without one it lists them."""
    programs = [str(path.relative_to(PROJECT)) for path in sorted((PROJECT / 'tools').rglob('*.py'))]
    if len(sys.argv) < 2 or sys.argv[1] in ('-h', '--help'):
        print('usage: ebda PROGRAM [arguments], PROGRAM one of:', *programs, sep='\n  ')
        return
    program = sys.argv.pop(1)
    if program not in programs:
        sys.exit(f"error: there is no program '{program}' (ebda --help lists them)")
    run(program, f'ebda {program}')
