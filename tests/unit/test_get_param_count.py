"""Counts against published numbers of torchvision, and against the table of docs/networks.md."""
from __future__ import annotations

from pathlib import Path

import pytest

from tools import get_param_count
from tools.get_param_count import count, named_models, parse_args

# torchvision's table: 11 689 512 parameters, of which 512·1000 + 1000 are the classifier's;
# 1 814 073 344 multiply-adds at 224×224 with the classifier's 512·1000.
RESNET18_PARAMETERS = 11_689_512 - 513_000
RESNET18_MACS = 1_814_073_344 - 512_000
DOCS = Path(__file__).parents[2] / 'docs' / 'networks.md'


def test_resnet18_and_a_linear_classifier():
    head = dict(type='FCNHead', num_convs=0, concat_input=False, in_channels=512, channels=512, in_index=3,
                num_classes=19)
    model = dict(type='EncoderDecoder', backbone=dict(type='ResNet', depth=18), decode_head=head)
    counts = count(model, 224, 224)
    assert counts.encoder == RESNET18_PARAMETERS
    assert counts.decoder == 512 * 19 + 19
    assert counts.macs == RESNET18_MACS + 7 * 7 * 512 * 19


def test_readme_shows_rows_of_the_table():
    readme = (DOCS.parents[1] / 'README.md').read_text()
    section = readme.partition('\n## Networks\n')[2].partition('\n## ')[0]
    rows = [line for line in section.splitlines() if line.count('|') == 6 and '.' in line]
    assert len(rows) == 4
    assert set(rows) <= set(DOCS.read_text().splitlines())


@pytest.mark.parametrize('name', ['dlv2red_r50v1c', 'daformer_sepaspp_mitb5'])
def test_documented_table_is_the_measured_one(name):
    model = dict(named_models(parse_args(['--exp', '100'])))[name]
    row = '| ' + ' | '.join(count(model, 512, 512).row(name)) + ' |'
    assert row in DOCS.read_text().splitlines()


def run(*args: str, code: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        get_param_count.main([*args])
    assert ended.value.code == code


def test_table_of_a_config_file(capsys):
    run(str(DOCS.parents[1] / 'configs/toy/streets_ebda_mitb0_s0.py'), '--size', '256x128')
    header, rule, row = capsys.readouterr().out.splitlines()
    assert [line.count('|') for line in (header, rule, row)] == [6, 6, 6]
    assert row.split('|')[1:3] == [' streets_ebda_mitb0_s0 ', ' 3.32 ']


@pytest.mark.parametrize('args, message', [
    ([], 'give config files, or --exp ID'),
    (['configs/none.py'], "'configs/none.py' does not exist"),
    (['--exp', '100', '--size', '512'], "got '512'"),
    (['--exp', '77'], 'there is no experiment 77')])
def test_mistakes_are_one_line(args, message, capsys):
    run(*args, code=1)
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error and error.count('\n') == 1
