"""docs/tutorial.ipynb, run from its first cell to its last in a kernel of its own, as Jupyter would."""
from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from programs import ROOT

TUTORIAL = ROOT / 'docs/tutorial.ipynb'
PICTURES = ('image/png', 'image/jpeg')


def read() -> nbformat.NotebookNode:
    return nbformat.read(TUTORIAL, as_version=4)


def told(notebook: nbformat.NotebookNode) -> tuple[int, str]:
    """How many pictures its cells show, and the last text."""
    shown = [output.get('data', {}) for cell in notebook.cells for output in cell.get('outputs', ())]
    texts = [data['text/plain'] for data in shown if 'text/plain' in data and not {*PICTURES} & {*data}]
    return sum(bool({*PICTURES} & {*data}) for data in shown), texts[-1] if texts else ''


def test_the_tutorial_runs_and_shows_what_it_was_kept_with(monkeypatch):
    # the kernel imports the package of this checkout, installed or not
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    kept, notebook = read(), read()
    for cell in notebook.cells:
        cell.update({'outputs': []} if cell.cell_type == 'code' else {})
    NotebookClient(notebook, timeout=300, startup_timeout=300,
                   resources={'metadata': {'path': str(TUTORIAL.parent)}}).execute()
    pictures, text = told(notebook)
    assert pictures == told(kept)[0] == 5
    assert text.endswith("% of the pixels have another class now'") and not text.startswith("'0.0 %")


def test_the_kept_outputs_are_small_and_tell_nothing_of_the_machine():
    assert TUTORIAL.stat().st_size < 300_000
    outputs = [output for cell in read().cells for output in cell.get('outputs', ())]
    assert not [one for one in outputs if one.output_type == 'error' or one.get('name') == 'stderr']


@pytest.mark.parametrize('link', ['python.md', 'extending.md', 'results.md'])
def test_links_of_the_tutorial_resolve(link):
    assert f']({link})' in TUTORIAL.read_text(encoding='utf-8') and Path(TUTORIAL.parent, link).is_file()
