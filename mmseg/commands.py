"""The console commands of an editable install (``pip install -e .``): each runs the program of its checkout.

The programs, like the configs, are files of the checkout and no part of the package, so a command of an
installation without the checkout has nothing to run.
"""
from __future__ import annotations

import runpy
import sys
from pathlib import Path

from .utils import UserError, one_line_errors

CHECKOUT = Path(__file__).resolve().parents[1]


def train() -> None:
    """ebda-train"""
    run('tools/train.py')


def test() -> None:
    """ebda-test"""
    run('tools/test.py')


def experiments() -> None:
    """ebda-experiments"""
    run('run_experiments.py')


def demo() -> None:
    """ebda-demo"""
    run('demo/image_demo.py')


@one_line_errors
def run(program: str) -> None:
    """Run ``program``, a path in the checkout, with the arguments of this process.

    Raises:
        UserError: the package was installed without its checkout.
    """
    path = CHECKOUT / program
    if not path.is_file():
        raise UserError(f"'{path}' does not exist: install the checkout with pip install -e .")
    sys.path.insert(0, str(CHECKOUT))  # the programs import each other and experiments.py
    sys.argv[0] = str(path)
    runpy.run_path(str(path), run_name='__main__')
