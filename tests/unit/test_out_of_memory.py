"""Too little memory ends in one line that says what to lower."""
from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch
from uda_models import network, uda_model

from mmseg.engine.out_of_memory import oom_guard, step_remedies
from mmseg.engine.precision import prepare_networks
from mmseg.engine.runner import IterBasedRunner
from mmseg.utils import UserError

CPU = torch.device('cpu')
ON_CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
                      'memory: you tried to allocate 68719476736 bytes.')
ON_GPU = torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity')
EVERYTHING = (r'data.samples_per_gpu \(now 2; .*cumulative_iters.*\) or the crops; or set '
              'model.backbone.with_cp=True and amp.dtype=bfloat16')


@pytest.fixture
def runner(tmp_path):
    """Of batches of four that are cut into two parts."""
    model = uda_model()
    optimizer = torch.optim.SGD(model.model.parameters(), lr=0.1)
    made = IterBasedRunner(model, optimizer, str(tmp_path), logging.getLogger('memory'), 1, CPU,
                           cumulative_iters=2)
    made.data_loader = SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=4))
    return made


def raising(error: Exception):
    def raise_it(*args, **kwargs):
        raise error
    return raise_it


@pytest.mark.parametrize('error', [ON_CPU, ON_GPU, MemoryError()])
def test_a_step_that_does_not_fit_says_what_to_lower(runner, monkeypatch, error):
    monkeypatch.setattr(runner.model, 'train_step', raising(error))
    with pytest.raises(UserError, match='a training step does not fit into the memory of cpu') as caught:
        runner.train({})
    assert caught.match(r'peak so far: \d+\.\d\d GiB; ')
    assert caught.match(f'lower {EVERYTHING}$')
    assert '\n' not in str(caught.value)


def test_evaluation_that_does_not_fit(runner, monkeypatch):
    monkeypatch.setattr(runner.model, 'train_step', lambda *args: dict(log_vars={}, num_samples=4))
    monkeypatch.setattr(runner, 'call_hook', lambda name: name == 'after_train_iter' and raising(ON_GPU)())
    with pytest.raises(UserError, match=r'lower evaluation.samples_per_gpu, or .*mode=slide'):
        runner.train({})


def test_remedies_are_looked_for_when_there_is_an_error():
    with pytest.raises(UserError, match='lower the crops'), oom_guard(CPU, 'a step', lambda: 'the crops'):
        raise ON_GPU
    with oom_guard(CPU, 'a step', raising(AssertionError())):
        pass


def test_other_errors_keep_their_traceback():
    with pytest.raises(RuntimeError, match='size mismatch'), oom_guard(CPU, 'a step', 'it'):
        raise RuntimeError('size mismatch')


def test_what_is_done_already_is_not_advised():
    cfg = network()
    cfg['backbone']['with_cp'] = True
    model = uda_model(cfg)
    assert step_remedies(model, 1) == 'the crops; or set amp.dtype=bfloat16'
    prepare_networks(model, dict(amp=dict(dtype='bfloat16')))
    assert step_remedies(model, 1) == 'the crops'
