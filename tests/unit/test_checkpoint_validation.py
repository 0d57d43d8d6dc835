"""All of a checkpoint is looked at before anything of a training is touched."""
from __future__ import annotations

import copy
import logging
import random
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.checkpoint.files import newest_checkpoint, verify_file
from mmseg.checkpoint.validate import (
    check_optimizer,
    checked_meta,
    checked_step_state,
    checked_training_state,
)
from mmseg.checkpoint.weights import load_file, load_weights, state_dict_of
from mmseg.engine.runner import IterBasedRunner
from mmseg.utils import CheckpointError

NAN = float('nan')
GOOD_META = dict(iter=7, hook_msgs=dict(best_score=0.5, best_ckpt='best.pth'), skipped_steps=1)


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))


def stepped(kind: type, **settings) -> torch.optim.Optimizer:
    """An optimizer of two groups after one step."""
    first, second = network()
    optimizer = kind([dict(params=first.parameters()), dict(params=second.parameters(), lr=0.01)],
                     lr=0.1, **settings)
    for group in optimizer.param_groups:
        for parameter in group['params']:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return optimizer


OPTIMIZERS = [(torch.optim.AdamW, dict(fused=True)), (torch.optim.AdamW, dict(amsgrad=True)),
              (torch.optim.SGD, dict(momentum=0.9)), (torch.optim.SGD, {}), (torch.optim.RMSprop, {})]


@pytest.mark.parametrize('kind, settings', OPTIMIZERS)
def test_an_optimizer_fits_itself(kind, settings):
    optimizer = stepped(kind, **settings)
    state = copy.deepcopy(optimizer.state_dict())
    check_optimizer(state, optimizer, 'a.pth')
    check_optimizer({**state, 'state': {}}, optimizer, 'a.pth')  # before its first step


def broken_adamw() -> dict:
    """What is wrong → (state of AdamW, a word of the line)."""
    def change(edit):
        state = copy.deepcopy(stepped(torch.optim.AdamW).state_dict())
        edit(state)
        return state

    def of_first(**values):
        return change(lambda s: s['state'][0].update(values))
    return {
        'none': (None, 'optimizer'), 'empty': ({}, 'optimizer'), 'list': ([], 'optimizer'),
        'moment of another shape': (of_first(exp_avg=torch.ones(3)), r'state\[0\].exp_avg'),
        'second moment of another shape': (of_first(exp_avg_sq=torch.ones(4, 4)), 'exp_avg_sq'),
        'moment of whole numbers': (of_first(exp_avg=torch.ones(2, 3, dtype=torch.int64)), 'exp_avg'),
        'moment of complex numbers': (of_first(exp_avg=torch.ones(2, 3, dtype=torch.complex64)), 'exp_avg'),
        'moment that is text': (of_first(exp_avg='x'), 'exp_avg'),
        'step of two': (of_first(step=torch.ones(2)), 'step'), 'step nan': (of_first(step=NAN), 'step'),
        'step before the first': (of_first(step=torch.tensor(-1.0)), 'step'),
        'a moment is missing': (change(lambda s: s['state'][0].pop('exp_avg_sq')), "lacks 'exp_avg_sq'"),
        'one too many': (of_first(max_exp_avg_sq=torch.ones(2, 3)), 'max_exp_avg_sq'),
        'state of no parameter': (change(lambda s: s['state'].update({99: {}})), 'state'),
        'state is a list': (change(lambda s: s.update(state=[])), 'optimizer'),
        'one group': (change(lambda s: s['param_groups'].pop()), '1 groups'),
        'fewer parameters': (change(lambda s: s['param_groups'][0]['params'].pop()), '1 parameters, '
                                                                                     'expected 2'),
        'a parameter twice': (change(lambda s: s['param_groups'][0].update(params=[0, 0])), 'params'),
        'parameters by name': (change(lambda s: s['param_groups'][0].update(params=['a', 'b'])), 'params'),
        'rate is text': (change(lambda s: s['param_groups'][0].update(lr='fast')), 'lr'),
        'rate is nan': (change(lambda s: s['param_groups'][1].update(lr=NAN)), r'param_groups\[1\].lr'),
    }


@pytest.mark.parametrize('what', list(broken_adamw()))
def test_another_optimizers_state_is_refused(what):
    state, word = broken_adamw()[what]
    with pytest.raises(CheckpointError, match=word):
        check_optimizer(state, stepped(torch.optim.AdamW), 'a.pth')


@pytest.mark.parametrize('change, key', [
    (dict(iter='abc'), 'iter'), (dict(iter=NAN), 'iter'), (dict(iter=-1), 'iter'), (dict(iter=True), 'iter'),
    (dict(iter=2 ** 70), 'iter'), (dict(iter=torch.ones(2)), 'iter'), (dict(hook_msgs='x'), 'hook_msgs'),
    (dict(hook_msgs=dict(best_score='high')), 'best_score'), (dict(hook_msgs=dict(best_score=NAN)),
    'best_score'),
    (dict(hook_msgs=dict(best_ckpt=5)), 'best_ckpt'), (dict(skipped_steps='many'), 'skipped_steps'),
    (dict(replaced_samples=-3), 'replaced_samples')])
def test_meta_data_that_no_training_writes_are_refused(change, key):
    assert checked_meta(dict(meta=GOOD_META), 'a.pth') == GOOD_META
    with pytest.raises(CheckpointError, match=key):
        checked_meta(dict(meta={**GOOD_META, **change}), 'a.pth')


