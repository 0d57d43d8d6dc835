"""The rules of the house that no linter knows; each rule is first seen to catch an offender."""
from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ['mmseg', 'ebda', 'tools', 'demo', 'benchmarks', 'experiments.py', 'run_experiments.py',
           'setup.py']
MAX_FUNCTION = 50
MAX_FILE = 400
MAX_STEP_FILE = 150  # mmseg/models/uda/dacs.py: the training step is a table of contents
# Every program would wait for them, most of a second each, and few use them: functions import them.
SLOW = {'kornia', 'matplotlib', 'timm', 'torchvision'}
BROKEN_IN_MMCV = {'MMDataParallel', 'MMDistributedDataParallel', 'load_checkpoint'}
MARKER = re.compile(r'#.*\b(TODO|FIXME|XXX|HACK)\b')
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
NAMED_FILE = re.compile(
    r'(?<![\w/.-])((?:configs|tools|demo|docs|benchmarks|tests)/[\w./-]+\.(?:py|sh|png|md|json|pth)'
    r'|(?:run_)?experiments\.py|test\.sh|requirements\.txt|setup\.py|[A-Z]+\.md)(?![\w/-])')
NAMED_MODULE = re.compile(r'python -m ((?:tools|demo|benchmarks|mmseg)\.[\w.]+)')


def python_files() -> list[Path]:
    found = [ROOT / name for name in SOURCES]
    return sorted(p for path in found for p in ([path] if path.is_file() else path.rglob('*.py')))


def documents() -> list[Path]:
    return [*sorted(ROOT.glob('*.md')), *sorted((ROOT / 'docs').rglob('*.md'))]


def long_functions(tree: ast.AST, text: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            if lines > MAX_FUNCTION:
                yield f'{node.lineno}: {node.name} has {lines} lines'


def long_files(tree: ast.AST, text: str) -> Iterator[str]:
    lines = text.count('\n')
    if lines > MAX_FILE:
        yield f'{lines} lines'


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def fixed_devices(tree: ast.AST, text: str) -> Iterator[str]:
    for node in calls(tree):
        if isinstance(node.func, ast.Attribute) and node.func.attr == 'cuda':
            yield f'{node.lineno}: .cuda('


def markers(tree: ast.AST, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if MARKER.search(line):
            yield f'{number}: {line.strip()}'


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported, ``from a import b`` as ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f'{node.module}.{alias.name}') for alias in node.names)


def broken_imports(tree: ast.AST, text: str) -> Iterator[str]:
    for line, name in imported(tree):
        if name.startswith('mmcv.') and (
                name.startswith('mmcv.ops') or name.rpartition('.')[2] in BROKEN_IN_MMCV):
            yield f'{line}: {name}'


def slow_imports(tree: ast.Module, text: str) -> Iterator[str]:
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            for line, name in imported(statement):
                if name.split('.')[0] in SLOW:
                    yield f'{line}: {name}'


def conftest_imports(tree: ast.AST, text: str) -> Iterator[str]:
    """Each folder of tests has a conftest: which one the name means depends on what was collected before."""
    for line, name in imported(tree):
        if name.split('.')[0] == 'conftest':
            yield f'{line}: {name}'


def side_effects(tree: ast.AST, text: str) -> Iterator[str]:
    for line, name in imported(tree):
        if name.split('.')[0] == 'matplotlib':
            yield f'{line}: imports {name}'
    for node in calls(tree):
        if isinstance(node.func, ast.Name) and node.func.id in ('print', 'open'):
            yield f'{node.lineno}: {node.func.id}('


def offences(rule: Callable[[ast.AST, str], Iterator[str]], files: list[Path]) -> list[str]:
    found = []
    for path in files:
        text = path.read_text(encoding='utf-8')
        found += [f'{path.relative_to(ROOT)}:{what}' for what in rule(ast.parse(text), text)]
    return found


OFFENDERS = [
    (long_functions, 'def f():\n' + '    x = 1\n' * MAX_FUNCTION),
    (long_files, 'x = 1\n' * (MAX_FILE + 1)),
    (fixed_devices, 'x.cuda()\n'),
    (markers, 'x = 1  # TODO later\n'),
    (broken_imports, 'from mmcv.ops import nms\n'),
    (broken_imports, 'from mmcv.parallel import MMDataParallel\n'),
    (slow_imports, 'from timm.layers import DropPath\n'),
    (conftest_imports, 'def f():\n    from conftest import start\n'),
    (side_effects, 'import matplotlib.pyplot as plt\n'),
    (side_effects, 'def f():\n    print(1)\n'),
]


