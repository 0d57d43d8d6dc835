"""What is there for GPUs, as far as a CPU can tell: equal numbers, refusals, and what is called."""
from __future__ import annotations

import copy
import logging
import os
from types import SimpleNamespace

import pytest
import torch
from test_precision import CPU, FP16, batch, built, stepped, tiny
from torch import nn
from torch._dynamo.utils import counters
from uda_models import network

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.datasets.loading.prefetch import on_device_ahead
from mmseg.engine.determinism import determinism_guard
from mmseg.engine.evaluation import evaluating
from mmseg.engine.hooks import DataLimitHook
from mmseg.engine.optimizer import build_optimizer
from mmseg.engine.precision import grad_scaler, prepare_networks
from mmseg.models.builder import build_segmentor
from mmseg.models.utils.aspp import ASPPWrapper
from mmseg.utils import ConfigError, UserError, set_random_seed
from mmseg.utils.config_check import check_config
from mmseg.utils.distributed import parallel

ASPP = dict(sep=True, dilations=(1, 2), pool=True, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'),
            align_corners=False)


# ------------------------------------------------------------------- memory

def test_a_recomputed_aspp_has_the_same_gradients_and_statistics():
    torch.manual_seed(0)
    kept = ASPPWrapper(8, 4, **ASPP)
    recomputed = ASPPWrapper(8, 4, **ASPP, with_cp=True)
    recomputed.load_state_dict(kept.state_dict())

    def trained(module: nn.Module) -> tuple[int, list[torch.Tensor]]:
        """How many numbers are saved, and what they give."""
        sizes: list[int] = []
        x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(1), requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            out = module(x)
        out.square().sum().backward()
        return sum(sizes), [x.grad, *(p.grad for p in module.parameters()), *module.buffers()]

    (saved, expected), (left, found) = trained(kept), trained(recomputed)
    assert left < saved / 10
    assert all(torch.equal(a, b) for a, b in zip(expected, found))
    norms = [norm for norm in recomputed.modules() if isinstance(norm, nn.BatchNorm2d)]
    assert norms and all(norm.num_batches_tracked == 1 for norm in norms)


def test_the_key_of_a_recomputed_aspp():
    fusion = dict(type='aspp', **{k: v for k, v in ASPP.items() if k != 'align_corners'}, with_cp=True)
    assert build_segmentor(network(fusion=fusion)).decode_head.fuse_layer.recomputed


# ---------------------------------------------------------------- float16

class NoWaiting(torch.amp.GradScaler):
    def _maybe_opt_step(self, *args, **kwargs):
        raise AssertionError('the scaler fetched whether a gradient is infinite')


@pytest.mark.parametrize('kind', ['AdamW', 'SGD'])
def test_a_fused_optimiser_leaves_out_an_update_itself(kind):
    layer = nn.Linear(2, 1)
    step = OptimizerStep(build_optimizer(layer, dict(type=kind, lr=0.1)),
                         scaler=NoWaiting('cpu', init_scale=256.0))
    before = copy.deepcopy(layer.state_dict())
    for value, changes in ((float('inf'), False), (1.0, True)):
        step.begin()
        step.backward(layer(torch.full((1, 2), value)).sum())
        step.finish()
        same = all(torch.equal(p, before[name]) for name, p in layer.state_dict().items())
        assert same != changes
    assert step.scaler.get_scale() == 128


def test_another_optimiser_is_still_asked():
    optimizer = build_optimizer(nn.Linear(2, 1), dict(type='Adadelta', lr=0.1))
    assert not getattr(optimizer, '_step_supports_amp_scaling', False)
    assert grad_scaler(FP16, CPU) is not None


# ------------------------------------------------------------- compilation

@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize('options', [dict(mode='reduce-overhead'), dict(mode='max-autotune'),
                                     dict(options={'triton.cudagraphs': True})])
def test_replayed_graphs_and_two_backward_passes(options):
    model = built(compile=options)
    with pytest.raises(ConfigError, match='this step has 2: take compile=True') as caught:
        stepped(model)
    assert '\n' not in str(caught.value)


def test_replayed_graphs_and_accumulation(monkeypatch):
    model = build_segmentor(tiny()).train()
    model.replays_graphs = True
    marked = []
    monkeypatch.setattr(torch.compiler, 'cudagraph_mark_step_begin', lambda: marked.append(1))
    data = {key: value for key, value in batch(0, size=32, cell=8).items() if not key.startswith('target')}
    model.train_step(data, OptimizerStep(sgd_of(model)))
    assert marked == [1]
    with pytest.raises(ConfigError, match='cumulative_iters'):
        model.train_step(data, OptimizerStep(sgd_of(model), cumulative_iters=2))


def sgd_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1)


