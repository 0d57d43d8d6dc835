"""The command that measures a GPU runs on a CPU, keeps what it has measured, and knows every method."""
from __future__ import annotations

import json
import time

import pytest
import torch

from benchmarks import gpu_suite
from benchmarks.gpu_suite import Entry, entries, main, parse_args, run
from benchmarks.methods import METHODS, settings_of
from benchmarks.train_step import make_side
from benchmarks.train_step import parse_args as parse_step
from mmseg.models.builder import UDA

# of each kind one; the others take other settings of the same functions
CHOSEN = ('ebda bf16 joint', 'ebda bf16', 'ebda released fp32', 'runner bf16 joint', 'rates', 'attention',
          'convolutions', 'inference')


@pytest.fixture
def start(tmp_path):
    def of(*arguments: str) -> list[str]:
        return ['--tiny', '--device', 'cpu', '--json', str(tmp_path / 'found.json'), *arguments]
    return of


def test_every_method_is_timed():
    known = {(settings_of(name) or {}).get('type') for name in METHODS}
    assert known - {None} == set(UDA.module_dict) - {'ToyAdversarial'}  # which tests register
    assert {f'{name} bf16' for name in METHODS} <= {entry.name for entry in entries()}


@pytest.mark.parametrize('method', ['source', 'advseg', 'dannet', 'proda', 'mic_hrda'])
def test_a_step_of_a_method(method):
    arguments = ['--backbone', 'tiny', '--size', '64', '--batch', '2', '--method', method]
    side = make_side(parse_step(arguments), 'ours')
    trained = [p for names in side.model.trainable().values() for name in names
               for p in side.model.networks()[name].parameters()]
    before = [p.detach().clone() for p in trained]
    backward = 'masked backward' if method == 'mic_hrda' else 'backward passes'
    assert set(side.details()['parts']) >= {backward, 'optimizer'}
    assert trained and all(not torch.equal(a, b) for a, b in zip(before, trained))


def test_small_entries_run(start, monkeypatch, tmp_path, capsys):
    chosen = [entry for entry in entries() if entry.name in CHOSEN]
    monkeypatch.setattr(gpu_suite, 'entries', lambda: chosen)
    with pytest.raises(SystemExit) as ended:
        main(start())
    figures = json.loads((tmp_path / 'found.json').read_text())
    found = {entry['name']: entry['found'] for entry in figures['entries']}
    assert ended.value.code == 0, capsys.readouterr().out
    assert list(found) == [entry.name for entry in chosen] and figures['passed_over'] == []
    first = found['ebda bf16 joint']
    assert first['throughput_ms'] >= first['submit_ms'] > 0 and first['tflop'] > 0
    assert 'both backward' in first['parts_ms'] and 'source backward' in found['ebda bf16']['parts_ms']
    assert found['runner bf16 joint']['throughput_ms'] > 0
    assert found['rates'].keys() >= {'float32_tflops', 'bfloat16_tflops', 'copy_gb_s'}


def test_figures_are_kept_after_each_entry(start, monkeypatch, tmp_path, capsys):
    def fail(args):
        written = json.loads((tmp_path / 'found.json').read_text())['entries']
        raise RuntimeError(f'{len(written)} before it')

    monkeypatch.setattr(gpu_suite, 'entries', lambda: [
        Entry('first', 1, lambda args: dict(value=1.0)), Entry('second', 1, fail),
        Entry('third', 1, lambda args: dict(value=2.0))])
    with pytest.raises(SystemExit) as ended:
        main(start())
    assert ended.value.code == 1
    found = json.loads((tmp_path / 'found.json').read_text())['entries']
    assert [entry['name'] for entry in found] == ['first', 'second', 'third']
    assert 'second: failed: RuntimeError: 1 before it' in capsys.readouterr().out


def test_what_does_not_fit_into_the_budget_is_passed_over(start, monkeypatch):
    monkeypatch.setattr(gpu_suite, 'entries', lambda: [
        Entry('long', 100, dict), Entry('short', 5, lambda args: {}), Entry('other', 5, lambda args: {})])
    now = [0.0]
    monkeypatch.setattr(time, 'perf_counter', lambda: now[0])
    args = parse_args([*start('--budget', '20'), '--only', 'o'])
    args.tiny = False
    figures = run(args)
    assert figures['passed_over'] == ['long']
    assert [entry['name'] for entry in figures['entries']] == ['short', 'other']
