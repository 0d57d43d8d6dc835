"""How far a network's probabilities can be trusted, and what its entropy knows of its errors.

Only sums and histograms are kept, on the device of the predictions, so the memory does not grow with the
images. Calibration: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3 (ECE).
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

CERTAIN, UNDECIDED = 0.1, 1.0  # nats
ENTROPY_BINS = 4096


@dataclass
class Calibration:
    """Statistics of probabilities p (C classes) against labels, over all pixels seen so far.

    Args:
        num_classes: C.
        ignore_index: pixels with this label do not count.
        bins: of the confidence max_c p_c, of equal width.
        certain, undecided: a pixel is nearly certain with H < ``certain``, undecided with H ≥ ``undecided``;
            nats.
    """

    num_classes: int
    ignore_index: int = 255
    bins: int = 15
    certain: float = CERTAIN
    undecided: float = UNDECIDED
    state: dict[str, Tensor] = field(default_factory=dict)

    @property
    def largest_entropy(self) -> float:
        """ln C, nats."""
        return math.log(self.num_classes)

    def update(self, log_prob: Tensor, label: Tensor) -> Calibration:
        """Add a batch.

        Args:
            log_prob: ln p, (B C H W).
            label: class ids (B H W) on the same device.
        """
        kept = label != self.ignore_index
        log_p = log_prob.movedim(1, -1)[kept].double()
        label = label[kept].long()
        entropy = -(log_p.exp() * log_p.clamp(min=-1e30)).sum(dim=1)
        confidence, predicted = log_p.exp().max(dim=1)
        right = predicted == label
        added = {**self._reliability(confidence, right), **self._entropies(entropy, right, label)}
        added['nll'] = -log_p.gather(1, label[:, None]).sum()
        added['pixels'] = torch.as_tensor(len(label), device=log_p.device)
        return self._add(added)

    def _reliability(self, confidence: Tensor, right: Tensor) -> dict[str, Tensor]:
        place = (confidence * self.bins).long().clamp(max=self.bins - 1)

        def per_bin(weights: Tensor | None = None) -> Tensor:
            return torch.bincount(place, weights, minlength=self.bins)
        return dict(bin_pixels=per_bin(), bin_confidence=per_bin(confidence),
                    bin_right=per_bin(right.double()))

    def _entropies(self, entropy: Tensor, right: Tensor, label: Tensor) -> dict[str, Tensor]:
        place = (entropy / self.largest_entropy * ENTROPY_BINS).long().clamp(0, ENTROPY_BINS - 1)
        histogram = torch.bincount(place + ENTROPY_BINS * ~right, minlength=2 * ENTROPY_BINS)
        right_bins, wrong_bins = histogram.view(2, ENTROPY_BINS)
        return dict(entropy_of_right=right_bins, entropy_of_wrong=wrong_bins, entropy_sum=entropy.sum(),
                    wrong_and_certain=(~right & (entropy < self.certain)).sum(),
                    right_and_undecided=(right & (entropy >= self.undecided)).sum(),
                    class_pixels=torch.bincount(label, minlength=self.num_classes),
                    class_entropy=torch.bincount(label, entropy, minlength=self.num_classes))

    def _add(self, added: dict[str, Tensor]) -> Calibration:
        for name, value in added.items():
            if name in self.state:
                value = self.state[name] + value.to(self.state[name].device)
            self.state[name] = value
        return self

    def merge(self, other: Calibration) -> Calibration:
        """Add what ``other`` has seen."""
        return self._add(other.state)

    def all_reduce(self, device: str | torch.device = 'cpu') -> Calibration:
        """Sum over all processes of torch.distributed; each holds the whole set's statistics then."""
        if not self.state:  # a process without images
            empty = torch.zeros(1, self.num_classes, 0, 1, device=device)
            self.update(empty, torch.zeros(1, 0, 1, dtype=torch.int64, device=device))
        for name in sorted(self.state):
            self.state[name] = self.state[name].clone()
            torch.distributed.all_reduce(self.state[name])
        return self

    def reliability(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each bin of confidence: its mean confidence, its share of right pixels (NaN where it is empty),
        and its share of all pixels; float64 (bins) each, 0–1."""
        state = self._host()
        pixels = state['bin_pixels'].double()
        return state['bin_confidence'] / pixels, state['bin_right'] / pixels, pixels / pixels.sum()

    def scores(self) -> dict[str, float]:
        """'ECE' (0–1), 'NLL' (nats a pixel), 'entropy' (its mean, nats), 'wrong_certain' and
        'right_undecided' (shares of all pixels, 0–1) and 'AUROC' of the entropy as a sign of errors (0–1;
        NaN if all are right, or all wrong)."""
        state = self._host()
        pixels = state['pixels'].double()
        confidence, accuracy, share = self.reliability()
        return {name: float(value) for name, value in dict(
            ECE=(share * (confidence - accuracy).abs()).nansum(), NLL=state['nll'] / pixels,
            entropy=state['entropy_sum'] / pixels, wrong_certain=state['wrong_and_certain'] / pixels,
            right_undecided=state['right_and_undecided'] / pixels, AUROC=self._auroc(state)).items()}

    @staticmethod
    def _auroc(state: dict[str, Tensor]) -> Tensor:
        """The chance that a wrong pixel has a larger entropy than a right one; those in one bin count ½."""
        right, wrong = state['entropy_of_right'].double(), state['entropy_of_wrong'].double()
        below = right.cumsum(0) - right
        return (wrong * (below + right / 2)).sum() / (wrong.sum() * right.sum())

    def class_entropies(self) -> Tensor:
        """Mean entropy of the pixels of each class, nats, float64 (C); NaN for a class without pixels."""
        state = self._host()
        return state['class_entropy'] / state['class_pixels']

    def histogram(self, bins: int = 64) -> tuple[Tensor, Tensor, Tensor]:
        """Edges of ``bins`` (a divisor of ENTROPY_BINS) of the entropy from 0 to ln C, float64 (bins + 1),
        and the right and the wrong pixels in each, int64 (bins)."""
        state = self._host()
        edges = torch.linspace(0, self.largest_entropy, bins + 1, dtype=torch.float64)
        right, wrong = (state[f'entropy_of_{kind}'].view(bins, -1).sum(1) for kind in ('right', 'wrong'))
        return edges, right, wrong

    def _host(self) -> dict[str, Tensor]:
        if not self.state:
            raise ValueError('no pixel was seen yet')
        return {name: value.cpu() for name, value in self.state.items()}
