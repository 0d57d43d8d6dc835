"""benchmarks/live_memory.py counts what exists, and the most that did."""
from __future__ import annotations

import torch

from benchmarks import live_memory


def test_storages_are_counted_once_and_while_they_live():
    live = live_memory.LiveBytes()
    with live:
        first = torch.empty(100, device='meta')
        view = first[:50]
        second = first * 2
        assert (live.now, live.peak) == (800, 800)
        del second
        assert (live.now, live.peak) == (400, 800)
        del first
        assert live.now == 400, 'the view keeps it'
        del view
    assert (live.now, live.peak) == (0, 800)


def test_the_passes_of_a_step_are_told(capsys):
    live_memory.main(['--backbone', 'tiny', '--method', 'source', '--size', '64', '--with-cp'])
    assert [line[:8].strip() for line in capsys.readouterr().out.splitlines()] == ['state', 'pass 1']
