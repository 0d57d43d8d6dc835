"""amp, float16's scaler, accumulation and compilation, on a CPU, which has autocast and the scaler too."""
from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.nn.parallel import DistributedDataParallel
from uda_models import BALANCE, batch, network, seed_all, sgd, uda_model

from mmseg.apis.train import check_settings
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.precision import amp_settings, compile_settings, grad_scaler, prepare_networks, set_tf32
from mmseg.models.builder import build_segmentor
from mmseg.utils import UserError

CPU = torch.device('cpu')
BF16, FP16 = dict(amp=dict(dtype='bfloat16')), dict(amp=dict(dtype='float16', init_scale=256.0))
SIZE = dict(size=64, cell=16)
SETTINGS = dict(imnet_feature_dist_lambda=0.05, entropy_balance=BALANCE)


def tiny(with_cp: bool = False, drop_path_rate: float = 0.3, norm: bool = True) -> dict:
    """Config of a network of four blocks."""
    plain = None if norm else dict(type='conv', kernel_size=1, norm_cfg=None, act_cfg=dict(type='ReLU'))
    cfg = network(fusion=plain)
    cfg['backbone'] = dict(type='MixVisionTransformer', embed_dims=(8, 16, 24, 32), num_heads=(1, 1, 1, 1),
                           depths=(1, 1, 1, 1), drop_path_rate=drop_path_rate, with_cp=with_cp)
    cfg['decode_head']['in_channels'] = [8, 16, 24, 32]
    return cfg


def built(cfg: dict | None = None, **precision) -> nn.Module:
    seed_all(0)
    model = uda_model(cfg or tiny(), **SETTINGS).train()
    prepare_networks(model, precision)
    return model


def stepped(model: nn.Module, step: OptimizerStep | None = None, seed: int = 0, **size) -> dict:
    """The outputs of one step with everything seeded."""
    seed_all(seed)
    return model.train_step(batch(seed, **{**SIZE, **size}), step or sgd(model))


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def direction(one: dict, other: dict) -> float:
    """Cosine between two gradients."""
    a, b = (torch.cat([grads[name].flatten().double() for name in one]) for grads in (one, other))
    return float(torch.dot(a, b) / (a.norm() * b.norm()))


# ---------------------------------------------------------------- precision


@pytest.mark.parametrize('precision, dtype', [
    ({}, torch.float32), (BF16, torch.bfloat16), (FP16, torch.float16)])
