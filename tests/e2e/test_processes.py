"""Training in two processes (gloo) against training in one, for every option of the method. One pair of
processes goes through all of them: starting processes is what takes time."""
from __future__ import annotations

import warnings
from functools import partial

import pytest
import torch
from torch import nn
from two_processes import both
from uda_models import BALANCE, META, THINGS, network, tiny, uda_model

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.log_buffer import TensorLogBuffer
from mmseg.models.builder import build_train_model
from mmseg.models.uda.parts import mixed_batch
from mmseg.models.uda.parts.strong_augment import StrongAugmentation
from mmseg.utils import UserError, local_seed, set_random_seed
from mmseg.utils.distributed import (
    checksums,
    mean_over_processes,
    parallel,
    refuse_different_parameters,
)

STEPS, SIZE, CELL = 20, 32, 8
CPU = torch.device('cpu')
QUANTILE = dict(BALANCE, target=dict(type='RunningQuantile', quantile=0.6, momentum=0.9))
FEATURES = dict(imnet_feature_dist_lambda=0.01)


def without_norm() -> dict:
    return network(fusion=dict(type='conv', kernel_size=1, act_cfg=dict(type='ReLU'), norm_cfg=None),
                   norm_cfg=None)


# name -> (network, settings of DACS or None for the source alone, clipping)
OPTIONS = {
    'source only': (tiny(), None, None),
    'DACS': (tiny(), {}, None),
    'feature distance': (tiny(), FEATURES, None),
    'entropy balance': (tiny(), dict(entropy_balance=BALANCE), None),
    'mix_losses': (tiny(), dict(mix_losses=[BALANCE, dict(BALANCE, target=1.0, loss_name='second')]), None),
    'print_grad_magnitude': (tiny(), dict(print_grad_magnitude=True, **FEATURES), None),
    'auxiliary head': (tiny(auxiliary=True), dict(entropy_balance=BALANCE), None),
    'grad_clip': (tiny(), {}, dict(max_norm=0.01)),
    'blur and rows without weight': (tiny(), dict(blur=True, pseudo_weight_ignore_top=4,
                                                  mix_ignore_label=False), None),
    'joint encoder': (tiny(auxiliary=True),
                      dict(joint_encoder=True, entropy_balance=BALANCE, **FEATURES), None),
    'EBDA': (without_norm(), dict(entropy_balance=BALANCE, **FEATURES), None),
}
# a quantile, or a mean over the thing classes, of a batch is no mean of the images'
OWN_MATHEMATICS = {
    'running quantile': (tiny(), dict(entropy_balance=QUANTILE), None),
    'feature distance of things': (tiny(), dict(
        FEATURES, imnet_feature_dist_classes=THINGS, imnet_feature_dist_scale_min_ratio=0.1), None),
    'classes drawn from the batch': (tiny(), dict(mix_per_image=False), None),
    'threshold': (tiny(), dict(pseudo_threshold=0.06), None),
}
ALL = {**OPTIONS, **OWN_MATHEMATICS}


def built(name: str) -> tuple[nn.Module, OptimizerStep]:
    model_cfg, uda, clip = ALL[name]
    set_random_seed(3)
    if uda is None:
        model = build_train_model(dict(model=model_cfg, uda=None))
    else:
        # with threshold 0 the weight of each image is that of the batch, 1
        model = uda_model(model_cfg, **{**dict(pseudo_threshold=0.0, mix_per_image=True, alpha=0.9), **uda})
    network = model.get_model() if uda is not None else model
    return model, OptimizerStep(torch.optim.AdamW(network.parameters(), lr=1e-3), clip)


