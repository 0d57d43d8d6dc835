"""What every training method keeps, from the source alone to a method of a user with a second optimiser and a
third domain. A registered method is covered by an entry in ``METHODS``; one without an entry is told."""
from __future__ import annotations

import copy
import logging
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import toy_method  # noqa: F401  registers ToyAdversarial
from torch import nn
from two_processes import both
from uda_models import BALANCE, THINGS, batch, seed_all, tiny

from mmseg.core.method import Pass, Terms
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.optimizer import build_optimizers
from mmseg.engine.runner import IterBasedRunner
from mmseg.models.builder import UDA, build_train_model
from mmseg.models.segmentors import EncoderDecoder
from mmseg.utils import CheckpointError, ConfigError, UserError
from mmseg.utils.distributed import parallel

SGD = dict(type='SGD', lr=0.05, momentum=0.9)
ADAM = dict(type='Adam', lr=1e-3, betas=(0.9, 0.99))
TWO = dict(student=SGD, discriminator=ADAM)
FEATURES = dict(imnet_feature_dist_lambda=0.05, imnet_feature_dist_classes=THINGS,
                imnet_feature_dist_scale_min_ratio=0.3)
TRANSLATORS = dict(generator=ADAM, discriminator=ADAM)
RELIT = dict(tiny(), type='RelitEncoderDecoder', relight=dict(channels=4))
HRDA = dict(tiny(), type='HRDAEncoderDecoder', hr_crop_size=(16, 16), feature_scale='all', decode_head=dict(
    tiny()['decode_head'], type='HRDAHead', single_scale_head='FCNHead', output_stride=4, hr_loss_weight=0.1))
WHOLE = dict(mode='separatetrg', block_size=8, pseudo_threshold=None)  # draws nothing for the whole batch
# name → (settings of the method or None for the source alone, its optimisers)
METHODS = {
    'source': (None, SGD),
    'DACS': (dict(type='DACS', blur=False, color_jitter_probability=1.0), SGD),
    'EBDA': (dict(type='DACS', entropy_balance=BALANCE, blur=True, **FEATURES), ADAM),
    'MIC': (dict(type='DACS', masked=dict(block_size=8), blur=True), SGD),
    'MIC, own teacher': (dict(type='DACS', alpha=0.5, masked=dict(
        mode='separate', block_size=8, alpha=0.2, pseudo_threshold=None)), SGD),
    'MIC of the source': (dict(type='DACS', source_only=True, masked=dict(
        mode='separatesrcaug', block_size=8)), SGD),
    'HRDA': (dict(type='DACS', model=HRDA, **FEATURES), SGD),
    'MIC(HRDA)': (dict(type='DACS', model=HRDA, masked=dict(block_size=8)), SGD),
    'MinEnt': (dict(type='MinEnt'), SGD),
    'ADVENT': (dict(type='ADVENT'), TWO),
    'AdvSeg, masked': (dict(type='AdvSeg', masked=WHOLE, discriminator=dict(channels=(8, 8, 8, 8))), TWO),
    'MinEnt(HRDA), masked': (dict(type='MinEnt', model=HRDA, scale=0.5, masked=WHOLE), SGD),
    'BDL': (dict(type='BDL'), TWO),
    'CycleGAN': (dict(type='CycleGAN', blocks=1, channels=4, pool_size=3), TRANSLATORS),
    'FDA': (dict(type='FDA', beta=0.1), SGD),
    # the light loss of the source is of another order than the rest, and so would be what rounding leaves
    'DANNet': (dict(type='DANNet', model=RELIT, light_weights=dict(source=0.01, day=0.01, night=0.01)), TWO),
    'MGCDA': (dict(type='MGCDA'), SGD),
    'ProDAWarmup': (dict(type='ProDAWarmup'), TWO),
    'ProDA': (dict(type='ProDA', prototype_steps=0, momentum=0.1), SGD),
    'ProDA, prototypes': (dict(type='ProDA', prototype_steps=2, momentum=0.1), SGD),
    'ProDADistillation': (dict(type='ProDADistillation', threshold=0.0), SGD),
    'toy': (dict(type='ToyAdversarial'), TWO),
}
every_method = pytest.mark.parametrize('name', METHODS)


def built(name: str, **settings) -> nn.Module:
    uda, _ = METHODS[name]
    seed_all(0)
    uda = uda and {**copy.deepcopy(uda), **settings}
    model = build_train_model(dict(model=tiny(), uda=uda, runner=dict(max_iters=4))).train()
    if hasattr(model, 'prototypes'):  # as if they had been averaged before
        model.prototypes.counts.fill_(1)
        model.prototypes.vectors.normal_()
    if name == 'MGCDA':  # whose target has to have labels
        passes = model.passes
        model.passes = lambda found: passes(
            {**found, 'target_pseudo_semantic_seg': found['gt_semantic_seg'].flip(-1)})
    return model


