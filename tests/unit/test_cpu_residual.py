"""Branches that are left out of the computation, and of the sum only."""
from __future__ import annotations

import copy

import torch
from timm.layers import DropPath as DropPathOfTimm
from torch import nn
from torchvision.ops import StochasticDepth

from mmseg.models.backbones.mix_transformer import Block
from mmseg.models.utils.drop_path import DropPath
from mmseg.ops.cpu.linear import WIDE
from mmseg.ops.cpu.residual import CPUBlock, add_branch


def run(multiplied: bool, seed: int, samples: int, width: int):
    """(values, gradients of x and the branch, the samples for which the branch was computed)"""
    torch.manual_seed(0)
    branch, x = nn.Linear(width, width), torch.randn(samples, 5, width, requires_grad=True)
    depth, computed = DropPath(0.5), []

    def function(x):
        computed.append(len(x))
        return branch(x)

    torch.manual_seed(seed)
    out = x + depth(function(x)) if multiplied else add_branch(x, function, depth, branch)
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
    x, depth = torch.randn(4, 5, WIDE), DropPath(0.5)
    torch.manual_seed(0)
    out = add_branch(x, lambda x: x.bfloat16(), depth)
    torch.manual_seed(0)
    assert torch.equal(out, x + depth(x.bfloat16().float())) and out.dtype == torch.float32


def test_in_evaluation_every_branch_counts():
    depth, x = DropPath(0.9).eval(), torch.ones(1, 2, 3)
    assert torch.equal(add_branch(x, lambda x: 2 * x, depth), 3 * x)


def test_frozen_parameters_get_no_gradient():
    branch, x = nn.Linear(3, 3).requires_grad_(False), torch.ones(1, 2, 3, requires_grad=True)
    add_branch(x, branch, DropPath(1 - 1e-9), branch).sum().backward()
    assert branch.weight.grad is None and torch.equal(x.grad, torch.ones(1, 2, 3))


def test_a_block_is_the_plain_one():
    """Values and gradients to the bit, whatever is drawn; the draws are those of the plain one, too."""
    torch.manual_seed(0)
    plain = Block(8, 2, 4, sr_ratio=2, drop_path=0.5)
    quick = copy.deepcopy(plain)
    quick.__class__ = CPUBlock
    left_out = 0
    for seed in range(12):
        results = []
        for block in (plain, quick):
            block.zero_grad()
            x = torch.randn(1, 16, 8, generator=torch.Generator().manual_seed(seed)).requires_grad_()
            torch.manual_seed(seed)
            out = block(x, 4, 4)
            drawn = torch.rand(1)
            out.square().sum().backward()
            results.append([out, x.grad, drawn, *(p.grad for p in block.parameters())])
        assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
        left_out += torch.equal(results[1][0], x)
    assert 0 < left_out < 12


def test_stochastic_depth_draws_as_that_of_the_released_encoder():
    """Which is timm's; torchvision's is the same."""
    for x in (torch.randn(64, 5, 3), torch.randn(64, 3, 2, 2), torch.randn(64, 3).bfloat16()):
        drawn = []
        for depth in (DropPath(0.3), DropPathOfTimm(0.3), StochasticDepth(0.3, 'row')):
            torch.manual_seed(0)
            drawn.append((depth(x), torch.rand(1)))
        for out, after in drawn[1:]:
            assert torch.equal(out, drawn[0][0]) and torch.equal(after, drawn[0][1])
        assert 0 < int((drawn[0][0] == 0).flatten(1).all(dim=1).sum()) < 64
    assert DropPath(0.3).eval()(x) is x and DropPath(0)(x) is x
