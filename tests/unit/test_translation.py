"""CycleGAN and the perceptual terms of BDL, against golden values of the authors' code."""
from __future__ import annotations

import json
import random

import golden
import pytest
import torch
from method_recipe import assert_agree, sample
from torch import nn

from mmseg.models.translation import (
    CycleGAN,
    ImagePool,
    PatchDiscriminator,
    ResNetGenerator,
    Translation,
    TranslationWeights,
    semantic_loss,
    to_network,
)
from mmseg.utils import ConfigError

BDL = 3000
MEAN = (104.00699, 116.66877, 122.67891)
GENERATOR_LOSSES = [f'{name}_{side}' for name in ('G', 'cycle', 'idt', 'sem', 'rec_sem') for side in 'AB']


@pytest.fixture(scope='module')
def bdl():
    return golden.load('golden_bdl.npz')


def image(seed: int, batch: int) -> torch.Tensor:
    return torch.tanh(golden.image(seed, batch, 64, 64))


class Single(nn.Module):
    """One convolution, filled under a prefix."""

    def __init__(self, prefix: str, *args, activation=nn.Identity, **kwargs):
        super().__init__()
        self.conv, self.activation = nn.Conv2d(*args, **kwargs), activation()
        golden.fill(self, prefix=prefix)

    def forward(self, x):
        return self.activation(self.conv(x))


@pytest.fixture
def toy():
    """CycleGAN with networks of one convolution, and a segmenter."""
    model = CycleGAN(blocks=1, channels=1)
    for side in 'AB':
        setattr(model, f'G_{side}', Single(f'G_{side}.', 3, 3, 3, padding=1, activation=nn.Tanh))
        setattr(model, f'D_{side}', Single(f'D_{side}.', 3, 1, 4, stride=2, padding=1))
    network = Single('semantic.', 3, 19, 3, stride=8, padding=1)
    return model, lambda images: network(to_network(images, MEAN, (50, 50, 50), to_rgb=False))


def test_networks(bdl):
    generator, judge = golden.fill(ResNetGenerator(9, 'IN')), golden.fill(PatchDiscriminator())
    x = image(BDL + 300, 1)
    assert_agree(sample(generator(x), 53), bdl['cyclegan/generator'])
    assert_agree(judge(x), bdl['cyclegan/patch_discriminator'])


def test_names_of_weights():
    expected = json.loads((golden.DATA / 'golden_discriminators.json').read_text())['cyclegan_patch']
    state = PatchDiscriminator().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == expected
    model = CycleGAN(blocks=9)
    expected = json.loads((golden.DATA / 'golden_generators.json').read_text())['cyclegan_resnet9']
    for generator in (model.G_A, model.G_B):
        assert {key: list(value.shape) for key, value in generator.state_dict().items()} == expected


def test_losses(bdl, toy):
    model, segment = toy
    images = model(image(BDL + 310, 2), image(BDL + 311, 2))
    losses = model.generator_losses(images, segment)
    assert set(losses) == {*GENERATOR_LOSSES, 'G'}
    losses.update(model.discriminator_losses(images))
    for name, value in losses.items():
        assert_agree(value, bdl[f'cyclegan/loss_{name}'])
    losses['G'].backward()
    assert_agree(model.G_A.conv.weight.grad.flatten(), bdl['cyclegan/grad_G_A'], 1e-3)


def test_generators_do_not_learn_from_the_discriminators_losses(toy):
    model, _ = toy
    sum(model.discriminator_losses(model(image(1, 1), image(2, 1))).values()).backward()
    assert model.G_A.conv.weight.grad is None and model.D_A.conv.weight.grad.abs().max() > 0


def test_plain_cyclegan_has_no_perceptual_terms(toy):
    model, _ = toy
    model.weights = TranslationWeights(identity=0)
    images = model(image(1, 1), image(2, 1))
    losses = model.generator_losses(images)
    assert set(losses) == {'G_A', 'G_B', 'cycle_A', 'cycle_B', 'G'}
    perfect = Translation(*images[:4], images.real_a, images.real_b)
    assert float(model.generator_losses(perfect)['cycle_A']) == 0


def test_semantics_are_those_of_normalised_logits():
    logits = torch.randn(2, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(semantic_loss(3 * logits + 7, logits)) == pytest.approx(0, abs=1e-6)
    assert float(semantic_loss(-logits, logits)) == pytest.approx(4, rel=1e-3)


def test_a_segmenter_gets_what_it_was_trained_with():
    rgb = torch.tensor([[1.0, 0, -1]]).view(1, 3, 1, 1)
    assert to_network(rgb, (0, 0, 0), (1, 1, 1)).flatten().tolist() == [255, 127.5, 0]
    assert to_network(rgb, (1, 2, 5), (1, 1, 2), to_rgb=False).flatten().tolist() == [-1, 125.5, 125]


def test_start_of_the_weights():
    torch.manual_seed(0)
    model = CycleGAN(blocks=1, channels=16)
    values = torch.cat([m.weight.detach().flatten() for m in model.modules() if isinstance(m, nn.Conv2d)])
    assert float(values.mean()) == pytest.approx(0, abs=1e-3)
    assert float(values.std()) == pytest.approx(0.02, rel=0.05)


def test_a_pool_exchanges_half_of_the_images_once_it_is_full():
    random.seed(0)
    pool = ImagePool(3)
    new = [torch.full((1, 3, 2, 2), float(k)) for k in range(203)]
    assert torch.equal(pool.exchange(torch.cat(new[:3])), torch.cat(new[:3])), 'it fills'
    given = [float(pool.exchange(image).mean()) for image in new[3:]]
    older = [value for k, value in enumerate(given, 3) if value != k]
    assert 70 < len(older) < 130
    assert len(set(older)) == len(older), 'each image is given back once'
    copy = ImagePool(3)
    copy.load_state_dict(pool.state_dict())
    results = []
    for one in (pool, copy):
        random.seed(1)
        results.append(torch.cat([one.exchange(image) for image in new[:20]]))
    assert torch.equal(*results)


def test_a_pool_keeps_copies():
    """What becomes of an image later does not change the pool."""
    random.seed(0)
    pool = ImagePool(1)
    for k in range(20):
        x = torch.full((1, 3, 2, 2), float(k))
        pool.exchange(x)
        x.fill_(-1)
        assert pool.images[0].min() >= 0


def test_an_empty_pool_gives_every_image_back():
    x = torch.rand(4, 3, 2, 2)
    assert torch.equal(ImagePool(0).exchange(x), x)


@pytest.mark.parametrize('make', [lambda: ResNetGenerator(9, 'LN'), lambda: PatchDiscriminator(layers=0),
                                  lambda: TranslationWeights(cycle=-1), lambda: ImagePool(-1)])
def test_mistakes_are_told(make):
    with pytest.raises(ConfigError):
        make()