def data(number: int, images: int = 2) -> dict:
    found = batch(number, size=32, images=images, cell=8)
    return dict(found, reference_img=batch(number + 500, size=32, images=images, cell=8)['img'])


def step_of(name: str, model: nn.Module, **settings) -> OptimizerStep:
    return OptimizerStep(build_optimizers(model, METHODS[name][1]), **settings)


def trained(model: nn.Module) -> dict[str, torch.Tensor]:
    networks = model.networks()
    return {f'{name}.{key}': parameter for names in model.trainable().values() for name in names
            for key, parameter in networks[name].named_parameters() if parameter.requires_grad}


def test_every_registered_method_is_here():
    assert {(uda or {}).get('type') for uda, _ in METHODS.values()} - {None} == set(UDA.module_dict)


@pytest.mark.parametrize('name', [name for name in METHODS if METHODS[name][0]])
def test_a_batch_without_what_the_method_learns_from_is_told(name):
    model = built(name)
    says = {'gt_semantic_seg': 'no labels of the source: its pipeline is to load',
            'target_img': "no images of a target: data.train is to be dict.type='UDADataset'"}
    if name == 'CycleGAN':
        says = {'target_img': 'target_img.* missing'}
    elif name == 'MIC of the source':
        del says['target_img']
    for key, message in says.items():
        found = {name: value for name, value in data(0).items() if name != key}
        with pytest.raises(UserError, match=message):
            model.train_step(found, step_of(name, model))


def test_the_toy_is_small():
    assert len(Path(toy_method.__file__).read_text().splitlines()) < 60


@every_method
def test_each_segmenter_is_one_of_the_networks(name):
    """Which are made to compute in the config's precision, and compiled."""
    model = built(name)
    segmenters = {key for key, module in model.named_modules() if isinstance(module, EncoderDecoder)}
    known = {*model.networks().values()}
    assert {key for key in segmenters if model.get_submodule(key) not in known} == set()


@every_method
def test_a_step_changes_each_trained_parameter_and_names_no_loss_twice(name):
    model = built(name)
    step = step_of(name, model)
    before = {key: value.detach().clone() for key, value in trained(model).items()}
    seed_all(1)
    outputs = model.train_step(data(0), step)
    same = [key for key, value in trained(model).items() if torch.equal(value, before[key])]
    assert same == []
    assert all(torch.isfinite(value).all() for value in outputs['log_vars'].values())
    assert all(value.requires_grad for value in trained(model).values()), 'freezing ends with its pass'
    assert outputs['num_samples'] == 2


@every_method
def test_gradients_reach_the_networks_of_a_pass_alone(name):
    """A step of a single pass leaves the other networks without a gradient."""
    model = built(name)
    for one in model.passes(data(0)):
        model.zero_grad(set_to_none=True)
        seed_all(1)
        with model.during(one, one.trains):
            one.compute().total().backward()
        networks = model.networks()
        reached = {key for key, network in networks.items()
                   if any(p.grad is not None for p in network.parameters())}
        assert reached == set(one.trains)


@every_method
def test_a_resumed_run_is_the_undisturbed_one(name, tmp_path):
    def runner() -> IterBasedRunner:
        model = built(name)
        found = IterBasedRunner(model, build_optimizers(model, METHODS[name][1]), str(tmp_path),
                                logging.getLogger('contract'), 4, torch.device('cpu'), seed=3)
        found.data_loader = SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=2))
        return found

    def train(one: IterBasedRunner, until: int) -> dict[str, torch.Tensor]:
        while one.iter < until:
            one.train(data(one.iter))
        return one.model.state_dict()

    first = runner()
    train(first, 2)
    path = first.save_checkpoint()
    expected = train(first, 4)
    second = runner()
    second.resume(path)
    found = train(second, 4)
    assert [key for key in expected if not torch.equal(expected[key], found[key])] == []
    assert not torch.equal(*(torch.cat([p.flatten() for p in state.values() if p.is_floating_point()])
                             for state in (expected, built(name).state_dict())))


