"""FDA's pieces: Fourier transfer and robust entropy, against golden values of the authors' code."""
from __future__ import annotations

import golden
import numpy as np
import pytest
import torch
from method_recipe import assert_agree, logits, low, rgb, sample, up

from mmseg.models.losses import CharbonnierEntropyLoss, CrossEntropyLoss
from mmseg.models.uda.parts.fourier import FourierTransfer, fourier_transfer, low_frequencies
from mmseg.utils import ConfigError, DataError

FDA, H, W = 2000, 96, 128
SIZES = {'even': (0, 104, 128), 'odd': (2, 103, 127)}
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


@pytest.fixture(scope='module')
def fda():
    return golden.load('golden_fda.npz')


def pair(parity: str) -> tuple[torch.Tensor, torch.Tensor]:
    k, height, width = SIZES[parity]
    return rgb(FDA + k, 1, height, width), rgb(FDA + k + 1, 1, height, width)


# ----------------------------------------------------------------------- transfer


@pytest.mark.parametrize('parity', SIZES)
@pytest.mark.parametrize('beta', [0.01, 0.05, 0.09])
@pytest.mark.parametrize('window, key', [('code', 'fourier'), ('paper', 'fourier_numpy')])
def test_transfer(fda, parity, beta, window, key):
    moved = fourier_transfer(*pair(parity), beta, window)
    assert_agree(sample(moved, 101), fda[f'{key}/{parity}/{beta}'])


@pytest.mark.parametrize('parity', SIZES)
@pytest.mark.parametrize('beta', [0.01, 0.05, 0.09])
def test_size_of_the_window(fda, parity, beta):
    """The paper's window is a square of 2b + 1; its half is b + 1 wide."""
    inside = low_frequencies(*SIZES[parity][1:], beta, 'paper')
    b = int(fda[f'half_size/{parity}/{beta}'])
    assert inside.sum() == (2 * b + 1) * (b + 1)


def test_windows_by_hand():
    """b = 2: rows 0, 1, 2, … −2, −1 of an image of 8x9, columns 0 … 4."""
    rows = [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0] * 5, [0] * 5, [0] * 5, [0] * 5, [0, 1, 0, 0, 0],
            [1, 1, 0, 0, 0]]
    np.testing.assert_array_equal(low_frequencies(8, 9, 0.25).numpy(), np.array(rows, bool))
    assert low_frequencies(8, 9, 0.1).sum() == 0
    assert low_frequencies(8, 9, 0.1, 'paper').nonzero().tolist() == [[0, 0]]


@pytest.mark.parametrize('height, width', [(8, 9), (9, 8), (7, 16)])
@pytest.mark.parametrize('window', ['code', 'paper'])
@pytest.mark.parametrize('beta', [0, 0.2, 0.35, 0.499])
def test_amplitude_and_phase_of_the_whole_spectrum(height, width, window, beta):
    """By the definition: a complex transform, the window mirrored onto negative columns."""
    source, target = (torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(k)).double()
                      for k in (0, 1))
    half, whole = low_frequencies(height, width, beta, window), torch.zeros(height, width, dtype=torch.bool)
    for r, c in half.nonzero().tolist():
        whole[r, c] = whole[-r % height, -c % width] = True
    f, g = torch.fft.fft2(source), torch.fft.fft2(target)
    expected = torch.fft.ifft2(torch.where(whole, g.abs(), f.abs()) * torch.exp(1j * f.angle()))
    assert expected.imag.abs().max() < 1e-9
    moved = fourier_transfer(source, target, beta, window)
    torch.testing.assert_close(moved, expected.real.float(), atol=1e-5, rtol=1e-5)


def test_each_image_of_a_batch_is_moved_by_its_own_partner():
    (a, b), (c, d) = ((rgb(k, 1, 32, 40), rgb(k + 9, 1, 32, 40)) for k in (1, 2))
    both = fourier_transfer(torch.cat([a, c]), torch.cat([b, d]), 0.1)
    torch.testing.assert_close(both, torch.cat([fourier_transfer(a, b, 0.1), fourier_transfer(c, d, 0.1)]))


