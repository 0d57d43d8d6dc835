"""Install packages into an environment: by uv, which unpacks on every core, and by pip where uv cannot.

    python .ci/install.py PYTHON ARGUMENT...

PYTHON is the environment's interpreter; each ARGUMENT is one that pip and uv both know (a requirement, a
wheel, --editable PATH, --no-deps). uv comes from the package registry, into the environment that runs this.
It reads nothing of pip's configuration, so the indexes, constraints and certificates named there are handed
on to it; where a setting has no counterpart, or uv fails, pip installs. PYTHONDONTWRITEBYTECODE has all
modules compiled now; otherwise Python compiles those that are used, when they are.
"""
from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

UV = 'uv>=0.9,<1'
# what pip calls it: the option of uv, once for each word of the value
OPTIONS = {'index-url': '--default-index', 'extra-index-url': '--index', 'find-links': '--find-links',
           'constraint': '--constraint', 'trusted-host': '--allow-insecure-host'}
VARIABLES = {'cert': 'SSL_CERT_FILE', 'proxy': 'ALL_PROXY', 'timeout': 'UV_HTTP_TIMEOUT',
             'default-timeout': 'UV_HTTP_TIMEOUT'}
# these change how pip works and not what it installs
OF_PIP_ALONE = {'cache-dir', 'disable-pip-version-check', 'no-cache-dir', 'no-color', 'no-input',
                'progress-bar', 'quiet', 'require-virtualenv', 'retries', 'root-user-action', 'verbose'}


def settings(listed: str) -> dict[str, str]:
    """What `pip config list` printed: the settings of `pip install`, the environment's above the files'."""
    lines = [line.partition('=') for line in listed.splitlines()]
    found = {}
    for section in ('global.', 'install.', ':env:.'):
        found |= {name.removeprefix(section): ast.literal_eval(value)
                  for name, _, value in lines if name.startswith(section)}
    return found


def for_uv(configured: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Options and variables of uv that stand for settings of pip. KeyError: one has no counterpart."""
    options, variables = [], {}
    for name, value in configured.items():
        if name in OPTIONS:
            options += [word for item in value.split() for word in (OPTIONS[name], item)]
        elif name not in OF_PIP_ALONE:
            variables[VARIABLES[name]] = value
    return options, variables


def pip_of(python: str) -> list[str]:
    return [python, '-m', 'pip', '--disable-pip-version-check', '--no-input']


def commands(python: str, arguments: list[str]) -> Iterator[tuple[list[str], dict[str, str]]]:
    """What to try, one after the other: command and environment."""
    pip = pip_of(python)
    # on a terminal there are progress bars; a log is spared their hundreds of lines
    quiet = [] if sys.stdout.isatty() else ['--quiet']
    environment = {**os.environ, 'PYTHONWARNINGS': 'ignore'}
    compiled = bool(os.environ.get('PYTHONDONTWRITEBYTECODE'))
    configured = settings(subprocess.run([*pip, 'config', 'list'], stdout=subprocess.PIPE, text=True,
                                         check=True, env=environment).stdout)
    try:
        options, variables = for_uv(configured)
    except KeyError:
        pass
    else:
        # as pip does, all indexes are asked for the newest version
        yield ([str(Path(sys.executable).with_name('uv')), 'pip', 'install', '--python', python, *quiet,
                '--index-strategy', 'unsafe-best-match', *options, *['--compile-bytecode'] * compiled,
                *arguments], {**environment, **variables})
        print('uv could not install them (its message is above): pip does', flush=True)
    yield [*pip, 'install', *quiet, '--compile' if compiled else '--no-compile', *arguments], environment


def main(python: str, *arguments: str) -> int:
    subprocess.run([*pip_of(sys.executable), 'install', '--quiet', UV])
    for command, environment in commands(python, list(arguments)):
        try:
            code = subprocess.run(command, env=environment).returncode
        except FileNotFoundError:  # pip could not fetch uv either, and has said why
            code = 1
        if not code:
            break
    return code


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
