"""Branches that are left out of the computation, and of the sum only."""
from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import nn

from mmseg.ops import StochasticDepth
from mmseg.ops.fast_linear import WIDE


def run(multiplied: bool, seed: int, samples: int, width: int):
    """(values, gradients of x and the branch, the samples for which the branch was computed)"""
    torch.manual_seed(0)
    branch, x = nn.Linear(width, width), torch.randn(samples, 5, width, requires_grad=True)
    depth, computed = StochasticDepth(0.5), []

    def function(x):
        computed.append(len(x))
        return branch(x)

    torch.manual_seed(seed)
    out = x + DropPath.forward(depth, function(x)) if multiplied else depth(x, function, branch)
    out.square().sum().backward()
    return [out, x.grad, branch.weight.grad, branch.bias.grad], sum(computed)


def test_values_and_gradients_are_those_of_a_multiplication():
    """To the bit; the gradients of a branch that nobody takes are zeros, not missing."""
    left_out = 0
    for seed in range(12):
        for samples in (1, 3):
            ours, computed = run(False, seed, samples, width=3)
            expected, _ = run(True, seed, samples, width=3)
            assert all(torch.equal(one, other) for one, other in zip(ours, expected))
            assert computed in (0, samples)
            left_out += not computed
    assert 4 <= left_out < 20


def test_wide_branches_are_computed_for_those_who_take_them():
    seen = set()
    for seed in range(64):
        ours, computed = run(False, seed, 3, width=WIDE)
        expected, _ = run(True, seed, 3, width=WIDE)
        for one, other in zip(ours, expected):
            assert (one - other).abs().max() <= 1e-6 * other.abs().max()
        torch.manual_seed(seed)
        assert computed == torch.empty(3, 1, 1).bernoulli_(0.5).sum()
        seen.add(computed)
    assert seen == {0, 1, 2, 3}


def test_a_branch_in_reduced_precision():
    x, depth = torch.randn(4, 5, WIDE), StochasticDepth(0.5)
    torch.manual_seed(0)
    out = depth(x, lambda x: x.bfloat16())
    torch.manual_seed(0)
    assert torch.equal(out, x + DropPath.forward(depth, x.bfloat16().float())) and out.dtype == torch.float32


def test_in_evaluation_every_branch_counts():
    depth, x = StochasticDepth(0.9).eval(), torch.ones(1, 2, 3)
    assert torch.equal(depth(x, lambda x: 2 * x), 3 * x)


def test_frozen_parameters_get_no_gradient():
    branch, x = nn.Linear(3, 3).requires_grad_(False), torch.ones(1, 2, 3, requires_grad=True)
    StochasticDepth(1 - 1e-9)(x, branch, branch).sum().backward()
    assert branch.weight.grad is None and torch.equal(x.grad, torch.ones(1, 2, 3))