@every_method
def test_two_parts_are_two_steps_gradients_averaged(name):
    """Each part with the random numbers of its own step, so nothing is drawn twice in another order."""
    uda = METHODS[name][0] or {}
    # what is drawn or measured over a whole batch is none of a part's
    per_image = dict(blur=False, color_jitter_probability=1.0, pseudo_threshold=0.0)
    settings = {'DACS': per_image, 'ProDA': dict(momentum=0.0)}.get(uda.get('type'), {})

    def gradients(parts: int, batches: list[dict]) -> list[torch.Tensor]:
        model = built(name, **settings)
        step = step_of(name, model, cumulative_iters=parts)
        step.finish = dict
        total = None
        seed_all(5)
        for each in batches:
            model.local_iter = 0
            model.train_step(each, step)
            grads = [value.grad.clone() for value in trained(model).values()]
            total = grads if total is None else [a + b for a, b in zip(total, grads)]
        return [value / len(batches) for value in total]

    whole = data(0, images=2)
    halves = [{key: value[i:i + 1] for key, value in whole.items()} for i in range(2)]
    for one, other in zip(gradients(2, [whole]), gradients(1, halves)):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def gradients_of_process(rank: int) -> dict:
    found = {}
    for name in METHODS:
        model = built(name)
        model.distribute(partial(parallel, device=torch.device('cpu')))
        step = step_of(name, model)
        step.finish = dict
        seed_all(rank)
        model.train_step(data(10 * rank), step)
        found[name] = {key: value.grad for key, value in trained(model).items()}
    return found


def test_processes_have_the_same_gradients(tmp_path, one_thread):
    first, second = both(tmp_path, gradients_of_process)
    for name in METHODS:
        assert all(torch.equal(first[name][key], second[name][key]) for key in first[name]), name
        alone = built(name)
        step = step_of(name, alone)
        step.finish = dict
        seed_all(0)
        alone.train_step(data(0), step)
        assert any(not torch.equal(p.grad, first[name][key]) for key, p in trained(alone).items()), name


@pytest.mark.parametrize('name', [name for name, (uda, _) in METHODS.items() if uda])
def test_a_setting_that_a_method_does_not_know_is_told(name):
    with pytest.raises(ConfigError, match='alhpa'):
        built(name, alhpa=0.9)


# ------------------------------------------------------------------- several optimisers

def test_each_optimiser_has_the_parameters_of_its_networks():
    model = built('toy')
    optimizers = build_optimizers(model, TWO)
    for name, names in model.trainable().items():
        of_networks = [id(p) for each in names for p in model.networks()[each].parameters()]
        groups = optimizers[name].param_groups
        assert sorted(id(p) for group in groups for p in group['params']) == sorted(of_networks)
    assert isinstance(optimizers['discriminator'], torch.optim.Adam)


@pytest.mark.parametrize('cfg', [SGD, dict(student=SGD), dict(TWO, teacher=SGD)])
def test_optimisers_of_other_names_are_told(cfg):
    with pytest.raises(ConfigError, match='student, discriminator'):
        build_optimizers(built('toy'), cfg)


def test_clipping_is_of_each_optimisers_gradients():
    model = built('toy')
    step = step_of('toy', model, grad_clip=dict(max_norm=1e-3))
    log = model.train_step(data(0), step)['log_vars']
    for name, optimizer in step.optimizers.items():
        grads = torch.cat([p.grad.flatten() for group in optimizer.param_groups for p in group['params']])
        assert float(grads.norm()) <= 1e-3 * 1.001 < float(log[f'grad_norm.{name}'])


def test_a_checkpoint_of_other_optimisers_is_refused(tmp_path):
    def runner(name: str) -> IterBasedRunner:
        model = built('toy')
        optimizers = build_optimizers(model, TWO)
        if name:
            optimizers = {name: optimizers['student'], 'discriminator': optimizers['discriminator']}
        return IterBasedRunner(model, optimizers, str(tmp_path), logging.getLogger('contract'), 4,
                               torch.device('cpu'))

    path = runner('').save_checkpoint()
    runner('').resume(path)
    with pytest.raises(CheckpointError, match='other, discriminator'):
        runner('other').resume(path)


# ------------------------------------------------------------------- terms

def test_a_loss_of_the_same_name_is_not_lost():
    with pytest.raises(ValueError, match='loss_seg'):
        Terms({'loss_seg': torch.ones(())}) + Terms({'loss_seg': torch.ones(())})


def test_scaled_terms_keep_their_metrics():
    found = Terms({'loss': torch.tensor(2.0)}, {'acc': torch.tensor(50.0)}, {'step': 1}).scaled(0.25)
    assert found == Terms({'loss': torch.tensor(0.5)}, {'acc': torch.tensor(50.0)}, {'step': 1})


def test_a_pass_without_a_loss_is_a_mistake_of_the_method():
    model = built('source')
    model.passes = lambda part: [Pass(lambda: Terms(metrics={'acc': torch.ones(())}), ('model',))]
    with pytest.raises(ValueError, match="no loss, only \\['acc'\\]"):
        model.train_step(data(0), step_of('source', model))
