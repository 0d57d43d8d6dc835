"""The page: one HTML file with its scripts, data and pictures, which opens without a network."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from mmseg.version import __version__

from .panel import Panel
from .panels.certainty import certainty_panel
from .panels.classes import classes_panel, confusion_panel
from .panels.curves import curves_panel
from .panels.images import images_panel
from .panels.rare_classes import rare_classes_panel
from .panels.records import records_panel
from .panels.table import table_panel
from .panels.training import training_panel
from .record import RunRecord, short_labels, tell_apart

MARK = '<meta name="generator" content="ebda report">'
ASSETS = Path(__file__).parent / 'assets'
SCRIPTS = ('core.js', 'table.js', 'figures.js', 'classes.js', 'pictures.js', 'records.js', 'start.js')
# bytes of pictures before they become text, which makes a third more of them; beside them the page has 2 MB
# of Plotly and, of long logs, 1 MB of numbers
TRAINING_BUDGET, IMAGES_BUDGET = 2_000_000, 2_700_000
# to be told apart by people with colour-blindness: after Okabe and Ito (2008) and
# Tol's muted scheme, none too dark for a dark page
COLOURS = (
    '#1F7FC4',
    '#E69F00',
    '#009E73',
    '#D55E00',
    '#CC79A7',
    '#56B4E9',
    '#8C6D31',
    '#B5446E',
    '#44AA99',
    '#999933',
    '#AA4499',
    '#777777',
)


def make_page(runs: Sequence[RunRecord], title: str) -> str:
    """The report of ``runs``, in their order; the first one's method is what others are compared with."""
    tell_apart(runs)
    panels = all_panels(runs)
    data = {'runs': describe(runs), 'panels': [asdict(panel) for panel in panels]}
    plotly = base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()
    made = f'{datetime.now():%Y-%m-%d %H:%M}, {counted(len(runs), "run")}, mmseg {__version__}'
    parts = {
        'MARK': MARK,
        'TITLE': html.escape(title),
        'MADE': made,
        'STYLE': asset('page.css'),
        'SECTIONS': '\n'.join(section(panel) for panel in panels),
        'NAVIGATION': '\n'.join(f'<a href="#{panel.id}">{html.escape(panel.title)}</a>' for panel in panels),
        'DATA': as_script(data),
        'PLOTLY': plotly,
        'SCRIPTS': '\n'.join(map(asset, SCRIPTS)),
    }
    return re.sub(r'{{(\w+)}}', lambda place: parts[place[1]], asset('page.html'))


def all_panels(runs: Sequence[RunRecord]) -> list[Panel]:
    return [
        table_panel(runs),
        curves_panel(runs),
        classes_panel(runs),
        images_panel(runs, IMAGES_BUDGET),
        confusion_panel(runs),
        certainty_panel(runs),
        rare_classes_panel(runs),
        training_panel(runs, TRAINING_BUDGET),
        records_panel(runs),
    ]


def describe(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """What every panel needs of a run: names, colour of its method, which of its seeds it is."""
    methods = list(dict.fromkeys(run.method for run in runs))
    names, seen = short_labels(list(dict.fromkeys(run.row for run in runs))), dict.fromkeys(methods, 0)
    twins = Counter((run.method, run.seed) for run in runs)
    described = []
    for number, run in enumerate(runs):
        label, which = names[run.row] + run.variant, '' if run.seed is None else f'seed {run.seed}'
        if twins[run.method, run.seed] > 1:
            which = f'{which}, {run.folder.resolve().name}'.removeprefix(', ')
        described.append(
            {
                'id': number,
                'name': run.name,
                'folder': run.folder.name,
                'method': run.method,
                'state': run.state,
                'method_label': label,
                'seed': run.seed,
                'place': seen[run.method],
                'which': which or run.folder.name,
                'label': f'{label} · {which}' if which else label,
                'colour': COLOURS[methods.index(run.method) % len(COLOURS)],
            }
        )
        seen[run.method] += 1
    return described


def counted(count: int, word: str) -> str:
    return f'{count} {word}' + ('' if count == 1 else 's')


def asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding='utf-8')


def as_script(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(data, separators=(',', ':'), allow_nan=False).replace('<', '\\u003c')


def section(panel: Panel) -> str:
    missing = ''
    if panel.missing:
        lines = ''.join(f'<li>{html.escape(line)}</li>' for line in panel.missing)
        count = len(panel.missing)
        missing = (
            f'<details class="missing"{"" if panel.content else " open"}><summary>Missing here: {count} '
            f'note{"s" if count > 1 else ""}</summary><ul>{lines}</ul></details>'
        )
    return (
        f'<section id="{panel.id}" class="panel"><h2>{html.escape(panel.title)}</h2>'
        f'<p class="about">{html.escape(panel.about)}</p><div class="body"></div>{missing}</section>'
    )