def images(*numbers: int) -> dict:
    """A batch of these images."""
    found = []
    for number in numbers:
        draw = torch.Generator().manual_seed(number)
        cells = torch.randint(0, 19, (1, 1, SIZE // CELL, SIZE // CELL), generator=draw)
        img, target = torch.randn(2, 1, 3, SIZE, SIZE, generator=draw)
        found.append((img, target, cells.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)))
    img, target, label = (torch.cat(parts) for parts in zip(*found))
    metas = [dict(META, number=number) for number in numbers]
    return dict(img=img, img_metas=metas, gt_semantic_seg=label, target_img=target, target_img_metas=metas)


def for_model(model: nn.Module, batch: dict) -> dict:
    uses_target = hasattr(model, 'ema_model')
    return batch if uses_target else {k: v for k, v in batch.items() if not k.startswith('target')}


def draw_by_image_in(setattr_) -> None:
    """ClassMix and the strong augmentation of an image depend on the image, not on the process or its place
    in the batch, once ``setattr_`` has put them on."""
    draw, augment = mixed_batch.draw_class_masks, StrongAugmentation.__call__

    def draw_by_image(label, *args):
        masks = []
        for y in label.split(1):
            with local_seed(int(y.sum())):
                masks.append(draw(y, *args))
        return torch.cat(masks)

    def augment_by_image(self, imgs, metas):
        done = []
        for img, meta in zip(imgs.split(1), metas):
            with local_seed(meta['number']):
                done.append(augment(self, img, [meta]))
        return torch.cat(done)

    setattr_(mixed_batch, 'draw_class_masks', draw_by_image)
    setattr_(StrongAugmentation, '__call__', augment_by_image)


def one_step(model: nn.Module, step: OptimizerStep, batch: dict, seed: int) -> dict:
    set_random_seed(seed)
    return model.train_step(for_model(model, batch), step)['log_vars']


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


# ------------------------------------------------------------------- one step

def gradients_of_one_image(rank: int) -> dict:
    draw_by_image_in(setattr)
    found = {}
    for name in OPTIONS:
        model, step = built(name)
        model.distribute(partial(parallel, device=CPU))
        logged = one_step(model, step, images(rank), seed=5)
        found[name] = gradients(model), {k: float(v) for k, v in logged.items()}
    return found


def test_two_processes_of_one_image_are_one_process_of_two(monkeypatch, tmp_path):
    shared = both(tmp_path, gradients_of_one_image)
    draw_by_image_in(monkeypatch.setattr)
    for name in OPTIONS:
        model, step = built(name)
        logged = one_step(model, step, images(0, 1), seed=5)
        alone = gradients(model)
        # of attention to a single position is nothing but noise left
        largest = max(float(grad.abs().max()) for grad in alone.values())
        for key, grad in alone.items():
            assert torch.equal(shared[0][name][0][key], shared[1][name][0][key]), (name, key)
            atol = 1e-5 * float(grad.abs().max()) + 1e-8 * largest
            torch.testing.assert_close(shared[0][name][0][key], grad, rtol=1e-5, atol=atol,
                                       msg=lambda text: f'{name}, {key}: {text}')  # noqa: B023
        # the logged losses of both processes average to those of the batch
        means = {key: (shared[0][name][1][key] + shared[1][name][1][key]) / 2 for key in logged}
        for key in ('decode.loss_seg', 'mix.decode.loss_seg', 'mix.entropy', 'src.loss_imnet_feat_dist'):
            if key in logged:
                assert means[key] == pytest.approx(float(logged[key]), rel=1e-4), (name, key)


# ------------------------------------------------------------------- twenty steps

def after_many_steps(rank: int) -> dict:
    found = {}
    for name in ALL:
        model, step = built(name)
        with warnings.catch_warnings():
            warnings.simplefilter('error', FutureWarning)
            model.distribute(partial(parallel, device=CPU))
        seeds = [100 * rank + k for k in range(STEPS)]  # as the runner's: each rank draws for itself
        logs = [one_step(model, step, images(1000 * rank + k), seed) for k, seed in enumerate(seeds)]
        quantiles = [m.value for m in model.modules() if type(m).__name__ == 'RunningQuantile']
        refuse_different_parameters(model, f'after {STEPS} steps')
        found[name] = model.state_dict(), float(logs[-1]['decode.loss_seg']), quantiles
    return found


def test_student_and_teacher_are_the_same_in_both_processes_after_many_steps(tmp_path):
    ends = both(tmp_path, after_many_steps)
    for name in ALL:
        (first, loss, quantiles), (second, other_loss, other_quantiles) = ends[0][name], ends[1][name]
        assert loss != other_loss, f'{name}: each process has images and draws of its own'
        assert all(torch.equal(first[key], second[key]) for key in first), name
        start = built(name)[0].state_dict()
        assert not any(torch.equal(first[key], start[key]) for key in first
                       if key.endswith('decode_head.conv_seg.weight') and 'imnet' not in key), name
        assert all(torch.equal(*pair) for pair in zip(quantiles, other_quantiles)), name
    assert len(ends[0]['running quantile'][2]) == 1


# ------------------------------------------------------------------- what processes tell each other

def exchange(rank: int) -> dict:
    buffer = TensorLogBuffer()
    for value in (1.0, 3.0):
        buffer.update(dict(loss=torch.tensor(value + 10 * rank), time=float(rank)))
    buffer.average(2)
    log = dict(buffer.output)
    buffer.clear()
    buffer.average(2)  # nothing since: no values, but both processes still take part
    told = ''
    model, _ = built('DACS')
    refuse_different_parameters(model, 'at the start')
    if rank == 1:
        with torch.no_grad():
            model.ema_model.backbone.second.weight[0, 0, 0, 0] *= 1 + 1e-6
    try:
        refuse_different_parameters(model, 'after step 7')
    except UserError as error:
        told = str(error)
    return dict(log=log, told=told, some=mean_over_processes({f'only {rank}': 2.0, 'both': rank}))


def test_logged_values_are_means_and_a_differing_teacher_is_told(tmp_path):
    for found in both(tmp_path, exchange):
        assert found['log'] == dict(loss=7.0, time=0.5)
        assert found['some'] == {'only 0': 2.0, 'only 1': 2.0, 'both': 0.5}
        assert found['told'].startswith('after step 7 the processes 0 and 1 do not have the same parameters')
        assert "the first is 'ema_model.backbone.second.weight'" in found['told']


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_checksums_see_the_last_bit(dtype):
    layer = nn.Conv2d(3, 4, 3).to(dtype)
    before = checksums(layer)
    assert torch.equal(before, checksums(layer)) and before.shape == (2,)
    with torch.no_grad():
        layer.bias[2] = torch.nextafter(layer.bias[2].float(), torch.tensor(9.0)) \
            if dtype == torch.float32 else layer.bias[2] * (1 + 2 * torch.finfo(dtype).eps)
    assert (checksums(layer) != before).tolist() == [False, True]
