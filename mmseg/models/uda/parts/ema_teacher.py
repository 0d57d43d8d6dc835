"""The teacher: an exponential moving average of the student (method.md, step 1)."""
from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import nn
from torch.nn.modules.dropout import _DropoutNd


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, step: int, alpha: float) -> float:
    """φ ← α_t·φ + (1 − α_t)·θ with α_t = min(1 − 1/(t + 1), α), so step 0 copies the student.

    Parameters only: the teacher's BatchNorm buffers are its own.

    Returns:
        α_t.
    """
    alpha_t = min(1 - 1 / (step + 1), alpha)
    teacher_params, student_params = list(teacher.parameters()), list(student.parameters())
    if alpha_t == 0:
        torch._foreach_copy_(teacher_params, student_params)
    else:
        torch._foreach_lerp_(teacher_params, student_params, 1 - alpha_t)
    return alpha_t


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, alpha: float) -> None:
    """φ ← α·φ + (1 − α)·θ after a step, and the student's buffers (ProDA)."""
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1 - alpha)
    for own, other in zip(teacher.buffers(), student.buffers()):
        own.copy_(other)


def teacher_mode(teacher: nn.Module) -> None:
    """Train mode, so that BatchNorm uses the statistics of the target batch, with every Dropout and
    DropPath switched off (method.md, step 5)."""
    teacher.train()
    for module in teacher.modules():
        if isinstance(module, (_DropoutNd, DropPath)):
            module.eval()
