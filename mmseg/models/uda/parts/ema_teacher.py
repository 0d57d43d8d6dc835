"""The teacher: an exponential moving average of the student (method.md, step 1)."""
from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

# of timm, mmcv and mmseg, and of torchvision
STOCHASTIC_DEPTH = {'DropPath', 'StochasticDepth'}
_PARAMETERS: WeakKeyDictionary[nn.Module, list[nn.Parameter]] = WeakKeyDictionary()


def parameters_of(network: nn.Module) -> list[nn.Parameter]:
    """``list(network.parameters())``, kept: looking for a thousand of them takes longer than to average them.
    A network that was converted into new parameters is looked through again."""
    known = _PARAMETERS.get(network)
    if not known or known[0] is not next(network.parameters()):
        known = _PARAMETERS[network] = list(network.parameters())
    return known


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, step: int, alpha: float) -> float:
    """φ ← α_t·φ + (1 − α_t)·θ with α_t = min(1 − 1/(t + 1), α), so step 0 copies the student.

    Parameters only: the teacher's BatchNorm buffers are its own.

    Returns:
        α_t.
    """
    alpha_t = min(1 - 1 / (step + 1), alpha)
    teacher_params, student_params = parameters_of(teacher), parameters_of(student)
    if alpha_t == 0:
        torch._foreach_copy_(teacher_params, student_params)
    else:
        torch._foreach_lerp_(teacher_params, student_params, 1 - alpha_t)
    return alpha_t


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, alpha: float) -> None:
    """φ ← α·φ + (1 − α)·θ after a step, and the student's buffers (ProDA)."""
    torch._foreach_lerp_(parameters_of(teacher), parameters_of(student), 1 - alpha)
    for own, other in zip(teacher.buffers(), student.buffers()):
        own.copy_(other)


def teacher_mode(teacher: nn.Module) -> None:
    """Train mode, so that BatchNorm uses the statistics of the target batch, with every Dropout and
    all stochastic depth switched off (method.md, step 5). That of the libraries is known by its
    name: they take a second to import, and are not here unless one of their encoders is."""
    teacher.train()
    for module in teacher.modules():
        kinds = {kind.__name__ for kind in type(module).__mro__}
        if isinstance(module, _DropoutNd) or kinds & STOCHASTIC_DEPTH:
            module.eval()