def test_the_source_is_not_clipped():
    source, target = torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 250.0)
    source[..., 0] = 255
    assert fourier_transfer(source, target, 0.1).max() > 400


def test_normalised_images_are_moved_as_pixels():
    source, target = rgb(1, 2, 32, 40), rgb(4, 2, 32, 40)
    plain = dict(mean=[104.00699, 116.66877, 122.67891], std=[1, 1, 1])
    norms = (plain, IMAGENET), (IMAGENET, plain)
    metas = [[{'img_norm_cfg': norm} for norm in of_batch] for of_batch in norms]

    def normalised(images, configs):
        mean, std = (torch.tensor([c[key] for c in configs])[..., None, None] for key in ('mean', 'std'))
        return (images - mean) / std

    moved = FourierTransfer(0.1)(normalised(source, norms[0]), normalised(target, norms[1]), *metas)
    expected = normalised(fourier_transfer(source, target, 0.1), norms[0])
    torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-3)


def test_mistakes_in_a_transfer_are_told():
    for keys in (dict(beta=0.5), dict(beta=-0.1), dict(beta=0.1, window='demo')):
        with pytest.raises(ConfigError):
            FourierTransfer(**keys)
    with pytest.raises(DataError, match='8x8 and 9x8 pixels'):
        fourier_transfer(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9), 0.1)


# ------------------------------------------------------------------------- losses


@pytest.mark.parametrize('eta', [1.5, 2.0])
@pytest.mark.parametrize('known', [False, True])
def test_robust_entropy(fda, eta, known):
    z = logits(FDA + 10, 2, H, W)
    loss = CharbonnierEntropyLoss(eta)(z, torch.log_softmax(z, 1) if known else None)
    loss.backward()
    assert_agree(loss, fda[f'charbonnier/{eta}'])
    assert_agree(sample(z.grad, 997), fda[f'charbonnier/{eta}/grad'], 1e-3)


def test_robust_entropy_of_undecided_pixels_is_one_whatever_the_classes():
    for classes in (2, 7, 19):
        assert float(CharbonnierEntropyLoss()(torch.zeros(1, classes, 2, 2))) == pytest.approx(1, abs=5e-4)


def test_robust_entropy_of_certain_pixels():
    """H = 0 leaves (0 + 1e-8)^η, and a gradient that is a number."""
    z = torch.zeros(1, 3, 2, 2)
    z[:, 0] = 200
    z.requires_grad_()
    loss = CharbonnierEntropyLoss(eta=0.5)(z)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1e-4)
    assert torch.isfinite(z.grad).all()


def test_cross_entropy_of_fda(fda):
    label = golden.label(FDA + 50, 2, H, W, cell=8)[:, 0]
    loss = CrossEntropyLoss(avg_non_ignore=True)(logits(FDA + 10, 2, H, W), label)
    assert_agree(loss, fda['cross_entropy'])


def test_the_network_of_fda_learns_from_three_losses(fda):
    source, target = logits(FDA + 60, 1, low(H), low(W)), logits(FDA + 70, 1, low(H), low(W))
    cross_entropy = CrossEntropyLoss(avg_non_ignore=True)
    of_source, of_target = (cross_entropy(up(z, H, W), golden.label(FDA + seed, 1, H, W, cell=8)[:, 0])
                            for z, seed in ((source, 51), (target, 52)))
    penalty = CharbonnierEntropyLoss()(target)
    total = of_source + 0.005 * penalty
    for value, key in ((of_source, 'step/seg_src'), (penalty, 'step/ent_trg'), (total, 'step/total'),
                       (of_target, 'step_ssl/seg_pseudo'), (total + of_target, 'step_ssl/total')):
        assert_agree(value, fda[key])
    (total + of_target).backward()
    assert_agree(sample(source.grad, 7), fda['step_ssl/grad_src'], 1e-3)
    assert_agree(sample(target.grad, 7), fda['step_ssl/grad_trg'], 1e-3)