@pytest.mark.parametrize('rule, offender', OFFENDERS)
def test_rule_catches_an_offender(rule, offender):
    assert len(list(rule(ast.parse(offender), offender))) == 1


@pytest.mark.parametrize(
    'rule', [long_functions, long_files, fixed_devices, markers, broken_imports])
def test_sources_keep_the_rule(rule):
    files = python_files()
    assert ROOT / 'mmseg/utils/errors.py' in files
    assert offences(rule, files) == []


def test_models_neither_print_nor_plot_nor_write():
    files = sorted((ROOT / 'mmseg/models').rglob('*.py'))
    assert files
    assert offences(side_effects, files) == []


def test_programs_start_without_what_few_of_them_use():
    files = [p for p in (ROOT / 'mmseg').rglob('*.py') if ROOT / 'mmseg/report' not in p.parents]
    assert ROOT / 'mmseg/models/backbones/timm_backbone.py' in files
    assert offences(slow_imports, files) == []


def test_what_tests_share_is_imported_from_modules_of_its_own():
    files = sorted((ROOT / 'tests').rglob('*.py'))
    assert Path(__file__) in files
    assert offences(conftest_imports, files) == []


def test_the_training_step_is_short():
    lines = (ROOT / 'mmseg/models/uda/dacs.py').read_text(encoding='utf-8').splitlines()
    assert len(lines) <= MAX_STEP_FILE


def test_every_package_of_mmseg_is_installed():
    """A folder without __init__.py works from the checkout and is missing when installed."""
    folders = {path.parent for path in (ROOT / 'mmseg').rglob('*.py')}
    forgotten = [str(f.relative_to(ROOT)) for f in folders if not (f / '__init__.py').is_file()]
    assert forgotten == []


def test_names_of_tests_are_unique():
    """pytest imports test files by their bare name."""
    names = [path.name for path in (ROOT / 'tests').rglob('test_*.py')]
    assert sorted(names) == sorted(set(names))


def missing_files(text: str) -> list[str]:
    modules = [name.replace('.', '/') + '.py' for name in NAMED_MODULE.findall(text)]
    named = {*NAMED_FILE.findall(text), *modules}
    return sorted(name for name in named if not (ROOT / name).is_file())


def test_missing_files_are_found():
    text = 'README.md, tools/no_such.py and `python -m demo.no_such x`, not out/tools/other.py'
    assert missing_files(text) == ['demo/no_such.py', 'tools/no_such.py']


@pytest.mark.parametrize('document', documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_named_in_documents_exist(document):
    assert missing_files(document.read_text(encoding='utf-8')) == []


@pytest.mark.parametrize('document', documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_inside_the_repository_resolve(document):
    links = LINK.findall(document.read_text(encoding='utf-8'))
    broken = [link for link in links if '://' not in link and not target_exists(document, link)]
    assert broken == []


def target_exists(document: Path, link: str) -> bool:
    name, _, anchor = link.partition('#')
    target = (document.parent / name) if name else document
    if not target.exists():
        return False
    return not anchor or anchor in anchors(target.read_text(encoding='utf-8'))


def anchors(text: str) -> set[str]:
    """The anchors that a markdown renderer gives to the headings."""
    headings = re.findall(r'^#+ +(.+?) *$', text, flags=re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('# Some heading: two\n')
    assert target_exists(page, '#some-heading-two')
    assert not target_exists(page, '#another')
    assert not target_exists(page, 'other.md')


def test_tools_find_the_package_of_their_checkout():
    """`python tools/NAME.py` works where the dependencies are installed and the package is not."""
    for file in (ROOT / 'tools').rglob('*.py'):
        depth = len(file.relative_to(ROOT).parts) - 1
        line = f'sys.path.insert(0, str(Path(__file__).resolve().parents[{depth}]))'
        text = file.read_text(encoding='utf-8')
        assert line in text and text.index(line) < text.index('from mmseg'), file


def test_programs_look_for_no_garbage_while_they_import():
    files = [ROOT / 'run_experiments.py', *(ROOT / 'demo').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')]
    programs = [file for file in files if '\n@one_line_errors' in file.read_text(encoding='utf-8')]
    assert ROOT / 'tools/train.py' in programs
    for file in programs:
        text = file.read_text(encoding='utf-8')
        start, found, _ = text.partition("if __name__ == '__main__':\n    gc.disable()")
        before = {name.split('.')[0] for _, name in imported(ast.parse(start))}
        assert found and before <= sys.stdlib_module_names, file