def test_passes_are_in_the_precision_and_the_rest_is_float32(precision, dtype):
    model = built(**precision)
    seen, logits = {}, {}
    for name in ('model', 'ema_model', 'imnet_model'):
        network = getattr(model, name)
        network.backbone.patch_embed1.proj.register_forward_hook(
            lambda module, args, out, name=name: seen.update({name: out.dtype}))
        upsample = network.decode_head.upsample
        network.decode_head.upsample = lambda *args, name=name, upsample=upsample: (
            logits.update({name: upsample(*args)}) or logits[name])
    optimizer = torch.optim.AdamW(model.model.parameters(), lr=1e-3)
    outputs = stepped(model, OptimizerStep(optimizer, scaler=grad_scaler(precision, CPU)), size=32, cell=8)
    assert seen == dict.fromkeys(('model', 'ema_model', 'imnet_model'), dtype)
    assert {value.dtype for value in logits.values()} == {torch.float32}
    assert {value.dtype for value in outputs['log_vars'].values()} == {torch.float32}
    kept = [*model.state_dict().values(), *(v for s in optimizer.state.values() for v in s.values())]
    assert {value.dtype for value in kept if value.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize('precision', [BF16, FP16])
def test_reduced_precision_gives_nearly_the_same_step(precision):
    exact, reduced = built(), built(**precision)
    expected = stepped(exact)['log_vars']
    step = OptimizerStep(sgd(reduced), scaler=grad_scaler(precision, CPU))
    found = stepped(reduced, step)['log_vars']
    for name in ('decode.loss_seg', 'mix.decode.loss_seg', 'mix.entropy'):
        assert float(found[name]) == pytest.approx(float(expected[name]), rel=0.02), name
    assert any(float(found[name]) != float(expected[name]) for name in found)
    norms = [torch.stack([g.norm() for g in gradients(m).values()]).norm() for m in (exact, reduced)]
    assert float(norms[1]) == pytest.approx(float(norms[0]), rel=0.1), 'gradients are unscaled again'
    assert direction(gradients(exact), gradients(reduced)) > 0.98


def weighted(scaler: torch.amp.GradScaler | None = None, **settings) -> tuple[nn.Parameter, OptimizerStep]:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    return weight, OptimizerStep(torch.optim.SGD([weight], lr=1.0), scaler=scaler, **settings)


def test_gradients_are_unscaled_before_they_are_clipped():
    weight, step = weighted(grad_scaler(FP16, CPU), grad_clip=dict(max_norm=2.5))
    step.begin()
    step.backward((weight * torch.tensor([3.0, 4.0])).sum())
    assert weight.grad.tolist() == [3 * 256, 4 * 256]
    assert float(step.finish()['grad_norm']) == pytest.approx(5.0)
    assert weight.tolist() == pytest.approx([1 - 1.5, 2 - 2.0], abs=1e-5)


@pytest.mark.parametrize('nonfinite', ['stop', 'skip'])
def test_overflow_makes_no_update_and_lowers_the_scale(nonfinite):
    weight, step = weighted(grad_scaler(FP16, CPU), nonfinite=nonfinite)
    step.begin()
    step.backward(weight.sum() * torch.tensor(float('inf')))
    log_vars = step.finish()
    assert weight.tolist() == [1, 2]
    assert step.scaler.get_scale() == 128
    assert log_vars == ({'skipped': 1.0} if nonfinite == 'skip' else {})


def test_scale_is_resumed():
    _, step = weighted(grad_scaler(FP16, CPU))
    step.scaled(torch.ones(()))
    step.scaler.update(64.0)
    _, resumed = weighted(grad_scaler(FP16, CPU))
    resumed.load_state_dict(step.state_dict())
    assert resumed.scaler.get_scale() == 64
    resumed.load_state_dict({})
    assert resumed.scaler.get_scale() == 64
    _, plain = weighted()
    assert plain.state_dict() == {}
    plain.load_state_dict(step.state_dict())


@pytest.mark.parametrize('cfg, hint', [
    (dict(amp=dict(dtype='half')), "'bfloat16' or 'float16'"), (dict(amp=dict(dtyp='float16')), 'dtype'),
    (dict(amp=dict(dtype='bfloat16', init_scale=2.0)), 'amp.dtype=float16'),
    (dict(amp=dict(dtype='float16', init_scale='big')), 'number'),
    (dict(amp=dict(dtype='float16'), fp16={}), 'leave fp16 out'),
    (dict(fp16=dict(scale=2)), 'loss_scale'), (dict(compile='yes'), 'expected True'),
    (dict(compile=dict(bakend='eager')), 'backend'),
    (dict(optimizer_config=dict(type='GradientCumulativeFp16OptimizerHook')), 'update'),
    (dict(optimizer_config=dict(cumulative_iter=2)), 'cumulative_iters')])
def test_mistakes_in_the_keys(cfg, hint):
    with pytest.raises(UserError, match=hint):
        check_settings(dict(data={}, lr_config=dict(policy='poly'), **cfg))


def test_fp16_of_mmcv():
    assert amp_settings(dict(fp16=dict(loss_scale=512.0))) == dict(dtype='float16', init_scale=512.0)
    assert amp_settings(dict(fp16=dict(loss_scale='dynamic'))) == dict(dtype='float16')
    assert amp_settings(dict(fp16=dict(loss_scale=dict(init_scale=8)))) == dict(dtype='float16', init_scale=8)
    assert amp_settings(dict(fp16=None)) is None and compile_settings(dict(compile=False)) is None


def test_tf32_is_a_switch():
    before = torch.backends.cudnn.allow_tf32
    try:
        set_tf32(True)
        assert torch.get_float32_matmul_precision() == 'high' and torch.backends.cudnn.allow_tf32
        set_tf32(False)
        assert torch.get_float32_matmul_precision() == 'highest' and not torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before


# ------------------------------------------------------------- accumulation


def plain_batch(**size) -> dict:
    return {key: value for key, value in batch(0, **{**SIZE, **size}).items() if not key.startswith('target')}


def test_two_parts_have_the_gradient_of_the_whole_batch():
    """Without BatchNorm and DropPath; losses are means over equally many pixels."""
    def trained(parts: int) -> tuple[dict, dict]:
        seed_all(0)
        model = build_segmentor(tiny(drop_path_rate=0.0, norm=False)).train()
        step = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.1), cumulative_iters=parts)
        outputs = model.train_step(plain_batch(), step)
        return outputs, gradients(model)

    (whole, expected), (halves, found) = trained(1), trained(2)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-6)
    assert halves['num_samples'] == whole['num_samples'] == 2
    for name in ('decode.loss_seg', 'decode.acc_seg', 'loss'):
        assert float(halves['log_vars'][name]) == pytest.approx(float(whole['log_vars'][name]), rel=1e-5)


