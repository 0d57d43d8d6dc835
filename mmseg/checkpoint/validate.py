"""Whether a checkpoint holds what its reader is going to take from it: names, shapes, types and ranges.

A checkpoint may come from anywhere, and it may be damaged in ways that no checksum shows. All of it is looked
at
before anything of a training is touched: an optimizer with moments of another shape would corrupt memory.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mmseg.utils.errors import CheckpointError

MOST_STEPS = 2 ** 53  # whole numbers up to here are the same as floats, in json and in tensors
COUNTERS = ('replaced_samples', 'skipped_steps', 'evaluation_due')


def is_count(value: Any) -> bool:
    """Whether ``value`` is a whole number from 0 on that can count steps."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_STEPS


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number (not a bool)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def checked_meta(checkpoint: Mapping[str, Any], path: str) -> dict[str, Any]:
    """``checkpoint['meta']`` of a file from which a training goes on.

    Returns:
        it, with 'iter', a whole number from 0 on.

    Raises:
        CheckpointError: it is missing or not of the form that a training writes; names the key.
    """
    meta = checkpoint.get('meta')
    if meta is None or (isinstance(meta, Mapping) and 'iter' not in meta):
        raise CheckpointError(f"'{path}' holds weights, but not the state of a training: start from it with "
                              '--load-from')
    if not isinstance(meta, Mapping):
        raise _nonsense(path, 'meta', meta, 'a dict')
    if not is_count(meta['iter']):
        raise _nonsense(path, 'meta.iter', meta['iter'], 'a number of steps')
    messages = meta.get('hook_msgs')
    if messages is not None and not isinstance(messages, Mapping):
        raise _nonsense(path, 'meta.hook_msgs', messages, 'a dict')
    messages = messages or {}
    if not is_number(messages.get('best_score', 0.0)) and messages['best_score'] != -math.inf:
        raise _nonsense(path, 'meta.hook_msgs.best_score', messages['best_score'], 'a number')
    if not isinstance(messages.get('best_ckpt', ''), str):
        raise _nonsense(path, 'meta.hook_msgs.best_ckpt', messages['best_ckpt'], 'a path')
    for key in COUNTERS:
        if not is_count(meta.get(key, 0)):
            raise _nonsense(path, f'meta.{key}', meta[key], 'a number of steps')
    return dict(meta)


