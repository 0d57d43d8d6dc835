"""The worked example of docs/extending.md, as it stands there: parts outside of the package."""
from __future__ import annotations

import json
import re
import shlex
import sys

import pytest
from programs import ROOT, start

from mmseg.datasets import DATASETS
from mmseg.models import BACKBONES, HEADS, LOSSES, UDA

PAGE = (ROOT / 'docs/extending.md').read_text(encoding='utf-8')
FILES = dict(re.findall(r'`mine/(\w+\.py)`:\n\n```python\n(.*?)```', PAGE, re.DOTALL))
[COMMANDS] = re.findall(r'```sh\n(.*?)```', PAGE, re.DOTALL)
[LOADING] = re.findall(r'```python\n(from mmseg.apis import load\n.*?)```', PAGE, re.DOTALL)
SHORT = ['runner.max_iters=2', 'checkpoint_config.interval=2', 'evaluation.interval=2',
         'log_config.interval=1']


@pytest.fixture
def mine(streets, tmp_path, monkeypatch):
    """The folder of a user, who has written the files."""
    for name, text in FILES.items():
        (tmp_path / 'mine').mkdir(exist_ok=True)
        (tmp_path / 'mine' / name).write_text(text, encoding='utf-8')
    (tmp_path / 'data').mkdir()
    for name, target in (('configs', ROOT / 'configs'), ('demo', ROOT / 'demo'), ('data/streets', streets)):
        (tmp_path / name).symlink_to(target)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.split('.')[0] == 'mine']:
        del sys.modules[name]
    for registry in (BACKBONES, HEADS, LOSSES, UDA, DATASETS):
        parts = registry.module_dict
        for name in [name for name, part in parts.items() if part.__module__.startswith('mine.')]:
            del parts[name]


def test_the_worked_example_runs_as_it_stands(mine, capsys):
    assert list(FILES) == ['encoder.py', 'head.py', 'loss.py', 'night.py', 'method.py', 'own.py']
    export, make, convert, *programs = COMMANDS.splitlines()
    assert export == 'export PYTHONPATH=$PWD' and len(programs) == 2
    assert all((ROOT / shlex.split(command)[1]).is_file() for command in (make, convert, *programs))
    for command in programs:
        python, program, *words = shlex.split(command)
        options = ['--options', *SHORT] if 'train' in program else []
        code = start(program.removesuffix('.py').replace('/', '.'), *words, '--device', 'cpu', *options)
        out, err = capsys.readouterr()
        assert code == 0, (command, out, err)
    [log] = (mine / 'work_dirs/own').glob('*.log.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    first = next(line for line in lines if line.get('mode') == 'train')
    assert {'decode.loss_focal', 'target.decode.loss_focal'} <= set(first)
    names: dict = {}
    exec(compile(LOADING, 'docs/extending.md', 'exec'), names)
    assert names['classes'].shape == (512, 1024)
    assert type(names['model'].network.backbone).__module__ == 'mine.encoder'
