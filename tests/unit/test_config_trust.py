"""What of somebody else's config would be run is told before it is run."""
from __future__ import annotations

import json

import pytest

from mmseg.utils import UserError
from mmseg.utils.config import load_config
from mmseg.utils.config_trust import PROJECT, code_in, is_own, warn_of_code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Somebody else's folder, of which nothing may run; the user is in a folder beside it."""
    other, here = tmp_path / 'other', tmp_path / 'here'
    other.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(other))
    for name in ('evil', 'evil_module'):
        (other / f'{name}.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")\n')
    return other


def written(folder, name: str, content: dict | str):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize('name, content, told', [
    ('c.py', 'a = 1\n', ['c.py']),
    ('c.json', dict(_base_='./evil.py'), ['evil.py']),
    ('c.json', dict(_base_=['d.json', 'evil.py']), ['evil_module', 'evil.py']),
    ('c.json', dict(custom_imports=dict(imports=['evil_module'])), ['evil_module']),
    ('c.yaml', 'custom_imports: {imports: evil_module}\n', ['evil_module']),
    ('c.json', dict(_base_='c.json'), []), ('c.json', dict(model=dict(type='X')), []), ('c.json', '{broken',
    []),
    ('c.json', [1], [])])
def test_each_piece_of_code_is_named_and_none_is_run(folder, name, content, told):
    written(folder, 'd.json', dict(custom_imports=dict(imports=['evil_module'])))
    found = list(code_in(written(folder, name, content)))
    assert len(found) == len(told)
    assert all(word in line for word, line in zip(told, found))
    assert not (folder.parent / 'ran').exists()


def test_what_is_the_users_own_is_not_warned_of(folder, tmp_path):
    assert is_own(PROJECT / 'configs/ebda/cs2acdc_ebda_daformer_mitb5_s0.py')
    assert is_own(written(tmp_path / 'here', 'mine.py', 'a = 1\n'))
    assert not is_own(written(folder, 'c.py', 'a = 1\n'))
    (tmp_path / 'here' / 'downloaded').mkdir()
    beside = written(tmp_path / 'here' / 'downloaded', 'c.py', 'a = 1\n')
    assert is_own(beside)
    (beside.parent / 'iter_40000.pth').touch()
    assert not is_own(beside)


@pytest.mark.parametrize('trust, lines', [(False, 1), (True, 0)])
def test_the_warning_comes_once_and_not_with_trust(folder, monkeypatch, trust, lines):
    told = []
    monkeypatch.setattr('mmseg.utils.config_trust.get_root_logger',
                        lambda: type('Logger', (), dict(warning=staticmethod(told.append))))
    warn_of_code(written(folder, 'c.json', dict(_base_=['evil.py', 'evil.py'])), trust)
    assert len(told) == lines and all('configs are code' in line for line in told)


@pytest.mark.parametrize('text', ['x: !!python/object/apply:os.system ["touch ran"]\n',
                                  'x: !!python/name:os.system\n', '- !!python/object/new:os.system [touch '
                                                                  'ran]\n'])
@pytest.mark.parametrize('as_base', [False, True])
def test_yaml_runs_nothing(folder, text, as_base):
    path = written(folder, 'a.yaml', text)
    if as_base:
        path = written(folder, 'c.py', "_base_ = './a.yaml'\n")
    with pytest.raises(UserError, match='cannot be read'):
        load_config(path)
    assert not list(folder.parent.rglob('ran'))


def test_plain_yaml_is_read(folder):
    path = written(folder, 'a.yaml', 'runner: {type: IterBasedRunner, max_iters: 5}\n')
    assert load_config(path).runner == dict(type='IterBasedRunner', max_iters=5)


@pytest.mark.parametrize('module, reason', [(None, "No module named 'own_parts'"),
                                            ('1 / 0', 'ZeroDivisionError')])
def test_a_module_that_fails_is_no_config_that_cannot_be_read(folder, monkeypatch, module, reason):
    monkeypatch.syspath_prepend(str(folder))
    if module is not None:
        written(folder, 'own_parts.py', module)
    path = written(folder, 'c.py', "custom_imports = dict(imports=['own_parts'])\n")
    with pytest.raises(UserError, match=f"custom_imports of the config .*{reason}.*PYTHONPATH"):
        load_config(path)