def check_optimizers(state: Any, optimizers: torch.optim.Optimizer | Mapping[str, torch.optim.Optimizer],
                     path: str) -> None:
    """``check_optimizer`` of one optimiser, or of each of a dict of them.

    Raises:
        CheckpointError: also where their names differ.
    """
    if not isinstance(optimizers, Mapping):
        check_optimizer(state, optimizers, path)
        return
    if not isinstance(state, Mapping) or set(state) != set(optimizers):
        found = ', '.join(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
        raise CheckpointError(f"the optimizers in '{path}' are not those of this config: {found} instead of "
                              f'{", ".join(optimizers)}')
    for name, optimizer in optimizers.items():
        check_optimizer(state[name], optimizer, path, f'optimizer.{name}')


def check_optimizer(state: Any, optimizer: torch.optim.Optimizer, path: str, key: str = 'optimizer') -> None:
    """Whether ``optimizer.load_state_dict(state)`` gives each parameter a state of its shape and kind.

    Raises:
        CheckpointError: it does not; says where.
    """
    if not isinstance(state, Mapping) or not isinstance(state.get('state'), Mapping) or not isinstance(
            state.get('param_groups'), list):
        raise _nonsense(path, key, state, "a dict with 'state' and 'param_groups'")
    groups, own = state['param_groups'], optimizer.param_groups
    if len(groups) != len(own):
        raise CheckpointError(f"the optimizer in '{path}' is not that of this config: it has {len(groups)} "
                              f"groups "
                              f'of parameters, expected {len(own)}')
    parameters: dict[int, Tensor] = {}
    for number, (group, own_group) in enumerate(zip(groups, own)):
        parameters.update(_check_group(group, own_group, path, f'{key}.param_groups[{number}]'))
    if set(state['state']) - set(parameters):
        raise _nonsense(path, f'{key}.state', sorted(map(str, state['state'])), 'numbers of its parameters')
    expected = {id(group): _state_of_dummy(type(optimizer), group) for group in own}
    by_parameter = {id(p): expected[id(group)] for group in own for p in group['params']}
    for number, values in state['state'].items():
        parameter = parameters[number]
        _check_state(values, parameter, by_parameter[id(parameter)], path, f'{key}.state[{number}]')


def _check_group(group: Any, own: Mapping, path: str, where: str) -> dict[int, Tensor]:
    """The parameters of a group by their numbers in the file."""
    if not isinstance(group, Mapping) or not isinstance(group.get('params'), list):
        raise _nonsense(path, where, group, "a dict with 'params'")
    numbers = group['params']
    if len(numbers) != len(own['params']):
        raise CheckpointError(f"the optimizer in '{path}' is not that of this config: {where} has "
                              f"{len(numbers)} "
                              f"parameters, expected {len(own['params'])}")
    if not all(is_count(number) for number in numbers) or len(set(numbers)) != len(numbers):
        raise _nonsense(path, f'{where}.params', numbers, 'numbers of parameters')
    for name, value in own.items():
        if name == 'params' or name not in group:  # a setting that an earlier version did not have
            continue
        if is_number(value) and not isinstance(group[name], Tensor) and not is_number(group[name]):
            raise _nonsense(path, f'{where}.{name}', group[name], 'a number')
    return dict(zip(numbers, own['params']))


def _state_of_dummy(kind: Callable[..., torch.optim.Optimizer], group: Mapping) -> dict[str, bool]:
    """What an optimizer of this kind keeps for a parameter: name → whether it has the parameter's shape."""
    settings = {name: value for name, value in group.items() if name not in ('params', 'initial_lr')}
    settings.update({name: False for name in ('fused', 'foreach', 'capturable') if name in settings})
    dummy = torch.nn.Parameter(torch.zeros(3))
    optimizer = kind([dict(settings, params=[dummy])], lr=settings.get('lr', 0.1))
    for _ in range(2):  # some keep their second state from the second step on
        dummy.grad = torch.ones(3)
        optimizer.step()
    return {name: isinstance(value, Tensor) and value.shape == dummy.shape
            for name, value in optimizer.state[dummy].items()}


def _check_state(values: Any, parameter: Tensor, expected: Mapping[str, bool], path: str, where: str) -> None:
    if not isinstance(values, Mapping):
        raise _nonsense(path, where, values, 'a dict')
    for name, has_shape in expected.items():
        if name not in values:
            raise CheckpointError(f"checkpoint '{path}': {where} lacks '{name}': it is of another "
                                  f"optimizer, or damaged")
        value = values[name]
        if has_shape:
            if value is None:  # as of SGD before its first momentum
                continue
            fits = isinstance(value, Tensor) and value.shape == parameter.shape and value.is_floating_point()
            if not fits:
                raise _nonsense(path, f'{where}.{name}', value, f'values of the shape '
                                                                f'{tuple(parameter.shape)}')
        elif not is_step(value):
            raise _nonsense(path, f'{where}.{name}', value, 'a number of steps')
    unknown = sorted(set(map(str, values)) - set(expected))
    if unknown:
        raise CheckpointError(f"checkpoint '{path}': {where} has '{unknown[0]}', which this optimizer does "
                              f"not keep")


def is_step(value: Any) -> bool:
    """Whether ``value`` counts an optimizer's steps: a number, or a tensor of one number."""
    if isinstance(value, Tensor):
        if value.numel() != 1 or value.dim() > 1 or value.is_complex():
            return False
        value = value.item()
    return is_number(value) and value >= 0


def checked_training_state(state: Any, path: str, key: str = 'training') -> dict[str, Any] | None:
    """What a method keeps beside the weights; None where the file has none.

    Raises:
        CheckpointError: it is not of the form that a method writes.
    """
    if state is None:
        return None
    if not isinstance(state, Mapping):
        raise _nonsense(path, key, state, 'a dict')
    if not is_count(state.get('local_iter', 0)):
        raise _nonsense(path, f'{key}.local_iter', state['local_iter'], 'a number of steps')
    buffers = state.get('mix_losses', {})
    if not isinstance(buffers, Mapping) or not all(isinstance(value, Tensor) for value in buffers.values()):
        raise _nonsense(path, f'{key}.mix_losses', buffers, 'a dict of tensors')
    return dict(state)


def checked_step_state(state: Any, path: str) -> dict[str, Any]:
    """What float16's gradient scaler keeps.

    Raises:
        CheckpointError: it is not of the form that a scaler writes.
    """
    if state is None:
        return {}
    scaler = state.get('scaler') if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping) or not isinstance(scaler or {}, Mapping):
        raise _nonsense(path, 'optimizer_step', state, 'a dict')
    for name, value in (scaler or {}).items():
        if not is_number(value) or value < 0 or (name == 'scale' and value == 0):
            raise _nonsense(path, f'optimizer_step.scaler.{name}', value, 'a positive number')
    return dict(state)


def _nonsense(path: str, key: str, value: Any, expected: str) -> CheckpointError:
    text = repr(value)
    if isinstance(value, Tensor):
        text = f'values of the shape {tuple(value.shape)}, {value.dtype}'
    return CheckpointError(f"checkpoint '{path}' is damaged or not of a training: {key} is {text[:80]}, "
                           f"expected "
                           f'{expected}')