def test_an_evaluation_compiles_nothing(fresh_compiler):
    model = build_segmentor(tiny()).train()
    prepare_networks(model, dict(compile=dict(backend='eager', dynamic=False)))
    img = torch.randn(1, 3, 32, 32)
    with evaluating(model):
        model.encode_decode(img)
    assert counters['stats']['unique_graphs'] == 0
    model.encode_decode(img)
    assert counters['stats']['unique_graphs'] > 0


# ------------------------------------------------------------- determinism

@pytest.fixture
def flags_restored(monkeypatch):
    monkeypatch.delenv('CUBLAS_WORKSPACE_CONFIG', raising=False)
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
    filled = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(before[0])
    torch.backends.cudnn.deterministic = before[1]
    torch.utils.deterministic.fill_uninitialized_memory = filled


def test_deterministic_asks_torch_and_cublas(flags_restored):
    set_random_seed(0)
    assert not torch.are_deterministic_algorithms_enabled()
    set_random_seed(0, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ['CUBLAS_WORKSPACE_CONFIG'] == ':4096:8'


def test_a_deterministic_step_runs_on_a_cpu(flags_restored):
    set_random_seed(0, deterministic=True)
    first, second = (stepped(built())['log_vars'] for _ in range(2))
    assert {name: float(value) for name, value in first.items()} == {
        name: float(value) for name, value in second.items()}


def test_an_operation_that_refuses_is_told_in_one_line():
    with pytest.raises(UserError, match='--deterministic: .* cannot give the same bits') as caught, \
            determinism_guard():
        raise RuntimeError("nll_loss2d_forward does not have a deterministic implementation, but you set "
                           "'torch.use_deterministic_algorithms(True)'.\nYou can turn off determinism")
    assert '\n' not in str(caught.value) and 'nll_loss2d_forward' in str(caught.value)
    with pytest.raises(RuntimeError, match='another'), determinism_guard():
        raise RuntimeError('another')


# --------------------------------------------------------------------- data

def test_on_a_cpu_batches_are_as_they_come():
    batches = [object(), object()]
    assert list(on_device_ahead(batches, CPU)) == batches


def test_on_a_gpu_a_batch_is_copied_before_the_one_before_it_is_used(monkeypatch):
    events = []

    class Stream:
        def __init__(self, device=None):
            self.name = 'side'

        def wait_stream(self, other):
            events.append(f'wait for {other.name}')

    class Tensor(torch.Tensor):
        def to(self, device, non_blocking=False):
            events.append(f'copy {int(self[0])}')
            assert non_blocking
            return self

        def record_stream(self, stream):
            events.append(f'record {int(self[0])}')

    class On:
        def __init__(self, stream):
            pass

        __enter__ = __exit__ = lambda *args: None

    monkeypatch.setattr(torch.cuda, 'Stream', Stream)
    monkeypatch.setattr(torch.cuda, 'stream', On)
    monkeypatch.setattr(torch.cuda, 'current_stream', Stream)
    batches = [dict(img=torch.tensor([n]).as_subclass(Tensor), metas=['m']) for n in range(2)]
    for batch_ in on_device_ahead(batches, torch.device('cuda')):
        events.append(f'step {int(batch_["img"][0])}')
    assert events == ['copy 0', 'copy 1', 'wait for side', 'record 0', 'step 0',
                      'wait for side', 'record 1', 'step 1']


@pytest.mark.parametrize('waiting, told', [(0.5, 1), (0.1, 0)])
def test_a_training_that_waits_for_data_says_so_once(waiting, told, caplog):
    hook, history = DataLimitHook(2), dict(data_time=[9.0], time=[9.0])
    runner = SimpleNamespace(rank=0, logger=logging.getLogger('limit'),
                             log_buffer=SimpleNamespace(val_history=history))
    for number in range(12):
        if number > 1:
            history['data_time'].append(waiting)
            history['time'].append(1.0)
        hook.after_train_iter(runner)
    lines = [record.message for record in caplog.records]
    assert len(lines) == told
    assert all('data is the limit: 50 %' in line and 'workers_per_gpu' in line for line in lines)


# ---------------------------------------------------------------- processes

def test_compressed_gradients_are_rounded_on_their_way(one_process):
    layer = nn.Linear(2, 1, bias=False)
    plain, compressed = copy.deepcopy(layer), copy.deepcopy(layer)
    x = torch.tensor([[1.0 + 2 ** -12, 3.0]])
    for one, compression in ((plain, None), (compressed, 'bfloat16')):
        wrapped = parallel(one, CPU, compression)  # which has to live until the backward pass
        wrapped(x).sum().backward()
    assert plain.weight.grad.tolist() == x.tolist()
    assert compressed.weight.grad.tolist() == [[1.0, 3.0]]


def test_a_compression_that_is_none():
    with pytest.raises(ConfigError, match="ddp_compression is 'half', expected 'bfloat16'"):
        check_config(dict(ddp_compression='half'))
