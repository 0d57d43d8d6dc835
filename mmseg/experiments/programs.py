"""A program as a stage of an experiment: what it makes is for later stages.

It is one as tools/make_pseudo_labels.py: its ``main`` takes the arguments, and goes on where it was cut off.

    python -m mmseg.experiments.programs RUN/RUN.json
"""
from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path

from mmseg.utils.errors import ConfigError, UserError, one_line_errors
from mmseg.utils.files import write_json
from mmseg.utils.project import PROJECT

from .runs import DONE, OUTPUT, OWN_CONFIG, read, run_lock

OWN = ('{out}', '{config}')  # in the arguments: the folder for what the program makes, the file of its config


def check_program(name: str, cfg: dict) -> None:
    """
    Raises:
        ConfigError: the stage ``name`` is not the description of a program of this project.
    """
    program, args = cfg['program'], cfg.get('args', [])
    if not isinstance(program, str) or not (PROJECT / program).is_file() or not program.endswith('.py'):
        raise ConfigError(f"stage '{name}': there is no program '{program}', expected a file of this project "
                          'such as tools/make_pseudo_labels.py')
    if not isinstance(args, (list, tuple)) or not all(isinstance(arg, (str, int, float)) for arg in args):
        raise ConfigError(f"stage '{name}': args is {args!r}, expected a list of words")


def program_command(config: Path) -> list[str]:
    """The command line that runs the program of a kept config."""
    return [sys.executable, '-m', 'mmseg.experiments.programs', str(config)]


def run_program(config: Path) -> int | str | None:
    """Run the program of a kept config in this process; its exit code.

    Raises:
        UserError: it ended with one, or another process runs it in this folder.
    """
    cfg, folder = read(config), config.parent
    places = dict(zip(OWN, (str(folder / OUTPUT), str(folder / OWN_CONFIG))))
    argv = [re.sub(r'\{\w+\}', lambda match: places[match[0]], str(arg)) for arg in cfg.get('args', [])]
    sys.path.insert(0, str(PROJECT))
    program = importlib.import_module(cfg['program'].removesuffix('.py').replace('/', '.'))
    with run_lock(folder):
        if 'config' in cfg:
            write_json(folder / OWN_CONFIG, cfg['config'])
        code = _exit_code(program, argv)
        if not code:
            write_json(folder / DONE, dict(program=cfg['program'], args=argv))
    return code


def _exit_code(program, argv: list[str]) -> int | str | None:
    try:
        return inspect.unwrap(program.main)(argv)
    except SystemExit as end:
        return end.code


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    [config] = sys.argv[1:] if argv is None else argv
    code = run_program(Path(config))
    if code:
        raise UserError(f"the program of '{config}' ended with {code}")


if __name__ == '__main__':
    main()
