"""The maps from the documents to the code do not rot: every name that they link exists."""
from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / 'docs').rglob('*.md'))
SYMBOL = re.compile(r'\[`([\w.]+)`\]\(([^)#\s]+\.py)\)')
TEST = re.compile(r'`(tests/[\w/]+\.py)::(\w+)`')
STEPS = 10


def defined(path: Path) -> set[str]:
    """Functions, classes and methods (``Class.method``) of a file."""
    names = set()
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f'{node.name}.{item.name}' for item in node.body if isinstance(item, ast.FunctionDef)}
    return names


def broken(document: Path) -> list[str]:
    text = document.read_text(encoding='utf-8')
    linked = [(document.parent / file, name) for name, file in SYMBOL.findall(text)]
    linked += [(ROOT / file, name) for file, name in TEST.findall(text)]
    return [f'{path}: {name}' for path, name in linked if not path.is_file() or name not in defined(path)]


@pytest.mark.parametrize('document', DOCS, ids=lambda path: path.name)
def test_linked_names_exist(document):
    assert broken(document) == []


def test_a_broken_name_is_found(tmp_path):
    (tmp_path / 'code.py').write_text('class A:\n    def f(self):\n        pass\n')
    page = tmp_path / 'page.md'
    page.write_text('[`A.f`](code.py) [`A.g`](code.py) [`f`](no.py) '
                    '`tests/unit/test_docs_links.py::test_linked_names_exist` '
                    '`tests/unit/test_docs_links.py::test_gone`')
    assert [line.rpartition(': ')[2] for line in broken(page)] == ['A.g', 'f', 'test_gone']


def test_the_method_names_every_part_of_the_step():
    """Each public name of a method is linked on its page, and each step of EBDA has a heading."""
    text = (ROOT / 'docs/method.md').read_text(encoding='utf-8')
    pages = [text, *(page.read_text(encoding='utf-8') for page in (ROOT / 'docs/methods').glob('*.md'))]
    linked = {name.split('.')[0] for page in pages for name, _ in SYMBOL.findall(page)}
    files = sorted((ROOT / 'mmseg/models/uda').rglob('*.py'))
    parts = {name for file in files for name in defined(file) if '.' not in name and not name.startswith('_')}
    assert len(parts) > 10
    assert parts - linked == set()
    assert [int(n) for n in re.findall(r'^### (\d+)\. ', text, re.MULTILINE)] == list(range(1, STEPS + 1))


def test_every_quirk_has_its_test():
    text = (ROOT / 'docs/faithfulness.md').read_text(encoding='utf-8')
    rows = [line for line in text.splitlines() if line.startswith('| ') and '---' not in line]
    quirks = [row for row in rows if not row.startswith('| the released code ')]
    assert len(quirks) > 30
    assert [row for row in quirks if not TEST.search(row)] == []
    assert [row for row in quirks if not re.search(r'\| (kept|fixed|configurable)', row)] == []
