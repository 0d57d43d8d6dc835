"""Links of the pages hold in the site as they do on GitHub; that all of them do, `make docs` checks."""
from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def hook():
    spec = importlib.util.spec_from_file_location('docs_links', ROOT / '.ci/docs_links.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('page, link, in_site', [
    ('architecture.md', '../mmseg/models/uda/dacs.py', 'source/mmseg/models/uda/dacs.py'),
    ('methods/dacs.md', '../../mmseg/models/uda/dacs.py', '../source/mmseg/models/uda/dacs.py'),
    ('methods/dacs.md', '../architecture.md#errors', '../architecture.md#errors'),
    ('architecture.md', '../CONTRIBUTING.md', 'CONTRIBUTING.md'),
    ('index.md', 'docs/method.md', 'method.md'),
    ('index.md', 'LICENSE', 'source/LICENSE'),
    ('CONTRIBUTING.md', 'docs/architecture.md#errors', 'architecture.md#errors'),
    ('architecture.md', 'https://example.org/x.md', 'https://example.org/x.md'),
    ('architecture.md', '../no_such.py', '../no_such.py'),
])
def test_links_are_those_of_the_site(hook, page, link, in_site):
    of = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    text = hook.on_page_markdown(f'see [it]({link}).', of, None, None)
    assert text == f'see [it]({in_site}).'


def test_modules_of_the_api_pages_exist():
    named = {name for page in (ROOT / 'docs/api').glob('*.md')
             for name in re.findall(r'^::: ([\w.]+)$', page.read_text(), re.MULTILINE)}
    assert len(named) > 15
    assert all((ROOT / f'{name.replace(".", "/")}.py').is_file() for name in named)
