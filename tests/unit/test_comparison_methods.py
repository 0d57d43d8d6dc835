"""Whole training steps of the compared methods against golden values of their authors' loops."""
from __future__ import annotations

import golden
import pytest
import torch
from method_recipe import CLASSES, ToyMulti, assert_agree, logits, low, sample
from torch import Tensor, nn
from uda_models import META

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.optimizer import build_optimizers
from mmseg.models.builder import BACKBONES, HEADS, build_train_model
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.uda.parts.fourier import fourier_transfer
from mmseg.utils import ConfigError

H, W = 96, 128
ADVENT, FDA, BDL = 1000, 2000, 3000
SGD = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4, paramwise_cfg=dict(custom_keys=dict(
    decode_head=dict(lr_mult=10), auxiliary_head=dict(lr_mult=10))))
ADAM = dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))
WEIGHTS = dict(decode=0.5, aux=0.25)


@BACKBONES.register_module()
class OneConvolution(nn.Module):
    """Features of 8 channels at 1/8."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=8, padding=1)

    def forward(self, img: Tensor) -> list[Tensor]:
        return [self.body(img)]


@BACKBONES.register_module()
class KeptLogits(nn.Module):
    """Gives leaves in turn, whatever the image: what reaches them are the gradients of a step's logits."""

    def __init__(self):
        super().__init__()
        self.leaves: list[nn.Parameter] = []
        self.given = 0

    def forward(self, img: Tensor) -> list[Tensor]:
        self.given += 1
        return [self.leaves[(self.given - 1) % len(self.leaves)]]


@HEADS.register_module()
class Classifier(BaseDecodeHead):
    def forward(self, inputs):
        return self.cls_seg(inputs[0]) if self.in_channels == 8 else inputs[0]


def toy(uda: dict, backbone: str = 'OneConvolution', auxiliary: bool = True) -> nn.Module:
    channels = 8 if backbone == 'OneConvolution' else CLASSES
    loss = dict(type='CrossEntropyLoss', avg_non_ignore=True)
    head = dict(type='Classifier', in_channels=channels, in_index=0, channels=channels, dropout_ratio=0,
                num_classes=CLASSES, align_corners=True, loss_decode=loss)
    model = dict(type='EncoderDecoder', backbone=dict(type=backbone), decode_head=head,
                 test_cfg=dict(mode='whole'))
    if auxiliary:
        model['auxiliary_head'] = dict(head, loss_decode=dict(loss, loss_weight=0.1))
    return build_train_model(dict(model=model, uda=uda, runner=dict(max_iters=10))).train()


def toy_of_the_authors(uda: dict) -> nn.Module:
    """With the weights of their ToyMulti."""
    method, theirs = toy(uda), ToyMulti()
    network = method.get_model()
    network.backbone.body.load_state_dict(theirs.body.state_dict())
    network.auxiliary_head.conv_seg.load_state_dict(theirs.layer5.state_dict())
    network.decode_head.conv_seg.load_state_dict(theirs.layer6.state_dict())
    for name, net in method.networks().items():
        if name != 'student':
            golden.fill(net, prefix={'d_decode': 'd_main.', 'd_aux': 'd_aux.'}[name])
    return method


def advent_batch(k: int) -> dict:
    return dict(img=golden.image(ADVENT + 200 + k, 2, 64, 96),
                gt_semantic_seg=golden.label(ADVENT + 210 + k, 2, 64, 96), img_metas=[META] * 2,
                target_img=golden.image(ADVENT + 220 + k, 2, 64, 128), target_img_metas=[META] * 2)


def poly(step: OptimizerStep, k: int) -> None:
    for optimizer in step.optimizers.values():
        for group in optimizer.param_groups:
            group['lr'] = group.setdefault('initial_lr', group['lr']) * (1 - k / 10) ** 0.9


NAMES = {'body': 'backbone.body', 'layer5': 'auxiliary_head.conv_seg', 'layer6': 'decode_head.conv_seg'}


def assert_trained_as(method: nn.Module, expected: dict, prefix: str) -> None:
    """The first 64 values of each weight after the steps."""
    state = method.get_model().state_dict()
    for name, net in method.networks().items():
        if name != 'student':
            short = {'d_decode': 'd_main', 'd_aux': 'd_aux'}[name]
            state.update({f'{short}.{key}': value for key, value in net.state_dict().items()})
    keys = [key for key in expected if key.startswith(f'{prefix}/after/')]
    assert keys
    for key in keys:
        module, _, rest = key.rsplit('/', 1)[1].partition('.')
        value = state[f'{NAMES[module]}.{rest}' if module in NAMES else f'{module}.{rest}']
        assert_agree(value.flatten()[:64], expected[key], 1e-3)


def test_three_steps_of_advent():
    expected = golden.load('golden_advent.npz')
    method = toy_of_the_authors(dict(type='ADVENT', weights=WEIGHTS))
    step = OptimizerStep(build_optimizers(method, dict(student=SGD, discriminator=ADAM)))
    for k in range(3):
        poly(step, k)
        log = method.train_step(advent_batch(k), step)['log_vars']
        for ours, theirs, factor in (
                ('decode.loss_seg', 'loss_seg_src_main', 1), ('aux.raw_loss_seg', 'loss_seg_src_aux', 1),
                ('trg.decode.adversarial', 'loss_adv_trg_main', 0.5),
                ('trg.aux.adversarial', 'loss_adv_trg_aux', 0.25), ('d.decode.target', 'loss_d_main', 1),
                ('d.aux.target', 'loss_d_aux', 1)):
            assert_agree(log[ours] / factor, expected[f'train_advent/step{k}/{theirs}'], 1e-3)
    assert_trained_as(method, expected, 'train_advent')


