"""Random numbers that depend on what they are for, not on what was drawn before them."""
from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator

import numpy as np
import torch


def derive_seed(*key: int) -> int:
    """One well-mixed 32-bit seed from a tuple of non-negative integers, e.g. (seed, rank, step)."""
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def set_random_seed(seed: int, deterministic: bool = False) -> None:
    """Seed Python, numpy and torch (all devices).

    Args:
        seed: 0 … 2³² − 1.
        deterministic: also let torch and cuDNN use only algorithms that give the same bits each time. An
            operation that has none on a GPU then raises a RuntimeError that says so.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if deterministic:
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # else cuBLAS adds up in any order
        torch.use_deterministic_algorithms(True)
        setattr(torch.utils.deterministic, 'fill_uninitialized_memory', False)  # noqa: B010  (nothing here reads it)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


@contextlib.contextmanager
def local_seed(*key: int) -> Iterator[None]:
    """Inside the block Python's, numpy's and torch's CPU generator start from ``key`` alone; after it
    they go on as if the block had not been there.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed = derive_seed(*key)
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
