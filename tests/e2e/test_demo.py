"""make demo from end to end, with a few small scenes and the four-iteration training."""
from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

from demo import run_demo
from mmseg.core.pictures import GAP, LEGEND_WIDTH

METHOD = 'streets_of_the_test'
# a few scenes hold too few pixels of the rare classes for the setting of the toy configs
CONFIG = """_base_ = ['streets_test.py']
data = dict(train=dict(rare_class_sampling=dict(min_pixels=10)))
name = 'streets_of_the_test'
"""
SCENES = ['--train', '8', '--val', '4', '--test', '0', '--size', '256x128', '--seed', '3']


@pytest.fixture(scope='module')
def checkout(tmp_path_factory):
    """A folder that looks like the repository and has no data and no runs."""
    folder = tmp_path_factory.mktemp('a checkout')
    for name in ('demo', 'experiments.py', 'mmseg', 'run_experiments.py', 'test.sh', 'tools'):
        (folder / name).symlink_to(run_demo.ROOT / name)
    shutil.copytree(run_demo.ROOT / 'configs', folder / 'configs')
    (folder / run_demo.config_file(METHOD)).write_text(CONFIG)
    return folder


def run(checkout, monkeypatch, capsys) -> tuple[int, str]:
    """Exit code and output of the demo in the folder."""
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(run_demo, 'ROOT', checkout)
    monkeypatch.setattr(run_demo, 'METHODS', {'EBDA': METHOD})
    monkeypatch.setattr(run_demo, 'SCENES', SCENES)
    # what the programs import is found as in the environment of make demo
    monkeypatch.setenv('PYTHONPATH', str(checkout))
    with pytest.raises(SystemExit) as end:
        run_demo.main([])
    return end.value.code, ''.join(capsys.readouterr())


def test_the_demo_ends_with_table_picture_and_report(checkout, monkeypatch, capsys):
    code, shown = run(checkout, monkeypatch, capsys)
    assert code == 0, shown
    row = next(line for line in shown.splitlines() if '| ' in line and 'EBDA' in line)
    method, steps, seed, miou, _ = (cell.strip() for cell in row.strip('|').split('|'))
    assert (method, steps, seed) == ('EBDA', '4', '0')
    assert 0 <= float(miou) <= 100
    # the image and two predictions beside each other, and the names of the classes
    assert cv2.imread(str(checkout / run_demo.PICTURE)).shape[1] == 3 * (256 + GAP) + LEGEND_WIDTH

    page = (checkout / run_demo.REPORT).read_text(encoding='utf-8')
    assert '<h1>The demo</h1>' in page and f'report: {run_demo.REPORT}' in shown

    (checkout / run_demo.PICTURE).unlink()
    code, shown = run(checkout, monkeypatch, capsys)
    assert code == 0
    assert shown.count('finished earlier') == 5, 'only the picture is made again'
    assert (checkout / run_demo.PICTURE).is_file()
    assert len(list((checkout / run_demo.RUNS).iterdir())) == 1


def test_a_failing_program_ends_the_demo_in_one_line(checkout, monkeypatch, capsys):
    monkeypatch.setattr(run_demo, 'STREETS', Path('a-file'))
    (checkout / 'a-file').write_text('in the way')
    code, shown = run(checkout, monkeypatch, capsys)
    assert code == 1
    last = shown.strip().splitlines()[-1]
    assert last.startswith('error: make_streets failed: error: ')
    assert 'logs/make_streets.log' in last
