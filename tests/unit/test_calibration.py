"""Calibration and entropy against torchmetrics, formulas written again, and cases worked by hand."""
from __future__ import annotations

import math

import pytest
import torch

from mmseg.core.evaluation.calibration import Calibration

CLASSES = 5


def drawn(seed: int = 0, shape: tuple = (2, 40, 50), sharpness: float = 3.0):
    """ln p (B C H W) and labels that the network is right about more often where it is sure; some are
    ignored."""
    generator = torch.Generator().manual_seed(seed)
    batch, height, width = shape
    logits = sharpness * torch.randn(batch, CLASSES, height, width, generator=generator)
    label = torch.distributions.Categorical(logits=0.6 * logits.movedim(1, -1)).probs
    label = torch.multinomial(label.reshape(-1, CLASSES), 1, generator=generator).view(batch, height, width)
    label[torch.rand(label.shape, generator=generator) < 0.1] = 255
    return logits.log_softmax(1), label


def flat(log_prob, label):
    kept = label != 255
    return log_prob.movedim(1, -1)[kept].double(), label[kept]


def test_the_calibration_error_is_torchmetrics():
    from torchmetrics.classification import MulticlassCalibrationError  # seconds, for these two tests

    log_prob, label = drawn()
    found = Calibration(CLASSES).update(log_prob, label).scores()['ECE']
    p, y = flat(log_prob, label)
    peer = MulticlassCalibrationError(CLASSES, n_bins=15, norm='l1')
    assert found == pytest.approx(float(peer(p.exp(), y)), abs=1e-6)
    assert found > 0.02


def test_the_entropy_finds_errors_as_well_as_torchmetrics_says():
    from torchmetrics.classification import BinaryAUROC

    log_prob, label = drawn()
    found = Calibration(CLASSES).update(log_prob, label).scores()['AUROC']
    p, y = flat(log_prob, label)
    entropy, wrong = -(p.exp() * p).sum(1), p.argmax(1) != y
    assert found == pytest.approx(float(BinaryAUROC()(entropy / math.log(CLASSES), wrong.long())), abs=1e-3)
    assert found > 0.6


def test_means_and_shares_are_those_of_the_pixels():
    log_prob, label = drawn()
    meter = Calibration(CLASSES, certain=0.3, undecided=0.8).update(log_prob, label)
    p, y = flat(log_prob, label)
    entropy, right = -(p.exp() * p).sum(1), p.argmax(1) == y
    scores = meter.scores()
    assert scores['NLL'] == pytest.approx(float(torch.nn.functional.nll_loss(p, y)), rel=1e-9)
    assert scores['entropy'] == pytest.approx(float(entropy.mean()), rel=1e-9)
    assert scores['wrong_certain'] == pytest.approx(float((~right & (entropy < 0.3)).double().mean()))
    assert scores['right_undecided'] == pytest.approx(float((right & (entropy >= 0.8)).double().mean()))
    expected = torch.stack([entropy[y == c].mean() for c in range(CLASSES)])
    torch.testing.assert_close(meter.class_entropies(), expected)
    edges, of_right, of_wrong = meter.histogram(64)
    torch.testing.assert_close(of_right, torch.histc(entropy[right], 64, 0, math.log(CLASSES)).long(), rtol=0,
    atol=2)
    assert int(of_right.sum() + of_wrong.sum()) == len(y) and len(edges) == 65


@pytest.mark.parametrize('kind', ['certain and right', 'certain and wrong', 'uniform'])
def test_what_a_person_works_out(kind):
    """2 × 2 pixels of 4 classes; the labels are 0 1 2 and one is ignored."""
    label = torch.tensor([[[0, 1], [2, 255]]])
    if kind == 'uniform':
        log_prob = torch.full((1, 4, 2, 2), math.log(0.25))
    else:
        predicted = label.clamp(max=3) if kind == 'certain and right' else (label.clamp(max=3) + 1) % 4
        probability = torch.nn.functional.one_hot(predicted, 4).movedim(-1, 1).double() * (1 - 4e-12) + 1e-12
        log_prob = probability.log()
    scores = Calibration(4).update(log_prob, label).scores()
    expected = {
        'certain and right': dict(ECE=0, NLL=0, entropy=0, wrong_certain=0, right_undecided=0),
        'certain and wrong': dict(ECE=1, NLL=-math.log(1e-12), entropy=0, wrong_certain=1, right_undecided=0),
        # of three pixels the first is right: the largest of equal probabilities is class 0
        'uniform': dict(ECE=1 / 3 - 0.25, NLL=math.log(4), entropy=math.log(4), wrong_certain=0,
                        right_undecided=1 / 3)}[kind]
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, abs=1e-6), name
    if kind == 'uniform':
        assert scores['AUROC'] == pytest.approx(0.5)
    else:
        assert math.isnan(scores['AUROC'])


def test_zero_probabilities_have_no_part_in_the_entropy():
    log_prob = torch.tensor([0.0, -math.inf, -math.inf]).view(1, 3, 1, 1)
    assert Calibration(3).update(log_prob, torch.zeros(1, 1, 1, dtype=torch.int64)).scores()['entropy'] == 0


def test_parts_add_up_to_the_whole():
    log_prob, label = drawn(shape=(4, 10, 12))
    whole = Calibration(CLASSES).update(log_prob, label)
    parts = Calibration(CLASSES).update(log_prob[:1], label[:1]).merge(
        Calibration(CLASSES).update(log_prob[1:], label[1:]))
    assert parts.scores() == pytest.approx(whole.scores(), rel=1e-12)


def test_bins_are_those_of_the_confidence():
    log_prob = torch.tensor([[0.93, 0.07], [0.62, 0.38]]).log().T.reshape(1, 2, 2, 1)
    meter = Calibration(2, bins=10).update(log_prob, torch.tensor([[[0], [1]]]))
    confidence, accuracy, share = meter.reliability()
    assert share.nonzero().flatten().tolist() == [6, 9]
    assert accuracy[[6, 9]].tolist() == [0, 1]
    torch.testing.assert_close(confidence[[6, 9]], torch.tensor([0.62, 0.93], dtype=torch.float64), rtol=0,
    atol=1e-6)


def test_nothing_seen_is_an_error():
    with pytest.raises(ValueError, match='no pixel'):
        Calibration(3).scores()
