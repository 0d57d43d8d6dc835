"""Hook of mkdocs: the pages' links hold on GitHub and in the site.

A page links to files outside of docs/ as GitHub wants it, ``../mmseg/models/uda/dacs.py``. The site gets
these files, too, in its folder source/. README.md is its first page.
"""
from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r'(\]\()([^)\s#:]+)(#[^)\s]*)?(\))')
TOP_PAGES = ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')


def place(path: str) -> str:
    """Where in the site a file of the repository lies."""
    if path.startswith('docs/'):
        return path.removeprefix('docs/')
    return {'README.md': 'index.md'}.get(path, path if path in TOP_PAGES else f'source/{path}')


def origin(uri: str) -> str:
    """Where in the repository a page of the site lies."""
    if uri == 'index.md':
        return 'README.md'
    return uri if uri in TOP_PAGES else f'docs/{uri}'


def linked_files() -> set[str]:
    """Files outside of docs/ that the pages link to, and the pages at the top."""
    found = set(TOP_PAGES)
    for page in [*(ROOT / 'docs').rglob('*.md'), *(ROOT / name for name in TOP_PAGES)]:
        folder = page.parent.relative_to(ROOT).as_posix()
        targets = (normpath(f'{folder}/{link[1]}') for link in LINK.findall(page.read_text(encoding='utf-8')))
        found.update(target for target in targets if (ROOT / target).is_file())
    return {name for name in found if not name.startswith('docs/')}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name in sorted(linked_files()):
        files.append(File.generated(config, place(name), abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    uri = page.file.src_uri
    folder = dirname(origin(uri))

    def replaced(link: re.Match) -> str:
        target = normpath(f'{folder}/{link[2]}' if folder else link[2])
        if not (ROOT / target).is_file():
            return link[0]
        return f'{link[1]}{relpath(place(target), dirname(uri) or ".")}{link[3] or ""}{link[4]}'

    return LINK.sub(replaced, markdown)
