"""What the key ``compile`` makes of a step: which functions are one graph, that later steps compile nothing
anew, and that the numbers stay. The backend runs a graph as it was recorded, so they are equal to the bit."""
from __future__ import annotations

import pytest
import torch
from hrda import hrda
from test_precision import CPU, stepped
from torch._dynamo.utils import counters
from uda_models import BALANCE, THINGS, batch, seed_all, sgd, uda_model
from uda_models import tiny as convolutions

from mmseg.core.graphs import Graphs
from mmseg.core.method import Method, Pass, Terms
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.evaluation import evaluating
from mmseg.engine.precision import prepare_networks
from mmseg.models.builder import build_segmentor
from mmseg.models.uda.parts.strong_augment import JITTERS
from mmseg.utils.distributed import parallel

QUANTILE = dict(BALANCE, target=dict(type='RunningQuantile', quantile=0.6, momentum=0.9))
MEDIAN = dict(BALANCE, target=dict(type='SourceMedian', momentum=0.9))
DISTANCE = dict(imnet_feature_dist_lambda=0.05, imnet_feature_dist_classes=THINGS,
                imnet_feature_dist_scale_min_ratio=0.75)
SMALL = dict(size=32, cell=8)


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


class Recorder:
    """A backend that runs each graph as it is, and counts what it runs."""

    def __init__(self):
        self.compiled = 0
        self.ran: list[int] = []

    def __call__(self, module, inputs):
        number, self.compiled = self.compiled, self.compiled + 1

        def run(*args):
            self.ran.append(number)
            return module(*args)
        return run


def small(**uda) -> Method:
    """EBDA on two convolutions, whose teacher, student and encoder of ImageNet are compiled in no time."""
    seed_all(0)
    return uda_model(convolutions(), **{**DISTANCE, 'entropy_balance': BALANCE, **uda}).train()


def run(model: Method, steps: int = 3, compiled: bool = True) -> tuple[list[dict], Recorder, list[list[int]]]:
    """The log values of steps, the backend, and the graphs that each step ran."""
    recorder, logs, ran = Recorder(), [], []
    if compiled:
        prepare_networks(model, dict(compile=dict(backend=recorder, fullgraph=True)))
    optimizer = sgd(model)
    for step in range(steps):
        seed_all(step)
        model.logged_now = step == 1
        logs.append(model.train_step(batch(step, **SMALL), optimizer)['log_vars'])
        ran.append(recorder.ran[:])
        recorder.ran.clear()
    return logs, recorder, ran


def state_of(model: Method) -> dict[str, torch.Tensor]:
    return {**model.state_dict(), **model.training_state().get('mix_losses', {})}


def assert_same(expected: Method, found: Method) -> None:
    """To the bit."""
    other = state_of(found)
    assert [name for name, value in state_of(expected).items()
            if not torch.equal(value.nan_to_num(), other[name].nan_to_num())] == []


@pytest.mark.parametrize('settings, graphs, runs', [
    (dict(masked=dict(block_size=8)), 5, 5),  # source, encoder of ImageNet, teacher, mixed, masked
    (dict(masked=dict(block_size=8, alpha=0.9), entropy_balance=QUANTILE), 5, 6),  # teachers have one graph
    (dict(joint_encoder=True, entropy_balance=MEDIAN), 3, 3),
    (dict(source_only=True, entropy_balance=None), 2, 2)])
def test_the_graphs_of_a_step(settings, graphs, runs):
    """``fullgraph`` refuses a break. Pictures and quantiles, in the first and second step, make no other."""
    plain, compiled = (small(**settings, debug_img_interval=2) for _ in range(2))
    expected, _, _ = run(plain, compiled=False)
    found, recorder, ran = run(compiled)
    assert recorder.compiled == graphs
    assert [len(one) for one in ran] == [runs] * 3
    assert found == expected
    assert_same(plain, compiled)


def test_a_jitter_is_four_graphs_in_any_order():
    """Each image of each step draws an order of its own."""
    settings = dict(color_jitter_probability=0.0, color_jitter_strength=0.3)
    expected, _, _ = run(small(**settings), 4, False)
    found, recorder, ran = run(small(**settings), 4)
    assert found == expected
    assert recorder.compiled == 4 + len(JITTERS)
    assert [len(one) for one in ran] == [4 + 2 * len(JITTERS)] * 4
    jitters = [number for number in range(recorder.compiled) if ran[0].count(number) == 2]
    orders = {tuple(number for number in one if number in jitters) for one in ran}
    assert len(orders) > 1


