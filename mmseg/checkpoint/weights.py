"""The one place where checkpoint files are read and written.

Files are read with ``weights_only=True``: a checkpoint may hold tensors, numbers, strings and
containers of them, never code.
"""
from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from mmseg.utils.errors import CheckpointError
from mmseg.utils.project import shipped

from .deeplabv2 import own_segmentor_names
from .files import verify_file, write_whole
from .pretrained import find_pretrained
from .safe_load import read_pickled

STUDENT_PREFIX, TEACHER_PREFIX, IMNET_PREFIX = 'model.', 'ema_model.', 'imnet_model.'


def load_file(path: str, map_location: str = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file (.pth, or .safetensors), in whatever precision it was written; a module that
    takes the weights keeps its own.

    Raises:
        CheckpointError: the file is missing, truncated, or holds anything but data.
    """
    path = shipped(path)
    if os.path.isdir(path):
        raise CheckpointError(f"'{path}' is a folder: give a file in it, of a training latest.pth")
    if not os.path.isfile(path):
        raise CheckpointError(f"checkpoint '{path}' does not exist")
    if str(path).endswith('.safetensors'):
        return _load_safetensors(path)
    loaded = read_pickled(path, map_location)
    if not isinstance(loaded, dict):
        raise CheckpointError(f"checkpoint '{path}' holds a {type(loaded).__name__}, expected a dict of "
                              f"weights")
    return loaded


def _load_safetensors(path: str) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise CheckpointError(f"reading '{path}' needs the package safetensors: "
                              'pip install safetensors') from error
    try:
        with safe_open(path, framework='pt') as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return {'meta': _meta_of(file.metadata()), 'state_dict': weights}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"checkpoint '{path}' is damaged or incomplete ({error}): "
                        'copy or download it again') from error


def _meta_of(header: Mapping[str, str] | None) -> dict[str, Any]:
    """What ``save_safetensors`` kept; other programs' files have none of it."""
    try:
        meta = json.loads((header or {}).get('meta', '{}'))
    except ValueError:
        return {}
    return meta if isinstance(meta, dict) else {}


def state_dict_of(checkpoint: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The weights in a checkpoint of any of the usual shapes, without DistributedDataParallel's
    ``module.`` prefix.

    Raises:
        CheckpointError: a weight has a name that is no text.
    """
    state = checkpoint
    for key in ('state_dict', 'model', 'ResNet101'):  # the last is ProDA's
        if isinstance(checkpoint.get(key), Mapping):
            state = checkpoint[key]
            break
    if isinstance(state.get('model_state'), Mapping):
        state = state['model_state']
    weights = {k: v for k, v in state.items() if isinstance(v, torch.Tensor)}
    unnamed = [k for k in weights if not isinstance(k, str)]
    if unnamed:
        raise CheckpointError(f'a weight of the checkpoint is named {unnamed[0]!r}, expected text')
    if weights and all(k.startswith('module.') for k in weights):
        weights = {k[len('module.'):]: v for k, v in weights.items()}
    return weights


def select_prefix(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The entries under ``prefix``, without it."""
    return {k[len(prefix):]: v for k, v in state.items() if k.startswith(prefix)}


def load_weights(module: nn.Module, state: Mapping[str, torch.Tensor], source: str,
                 extras: Sequence[str] = (), missing_ok: Sequence[str] = ()) -> None:
    """Load ``state`` into ``module``; every name and shape has to agree.

    Args:
        source: file name used in error messages.
        extras: prefixes of entries of ``state`` that may be left out.
        missing_ok: prefixes of entries of ``module`` that may keep their values.

    Raises:
        CheckpointError: the weights are those of another architecture; says how they differ.
    """
    state = {k: v for k, v in state.items() if not k.startswith(tuple(extras))}
    own = module.state_dict()
    # files from before PyTorch 0.4.1 lack batch norm's counters; torch lets them begin at 0
    missing = [k for k in own if k not in state and not k.startswith(tuple(missing_ok))
               and not k.endswith('.num_batches_tracked')]
    unexpected = [k for k in state if k not in own]
    shapes = [f'{k} is {tuple(state[k].shape)}, expected {tuple(own[k].shape)}'
              for k in own if k in state and state[k].shape != own[k].shape]
    # counters may be floats: people halve whole files
    kinds = [f'{k} holds {state[k].dtype}, expected {own[k].dtype}' for k in own if k in state
             and own[k].is_floating_point() and not state[k].is_floating_point()]
    faults = []
    for title, names in (('missing', missing), ('unexpected', unexpected), ('of another shape', shapes),
                         ('of another kind', kinds)):
        if names:
            faults.append(f'{len(names)} {title} (first: {names[0]})')
    if faults:
        raise CheckpointError(f"checkpoint '{source}' does not fit {type(module).__name__}: "
                              f"{'; '.join(faults)}. "
                        'Use the config that the checkpoint was trained with')
    module.load_state_dict(state, strict=not missing_ok)


def network_of(checkpoint: Mapping[str, Any], prefix: str = 'auto',
               source: str = 'checkpoint') -> dict[str, torch.Tensor]:
    """The weights of one network in a checkpoint, under its own names.

    Args:
        prefix: 'auto' takes the student of a UDA checkpoint, or a plain network's weights;
            'ema_model.' the teacher.
        source: file name used in error messages.

    Raises:
        CheckpointError: the checkpoint has no such network.
    """
    state = state_dict_of(checkpoint)
    if prefix == 'auto':
        prefix = STUDENT_PREFIX if any(k.startswith(STUDENT_PREFIX) for k in state) else ''
    selected = select_prefix(state, prefix)
    if not selected:
        raise CheckpointError(f"checkpoint '{source}' has no weights"
                        + (f" under '{prefix}': it holds a single network" if prefix else ''))
    return selected


def load_segmentor_weights(model: nn.Module, checkpoint: Mapping[str, Any], prefix: str = 'auto',
                           strict: bool = True, source: str = 'checkpoint',
                           missing_ok: Sequence[str] = ()) -> None:
    """Load a checkpoint's network into a segmentor.

    Args:
        prefix: which of its networks, see ``network_of``.
        strict: False lets missing and unexpected entries pass (a shape must still agree).
        missing_ok: see ``load_weights``.
    """
    selected = own_segmentor_names(network_of(checkpoint, prefix, source), model.state_dict())
    if strict:
        load_weights(model, selected, source, missing_ok=missing_ok)
    else:
        load_weights(model, {k: v for k, v in selected.items() if k in model.state_dict()}, source,
                     missing_ok=('',))


def load_pretrained(backbone: nn.Module, path: str, extras: Sequence[str] = (),
                    rename: Callable[[Mapping[str, torch.Tensor]], Mapping[str, torch.Tensor]] | None = None,
                    ) -> None:
    """Load a pretrained encoder; a whole network's checkpoint gives its ``backbone.``.

    Args:
        path: of a file, or 'open-mmlab://NAME', see ``find_pretrained``.
        extras: prefixes of entries of the file that may be left out.
        rename: gives the file's entries the names that they have in ``backbone``.
    """
    path = find_pretrained(path)
    state: Mapping[str, torch.Tensor] = state_dict_of(load_file(path))
    for prefix in (STUDENT_PREFIX + 'backbone.', 'backbone.'):
        if any(k.startswith(prefix) for k in state):
            state = select_prefix(state, prefix)
            break
    if rename is not None:
        state = rename(state)
    load_weights(backbone, state, path, extras)


def save_file(checkpoint: Mapping[str, Any], path: str) -> None:
    """Write a checkpoint so that at any moment either the old or the new file is whole; the new one is read
    again before it takes the old one's place.

    Raises:
        CheckpointError: it cannot be written; the old file is as it was.
    """
    write_whole(path, lambda file: torch.save(dict(checkpoint), file), verify_file)


def save_safetensors(weights: Mapping[str, torch.Tensor], meta: Mapping[str, Any], path: str) -> None:
    """Write weights as .safetensors, as ``save_file`` does; ``meta`` (what JSON can hold) stands in the
    file's header."""
    from safetensors.torch import save
    data = save({k: v.contiguous() for k, v in weights.items()},
                metadata={'format': 'pt', 'meta': json.dumps(dict(meta))})
    write_whole(path, lambda file: file.write(data))


def save_checkpoint(path: str, model: nn.Module,
                    optimizer: torch.optim.Optimizer | Mapping[str, torch.optim.Optimizer] | None = None,
                    meta: Mapping[str, Any] | None = None, **state: Any) -> None:
    """Write ``model`` (on the CPU, without parallel wrappers) with ``meta``, its optimiser or, by name,
    several, and further ``state``."""
    weights = OrderedDict((k, v.detach().cpu()) for k, v in model.state_dict().items())
    checkpoint = {'meta': dict(meta or {}), 'state_dict': weights, **state}
    if optimizer is not None:
        checkpoint['optimizer'] = ({name: one.state_dict() for name, one in optimizer.items()}
                                   if isinstance(optimizer, Mapping) else optimizer.state_dict())
    save_file(checkpoint, path)