def test_three_steps_of_minent():
    expected = golden.load('golden_advent.npz')
    method = toy_of_the_authors(dict(type='MinEnt', weights=WEIGHTS))
    step = OptimizerStep(build_optimizers(method, SGD))
    for k in range(3):
        poly(step, k)
        log = method.train_step(advent_batch(k), step)['log_vars']
        for ours, theirs in (
                ('decode.loss_seg', 'loss_seg_src_main'), ('aux.raw_loss_seg', 'loss_seg_src_aux'),
                ('trg.decode.raw_minent', 'loss_ent_main'), ('trg.aux.raw_minent', 'loss_ent_aux')):
            assert_agree(log[ours], expected[f'train_minent/step{k}/{theirs}'], 1e-3)
    assert_trained_as(method, expected, 'train_minent')


# ---------------------------------------------------------------------- steps on given logits

def losses_of(method: nn.Module, leaves: list[Tensor], batch: dict) -> tuple[dict, list[Tensor]]:
    """The log values of a step, with 'total', the sum of the student's losses, and the gradients of the
    logits (source, target)."""
    method.get_model().backbone.leaves = [nn.Parameter(leaf.detach()) for leaf in leaves]
    log = dict(total=torch.zeros(()))
    for one in method.passes(batch):
        with method.during(one, one.trains):
            terms = one.compute()
            terms.total().backward()
        log.update(terms.logged())
        if one.trains == ('student',):
            log['total'] += terms.total().detach()
    return log, [leaf.grad for leaf in method.get_model().backbone.leaves]


def images(count: int) -> dict:
    return dict(img=golden.image(1, count, H, W), target_img=golden.image(2, count, H, W),
                img_metas=[META] * count, target_img_metas=[META] * count)


@pytest.mark.parametrize('round_, with_labels', [('step', False), ('step_ssl', True)])
def test_a_step_of_fda(round_, with_labels):
    expected = golden.load('golden_fda.npz')
    method = toy(dict(type='FDA'), 'KeptLogits', auxiliary=False)
    batch = dict(images(1), gt_semantic_seg=golden.label(FDA + 51, 1, H, W, cell=8))
    if with_labels:
        batch['target_pseudo_semantic_seg'] = golden.label(FDA + 52, 1, H, W, cell=8)
    leaves = [logits(FDA + seed, 1, low(H), low(W)) for seed in (60, 70)]
    log, (source, target) = losses_of(method, leaves, batch)
    assert_agree(log['total'], expected[f'{round_}/total'])
    assert_agree(log['trg.raw_charbonnier'], expected['step/ent_trg'])
    if with_labels:  # of the other round the golden values have no gradients
        assert_agree(sample(source, 7), expected['step_ssl/grad_src'], 1e-3)
        assert_agree(sample(target, 7), expected['step_ssl/grad_trg'], 1e-3)


@pytest.mark.parametrize('round_, with_labels', [('step', False), ('step_ssl', True)])
def test_a_step_of_bdl(round_, with_labels):
    expected = golden.load('golden_bdl.npz')
    method = toy(dict(type='BDL'), 'KeptLogits', auxiliary=False)
    golden.fill(method.discriminator)
    batch = dict(images(2), gt_semantic_seg=golden.label(BDL + 40, 2, H, W, cell=8))
    if with_labels:
        batch['target_pseudo_semantic_seg'] = golden.label(BDL + 41, 2, H, W, cell=8)
    leaves = [logits(BDL + seed, 2, low(H), low(W)) for seed in (0, 10)]
    log, (source, target) = losses_of(method, leaves, batch)
    assert_agree(log['total'], expected[f'{round_}/total'])
    for domain, short in (('source', 'src'), ('target', 'trg')):
        assert_agree(log[f'd.{domain}'], expected[f'discriminator/loss_{short}'])
    if with_labels:
        assert_agree(sample(source, 7), expected['step_ssl/grad_src'], 1e-3)
        assert_agree(sample(target, 7), expected['step_ssl/grad_trg'], 1e-3)


def test_fda_trains_on_restyled_images(monkeypatch):
    """The images that the network sees are the source's with the target's low amplitudes, normalised as they
    were."""
    method = toy(dict(type='FDA', beta=0.05, window='paper'), auxiliary=False)
    batch = dict(images(2), gt_semantic_seg=golden.label(0, 2, H, W))
    seen = []
    method.get_model().register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    method.train_step(batch, OptimizerStep(build_optimizers(method, SGD)))
    mean, std = (torch.tensor(META['img_norm_cfg'][key]).view(1, 3, 1, 1) for key in ('mean', 'std'))
    source, target = (batch[key] * std + mean for key in ('img', 'target_img'))
    expected = (fourier_transfer(source, target, 0.05, 'paper') - mean) / std
    torch.testing.assert_close(seen[0], expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(seen[1], batch['target_img'])


@pytest.mark.parametrize('method', ['ADVENT', 'MinEnt'])
def test_an_output_that_the_network_lacks_has_no_weight(method):
    assert list(getattr(toy(dict(type=method), auxiliary=False), 'weights', dict(decode=1))) == ['decode']
    with pytest.raises(ConfigError, match='the outputs decode'):
        toy(dict(type=method, weights=dict(aux=1.0)), auxiliary=False)