@pytest.mark.parametrize('state', [5, 'x', dict(local_iter='x'), dict(local_iter=-1),
                                   dict(local_iter=1, mix_losses=[]), dict(local_iter=1,
                                   mix_losses=dict(a=1))])
def test_training_states_that_no_method_writes_are_refused(state):
    with pytest.raises(CheckpointError, match='training'):
        checked_training_state(state, 'a.pth')


@pytest.mark.parametrize('state', [5, dict(scaler='x'), dict(scaler=dict(scale=0.0)),
dict(scaler=dict(scale=NAN)),
                                   dict(scaler=dict(scale=1.0, growth_interval='often'))])
def test_scalers_that_no_training_writes_are_refused(state):
    with pytest.raises(CheckpointError, match='optimizer_step'):
        checked_step_state(state, 'a.pth')


def test_nothing_is_touched_before_all_is_checked(tmp_path):
    """The weights of the file fit; its optimizer does not."""
    model = network()
    model.train_step = None
    optimizer = torch.optim.AdamW(model.parameters())
    runner = IterBasedRunner(model, optimizer, str(tmp_path), logging.getLogger('x'), 5, torch.device('cpu'))
    other = {name: value + 1 for name, value in model.state_dict().items()}
    before = copy.deepcopy(model.state_dict())
    torch.save(dict(meta=dict(iter=3), state_dict=other, optimizer=dict(state={}, param_groups=[])), tmp_path
    / 'a.pth')
    with pytest.raises(CheckpointError, match='0 groups'):
        runner.resume(str(tmp_path / 'a.pth'))
    assert runner.iter == 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize('kind', [torch.complex64, torch.int64, torch.bool])
def test_weights_of_another_kind_are_refused(kind):
    model = torch.nn.Linear(2, 1)
    state = {name: value.to(kind) for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match='2 of another kind'):
        load_weights(model, state, 'a.pth')
    load_weights(model, {name: value.half() for name, value in model.state_dict().items()}, 'a.pth')


def test_a_weight_without_a_name_is_refused():
    with pytest.raises(CheckpointError, match='named 7'):
        state_dict_of({'state_dict': {7: torch.ones(1)}})


# ------------------------------------------------------------------------ files

def two_checkpoints(folder) -> bytes:
    for step in (5, 9):
        torch.save(dict(meta=dict(iter=step), state_dict=dict(a=torch.ones(3))), folder / f'iter_{step}.pth')
    return (folder / 'iter_9.pth').read_bytes()


def test_the_resume_steps_over_every_damage_or_finds_none(tmp_path):
    """Single bits anywhere in the file, most of them in the structure of the archive."""
    content = two_checkpoints(tmp_path)
    draw = random.Random(0)
    directory = content.rfind(b'PK\x01\x02', 0, content.find(b'PK\x01\x02') + 4)
    places = [draw.randrange(directory, len(content)) for _ in range(150)]
    places += [draw.randrange(len(content)) for _ in range(50)]
    passed_over = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << draw.randrange(8)
        (tmp_path / 'iter_9.pth').write_bytes(bytes(damaged))
        found = newest_checkpoint(tmp_path, lambda line: None)
        passed_over += found.name == 'iter_5.pth'
        assert verify_file(found)['meta']['iter'] in (5, 9)
    assert passed_over > 50


def test_a_cut_off_file_is_stepped_over(tmp_path):
    content, told = two_checkpoints(tmp_path), []
    (tmp_path / 'iter_9.pth').write_bytes(content[:len(content) // 2])
    assert newest_checkpoint(tmp_path, told.append).name == 'iter_5.pth'
    assert len(told) == 1 and 'iter_9.pth' in told[0]


@pytest.mark.parametrize('read', [load_file, verify_file])
def test_a_file_that_would_become_far_larger_is_refused_before_it_is_read(read, tmp_path, monkeypatch):
    path = tmp_path / 'bomb.pth'
    torch.save(dict(state_dict=dict(a=torch.zeros(10_000_000))), tmp_path / 'plain.pth')
    with zipfile.ZipFile(tmp_path / 'plain.pth') as plain, zipfile.ZipFile(
            path, 'w', zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    monkeypatch.setattr(torch, 'load', lambda *args, **kwargs: pytest.fail('it was read'))
    monkeypatch.setattr(zipfile.ZipFile, 'testzip', lambda self: pytest.fail('it was read'))
    with pytest.raises(CheckpointError, match='would become'):
        read(str(path))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
    | st.builds(lambda n: torch.zeros(n), st.integers(0, 4)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(['iter', 'state', 'param_groups', 'params', 'lr', 'step', 'exp_avg', 'hook_msgs', 'x',
        0]),
        inner, max_size=4), max_leaves=8)


@settings(max_examples=150, deadline=None)
@given(meta=VALUES, optimizer=VALUES, training=VALUES, scaler=VALUES)
def test_nonsense_is_a_checkpoint_error_or_fits(meta, optimizer, training, scaler):
    for check in (lambda: checked_meta(dict(meta=meta), 'a'),
                  lambda: check_optimizer(optimizer, stepped(torch.optim.AdamW), 'a'),
                  lambda: checked_training_state(training, 'a'), lambda: checked_step_state(scaler, 'a')):
        try:
            check()
        except CheckpointError as error:
            assert '\n' not in str(error)
