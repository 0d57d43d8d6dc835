"""Whole steps of DANNet against golden values of the authors' loop, and what its network does at test."""
from __future__ import annotations

import golden
import numpy as np
import pytest
import torch
from method_recipe import ToyMulti, assert_agree, sample, up
from torch import Tensor, nn
from uda_models import META, tiny

from mmseg.apis.train import load_initial_weights
from mmseg.checkpoint.weights import load_file, load_segmentor_weights
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.optimizer import build_optimizers
from mmseg.models.builder import BACKBONES, build_loss, build_segmentor, build_train_model
from mmseg.models.uda import dannet as dannet_module
from mmseg.models.uda.parts.day_night_label import day_night_label
from mmseg.models.utils.class_weight import TEST_STD, class_weights, pixel_weights
from mmseg.utils import CheckpointError, ConfigError, DataError

SEED = 5000
OPTIMIZERS = dict(student=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
                  discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
LOGGED = {'decode.loss_seg': ('seg', 1), 'night.raw_static': ('static', 1),
          'day.raw_adversarial': ('adv_day', 1), 'night.raw_adversarial': ('adv_night', 1),
          'd.day.source': ('D1_src', 0.5), 'd.day.day': ('D1_day', 0.5),
          'd.night.source': ('D2_src', 0.5), 'd.night.night': ('D2_night', 0.5)}


@BACKBONES.register_module()
class EighthOfTheSize(nn.Module):
    """ToyMulti's first convolution."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=8, padding=1)

    def forward(self, img: Tensor) -> list[Tensor]:
        return [self.body(img)]


def relit(**settings) -> dict:
    head = dict(type='FCNHead', in_channels=8, in_index=0, channels=8, num_convs=0, concat_input=False,
                dropout_ratio=0, num_classes=19, align_corners=True,
                loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
    return dict(type='RelitEncoderDecoder', backbone=dict(type='EighthOfTheSize'), decode_head=head,
                **settings)


def with_weights_of_the_authors(network: nn.Module) -> nn.Module:
    theirs = ToyMulti()
    network.backbone.body.load_state_dict(theirs.body.state_dict())
    network.decode_head.conv_seg.load_state_dict(theirs.layer6.state_dict())
    golden.fill(network.relight, prefix='light.')
    return network


def dannet(model: dict | None = None, **settings) -> nn.Module:
    uda = dict(type='DANNet', **settings)
    return build_train_model(dict(model=model or relit(), uda=uda, runner=dict(max_iters=2))).train()


def data(k: int) -> dict:
    return dict(img=golden.image(SEED + 50 + k, 2, 64, 64), img_metas=[META] * 2,
                gt_semantic_seg=golden.label(SEED + 60 + k, 2, 64, 64),
                target_img=golden.image(SEED + 70 + k, 2, 64, 64) - 0.5,
                reference_img=golden.image(SEED + 80 + k, 2, 64, 64))


@pytest.fixture(scope='module')
def values():
    return golden.load('golden_dannet.npz')


def test_two_steps_of_the_authors(values, monkeypatch):
    labels = []

    def kept(*args, **settings):
        labels.append(day_night_label(*args, **settings))
        return labels[-1]

    monkeypatch.setattr(dannet_module, 'day_night_label', kept)
    method = dannet(target_size=(96, 96))
    with_weights_of_the_authors(method.model)
    for name, ours in (('D1.', 'day'), ('D2.', 'night')):
        golden.fill(method.discriminators[ours], prefix=name)
    step = OptimizerStep(build_optimizers(method, OPTIMIZERS))
    for k in range(2):
        for optimizer in step.optimizers.values():
            for group in optimizer.param_groups:
                group['lr'] = group.setdefault('initial_lr', group['lr']) * (1 - k / 2) ** 0.9
        log = method.train_step(data(k), step)['log_vars']
        for ours, (theirs, factor) in LOGGED.items():
            assert_agree(log[ours], factor * values[f'step{k}/{theirs}'], 1e-3)
        assert (sample(labels[k], 53) != values[f'step{k}/pseudo_label']).sum() <= 2
        count = torch.bincount(labels[k].flatten(), minlength=256)[[*range(11), 255]]
        assert np.abs(count.numpy() - values[f'step{k}/pseudo_count']).sum() <= 2 * 4
    nets = {'body': method.model.backbone.body, 'layer6': method.model.decode_head.conv_seg,
            'light': method.model.relight, 'D1': method.discriminators['day'],
            'D2': method.discriminators['night']}
    state = {f'{name}.{key}': value for name, net in nets.items() for key, value in net.state_dict().items()}
    # layer5 is the authors' auxiliary classifier, which no loss reaches
    after = {key.partition('/')[2] for key in values if key.startswith('after/')}
    assert {key for key in after if key not in state} == {'layer5.weight', 'layer5.bias'}
    for key in after & set(state):
        assert_agree(state[key].flatten()[:64], values[f'after/{key}'], 1e-3)


def test_pixel_weights_are_pytorch_s_class_weights():
    z, label = golden.image(3, 2, 16, 16).repeat(1, 7, 1, 1)[:, :19], golden.label(4, 2, 16, 16, cell=4)
    weight = class_weights()
    expected = build_loss(dict(type='CrossEntropyLoss', class_weight=weight.tolist(), avg_non_ignore=True,
                               avg_class_weight=True))(z, label.squeeze(1))
    plain = build_loss(dict(type='CrossEntropyLoss', avg_non_ignore=True))
    torch.testing.assert_close(plain(z, label.squeeze(1), pixel_weights(label, weight)), expected)
    assert pixel_weights(torch.full((1, 1, 4, 4), 255), weight).abs().sum() == 0


def test_at_test_the_relit_image_is_segmented_with_weights():
    """An image whose sides are no multiple of 4, too."""
    network = with_weights_of_the_authors(build_segmentor(relit())).eval()
    image = golden.image(7, 1, 64, 72)[..., :62, :70]
    meta = [dict(META, ori_shape=(62, 70, 3))]
    with torch.no_grad():
        residual = network.relight(image)[..., :62, :70]
        coarse = ToyMulti()(image + residual)[1] * class_weights(std=TEST_STD).view(1, -1, 1, 1)
        torch.testing.assert_close(network.inference_logits(image, meta, True), up(coarse, 62, 70))
        plain = with_weights_of_the_authors(build_segmentor(relit(test_weight_std=0))).eval()
        torch.testing.assert_close(plain.encode_decode(image), up(ToyMulti()(image + residual)[1], 62, 70))
    assert set(network.state_dict()) == set(plain.state_dict()), 'weights of classes are settings'


def test_a_training_starts_from_a_network_of_the_source_alone(tmp_path):
    """Which has no relighting; a test of such weights is refused."""
    plain, method = build_segmentor({**relit(), 'type': 'EncoderDecoder'}), dannet()
    torch.save(dict(state_dict=plain.state_dict()), tmp_path / 'source.pth')
    fresh = {key: value.clone() for key, value in method.model.relight.state_dict().items()}
    load_initial_weights(method, str(tmp_path / 'source.pth'))
    for key, value in method.model.state_dict().items():
        kept = fresh[key.removeprefix('relight.')] if key.startswith('relight.') else plain.state_dict()[key]
        assert torch.equal(value, kept), key
    with pytest.raises(CheckpointError, match='missing .first: relight.'):
        load_segmentor_weights(method.model, load_file(str(tmp_path / 'source.pth')))


def test_each_domain_has_its_relighting():
    network = with_weights_of_the_authors(build_segmentor(relit()).train())
    images = [data(0)['img'], data(0)['target_img']]
    alone = [network.outputs(image)[0] for image in images]
    for one, both in zip(alone, network.outputs(*images)):
        torch.testing.assert_close(both.residual, one.residual)
        assert_agree(sample(both.logits, 1), sample(one.logits, 1), 1e-5)


@pytest.mark.parametrize('change, expected', [
    (dict(reference_img=None), 'no day images'),
    (dict(reference_img=torch.zeros(2, 3, 64, 96)), 'expected pairs of one size')])
def test_data_without_pairs_is_told(change, expected):
    batch = {key: value for key, value in {**data(0), **change}.items() if value is not None}
    with pytest.raises(DataError, match=expected):
        dannet().passes(batch)


@pytest.mark.parametrize('model, settings, expected', [
    (tiny(), {}, "expected model.type='RelitEncoderDecoder'"),
    (relit(class_frequency=[0.5, 0.5]), {}, 'model.class_frequency has 2 entries and the network 19'),
    (None, dict(target_size=(96,)), 'uda.target_size is \\[96\\]'),
    (None, dict(static_classes=20), 'uda.static_classes is 20'),
    (None, dict(light_weights=dict(source=1.0)), 'expected source, day, night')])
def test_settings_that_do_not_fit_are_told(model, settings, expected):
    with pytest.raises(ConfigError, match=expected):
        dannet(model, **settings)
