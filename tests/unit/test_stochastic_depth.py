"""Branches that are left out of the computation, and of the sum only."""
from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import nn

from mmseg.ops import StochasticDepth


def run(multiplied: bool, seed: int, samples: int):
    """(values, gradients of x and the branch, whether the branch was computed)"""
    torch.manual_seed(0)
    branch, x = nn.Linear(3, 3), torch.randn(samples, 5, 3, requires_grad=True)
    depth, computed = StochasticDepth(0.5), []

    def function(x):
        computed.append(True)
        return branch(x)

    torch.manual_seed(seed)
    out = x + DropPath.forward(depth, function(x)) if multiplied else depth(x, function, branch)
    out.square().sum().backward()
    return [out, x.grad, branch.weight.grad, branch.bias.grad], bool(computed)


def test_values_and_gradients_are_those_of_a_multiplication():
    """To the bit; the gradients of a branch that nobody takes are zeros, not missing."""
    left_out = 0
    for seed in range(12):
        for samples in (1, 3):
            ours, computed = run(False, seed, samples)
            expected, _ = run(True, seed, samples)
            assert all(torch.equal(one, other) for one, other in zip(ours, expected))
            left_out += not computed
    assert 4 <= left_out < 20


def test_in_evaluation_every_branch_counts():
    depth, x = StochasticDepth(0.9).eval(), torch.ones(1, 2, 3)
    assert torch.equal(depth(x, lambda x: 2 * x), 3 * x)


def test_frozen_parameters_get_no_gradient():
    branch, x = nn.Linear(3, 3).requires_grad_(False), torch.ones(1, 2, 3, requires_grad=True)
    StochasticDepth(1 - 1e-9)(x, branch, branch).sum().backward()
    assert branch.weight.grad is None and torch.equal(x.grad, torch.ones(1, 2, 3))