def test_functions_of_varying_order_replay_no_cuda_graphs(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, 'compile', lambda function, **options: asked.append(options) or function)
    for options in (dict(mode='reduce-overhead', dynamic=False), dict(options={'triton.cudagraphs': True})):
        graphs = Graphs(options)
        graphs.of_varying_order(sorted)
        graphs.of(len)
        assert asked[-2:] == [{k: v for k, v in options.items() if k == 'dynamic'}, options]
    assert graphs.of(len) is len and len(asked) == 4, 'each is compiled once'


def test_logged_values_are_none_of_a_graph_that_is_replayed():
    """They are kept until a line of the log is written, and a replay overwrites what it returned."""
    layer = torch.nn.Linear(2, 1)
    memory = torch.zeros(())

    class Replayed(Method):
        def networks(self):
            return dict(model=layer)

        def trainable(self):
            return dict(optimizer=('model',))

        def passes(self, batch):
            memory.copy_(batch['img'].sum())
            return [Pass(lambda: Terms({'loss': layer(batch['img']).mean()}, {'seen': memory}), ('model',))]

    method, step = Replayed(), OptimizerStep(torch.optim.SGD(layer.parameters(), lr=0.1))
    method.replays_graphs = True
    logs = [step.make(method, dict(img=torch.full((1, 2), float(n))))['log_vars'] for n in range(2)]
    assert [float(log['seen']) for log in logs] == [0, 2]


def test_the_source_alone_is_one_graph():
    def trained(options: dict | None) -> tuple[list, Recorder]:
        seed_all(0)
        recorder = Recorder()
        model = build_segmentor(convolutions(auxiliary=True)).train()
        prepare_networks(model, dict(compile=options and dict(options, backend=recorder)))
        step = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.1))
        data = {key: value for key, value in batch(0, **SMALL).items() if not key.startswith('target')}
        return [model.train_step(data, step)['log_vars'] for _ in range(2)], recorder

    (expected, _), (found, recorder) = trained(None), trained(dict(fullgraph=True))
    assert found == expected and recorder.ran == [0, 0]


def test_networks_alone_are_compiled_where_a_pass_is_no_graph(one_process):
    """HRDA's crops are numpy's; a parallel wrapper has work of its own. Their steps run all the same."""
    hrda_of = [uda_model(hrda(16, convolutions(), output_stride=4), **DISTANCE).train() for _ in range(2)]
    hrda_of[1].load_state_dict(hrda_of[0].state_dict())
    wrapped = [small() for _ in range(2)]
    wrapped[1].distribute(lambda network: parallel(network, CPU))
    for plain, compiled in (hrda_of, wrapped):
        expected, _, _ = run(plain, 2, False)
        found, recorder, ran = run(compiled, 2)
        assert found == expected
        assert len(ran[0]) == len(ran[1]) > 4 and recorder.compiled == len({*ran[0]})


def test_an_evaluation_between_steps_runs_no_graph_and_makes_none():
    model = small()
    _, recorder, _ = run(model, 1)
    compiled = recorder.compiled
    with evaluating(model):
        model.encode_decode(torch.randn(1, 3, 64, 32))
    assert recorder.ran == []
    seed_all(1)
    model.train_step(batch(1, **SMALL), sgd(model))
    assert len(recorder.ran) == 4 and recorder.compiled == compiled


def test_a_loss_that_looks_at_values_is_a_break_and_no_end():
    class Looking(torch.nn.Module):
        loss_name, loss_weight = 'looking', 1.0

        def forward(self, logits):
            return logits.square().mean() * (2 if float(logits.detach().mean()) > 0 else 1)

    models = []
    for _ in range(2):
        models.append(small())
        models[-1].mix_losses.append(Looking())
    prepare_networks(models[1], dict(compile=dict(backend='eager')))
    plain, found = (stepped(model, **SMALL)['log_vars'] for model in models)
    assert plain == found and counters['graph_break']
