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
    ImagePool,
    Normalisation,
    PatchDiscriminator,
    ResNetGenerator,
    Translation,
    TranslationWeights,
    discriminator_losses,
    generator_losses,
    init_weights,
    semantic_loss,
    translate,
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
    """Networks of one convolution by their names, and a segmenter."""
    networks = {f'G_{side}': Single(f'G_{side}.', 3, 3, 3, padding=1, activation=nn.Tanh) for side in 'AB'}
    networks.update({f'D_{side}': Single(f'D_{side}.', 3, 1, 4, stride=2, padding=1) for side in 'AB'})
    network = Single('semantic.', 3, 19, 3, stride=8, padding=1)
    norm = Normalisation.of(dict(mean=MEAN, std=(50, 50, 50), to_rgb=False), torch.device('cpu'))
    return networks.get, lambda images: network(norm.from_unit(images))


def test_networks(bdl):
    generator, judge = golden.fill(ResNetGenerator(9, 'IN')), golden.fill(PatchDiscriminator())
    x = image(BDL + 300, 1)
    assert_agree(sample(generator(x), 53), bdl['cyclegan/generator'])
    assert_agree(judge(x), bdl['cyclegan/patch_discriminator'])


def test_names_of_weights():
    expected = json.loads((golden.DATA / 'golden_discriminators.json').read_text())['cyclegan_patch']
    state = PatchDiscriminator().state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == expected
    generator = ResNetGenerator(9, 'IN')
    expected = json.loads((golden.DATA / 'golden_generators.json').read_text())['cyclegan_resnet9']
    assert {key: list(value.shape) for key, value in generator.state_dict().items()} == expected


def test_losses(bdl, toy):
    networks, segment = toy
    images = translate(networks, image(BDL + 310, 2), image(BDL + 311, 2))
    losses = generator_losses(networks, images, TranslationWeights(), segment)
    assert set(losses) == {*GENERATOR_LOSSES}
    losses['G'] = sum(losses.values())
    losses.update(discriminator_losses(networks, images))
    for name, value in losses.items():
        assert_agree(value, bdl[f'cyclegan/loss_{name}'])
    losses['G'].backward()
    assert_agree(networks('G_A').conv.weight.grad.flatten(), bdl['cyclegan/grad_G_A'], 1e-3)


def test_generators_do_not_learn_from_the_discriminators_losses(toy):
    networks, _ = toy
    images = translate(networks, image(1, 1), image(2, 1))
    sum(discriminator_losses(networks, images).values()).backward()
    assert networks('G_A').conv.weight.grad is None and networks('D_A').conv.weight.grad.abs().max() > 0


def test_plain_cyclegan_has_no_perceptual_terms(toy):
    networks, _ = toy
    weights = TranslationWeights(identity=0)
    images = translate(networks, image(1, 1), image(2, 1))
    assert set(generator_losses(networks, images, weights)) == {'G_A', 'G_B', 'cycle_A', 'cycle_B'}
    perfect = Translation(*images[:4], images.real_a, images.real_b)
    assert float(generator_losses(networks, perfect, weights)['cycle_A']) == 0


def test_semantics_are_those_of_normalised_logits():
    logits = torch.randn(2, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(semantic_loss(3 * logits + 7, logits)) == pytest.approx(0, abs=1e-6)
    assert float(semantic_loss(-logits, logits)) == pytest.approx(4, rel=1e-3)


def test_a_segmenter_gets_what_it_was_trained_with():
    def norm(mean, std, to_rgb):
        return Normalisation.of(dict(mean=mean, std=std, to_rgb=to_rgb), torch.device('cpu'))

    rgb = torch.tensor([[1.0, 0, -1]]).view(1, 3, 1, 1)
    assert norm((0, 0, 0), (1, 1, 1), True).from_unit(rgb).flatten().tolist() == [255, 127.5, 0]
    bgr = norm((1, 2, 5), (1, 1, 2), False)
    assert bgr.from_unit(rgb).flatten().tolist() == [-1, 125.5, 125]
    torch.testing.assert_close(bgr.to_unit(bgr.from_unit(rgb)), rgb)


def test_start_of_the_weights():
    torch.manual_seed(0)
    networks = nn.ModuleList([ResNetGenerator(1, 'IN', 16), PatchDiscriminator(16)])
    init_weights(networks)
    values = torch.cat([m.weight.detach().flatten() for m in networks.modules() if isinstance(m, nn.Conv2d)])
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
