from __future__ import annotations

import torch
from torch import Tensor


def is_eager_on_cpu(x: Tensor) -> bool:
    """Whether x is computed on a CPU at once, and not recorded in a graph (compiled, traced, exported)."""
    return x.device.type == 'cpu' and not torch.compiler.is_compiling() and not torch.jit.is_tracing()


def is_eager_float32_on_cpu(x: Tensor, weight: Tensor) -> bool:
    """The same, and both are computed in float32."""
    return (is_eager_on_cpu(x) and x.dtype == weight.dtype == torch.float32
            and not torch.is_autocast_enabled('cpu'))