def test_a_step_in_parts_is_one_step_of_the_method():
    """One average of the teacher, one update, one step counted; each part has its passes."""
    model = built()
    passes, updates = [], []
    model.model.register_forward_hook(
        lambda module, args, kwargs, out: passes.append(len(args[0])), with_kwargs=True)
    optimizer = sgd(model)
    optimizer.register_step_post_hook(lambda *args: updates.append(1))
    before = copy.deepcopy(model.model)
    stepped(model, OptimizerStep(optimizer, cumulative_iters=2))
    assert passes == [1, 1, 1, 1] and updates == [1] and model.local_iter == 1
    for one, other in zip(model.ema_model.parameters(), before.parameters()):
        assert torch.equal(one, other)


@pytest.mark.parametrize('uda', [True, False])
def test_gradients_are_exchanged_once_a_step(one_process, uda):
    def exchanges(parts: int) -> list[int]:
        model = built() if uda else build_segmentor(tiny()).train()
        model.distribute(DistributedDataParallel)
        passes, buckets = [0], []

        def count(state: None, bucket):
            buckets.append(passes[0])
            return torch.futures.collect_all([]).then(lambda _: bucket.buffer())

        network = next(iter(model._wrappers.values()))
        network.register_comm_hook(None, count)
        network.register_forward_pre_hook(lambda *args: passes.append(passes.pop() + 1))
        step = OptimizerStep(torch.optim.SGD(network.parameters(), lr=0.0), cumulative_iters=parts)
        model.train_step(batch(0, **SIZE) if uda else plain_batch(), step)
        return sorted(set(buckets))

    last = 2 if uda else 1
    assert exchanges(1) == [last] and exchanges(2) == [2 * last]


def test_batch_that_cannot_be_cut():
    with pytest.raises(UserError, match='cumulative_iters'):
        stepped(built(), OptimizerStep(torch.optim.SGD([nn.Parameter(torch.ones(1))]), cumulative_iters=3))


# -------------------------------------------------------------- compilation


@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize('with_cp, backend', [(False, 'eager'), (True, 'aot_eager')])
def test_compiled_passes_have_no_graph_breaks_and_the_same_gradients(fresh_compiler, monkeypatch, with_cp,
                                                                     backend):
    """``fullgraph`` refuses a break. 'eager' runs what was recorded, with the draws of stochastic depth and
    dropout: equal to the bit. AOTAutograd traces the backward passes too."""
    monkeypatch.setitem(SETTINGS, 'joint_encoder', with_cp)  # one pass of the student, or two
    cfg, options = tiny(with_cp), dict(backend=backend, fullgraph=True)
    cfg['decode_head']['dropout_ratio'] = 0.5
    eager, compiled = built(cfg, **BF16), built(cfg, **BF16, compile=options)
    assert compiled.state_dict().keys() == eager.state_dict().keys()
    expected, found = stepped(eager)['log_vars'], stepped(compiled)['log_vars']
    assert counters['stats']['unique_graphs'] == 4 - with_cp and not counters['graph_break']
    tolerance = 0 if backend == 'eager' else 0.01
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(float(value), rel=tolerance, abs=0), name
    if backend == 'eager':
        assert all(torch.equal(g, gradients(compiled)[name]) for name, g in gradients(eager).items())
    assert direction(gradients(eager), gradients(compiled)) > 0.98


def test_only_a_new_shape_is_compiled_again(fresh_compiler):
    model = build_segmentor(tiny()).train()
    prepare_networks(model, dict(compile=dict(backend='eager', fullgraph=True, dynamic=False)))
    graphs = []
    for size in (32, 32, 64, 64, 32):
        model.train_step(plain_batch(size=size))['loss'].backward()
        graphs.append(counters['stats']['unique_graphs'])
    assert 0 < graphs[0] == graphs[1] < graphs[2] == graphs[3] == graphs[4]


# ------------------------------------------------------------ checkpointing


@pytest.mark.parametrize('precision', [{}, BF16])
def test_recomputed_activations_give_the_same_gradients(precision):
    """Also through DropPath, whose draws are repeated."""
    kept, recomputed = built(tiny(False), **precision), built(tiny(True), **precision)
    calls = []
    recomputed.model.backbone.block4[0].register_forward_pre_hook(lambda *args: calls.append(1))
    expected, found = stepped(kept)['log_vars'], stepped(recomputed)['log_vars']
    assert len(calls) == 4, 'two passes, each with its second computation'
    assert {name: float(value) for name, value in found.items()} == {
        name: float(value) for name, value in expected.items()}
    for name, gradient in gradients(kept).items():
        assert torch.equal(gradients(recomputed)[name], gradient), name


def test_nothing_is_recomputed_without_gradients():
    network = build_segmentor(tiny(True)).eval()
    with torch.inference_mode():
        assert network.encode_decode(torch.randn(1, 3, 64, 64)).shape == (1, 19, 64, 64)
