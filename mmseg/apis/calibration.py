"""How far the probabilities of a network can be trusted, measured on a data set: numbers and a plot."""
from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmseg.core.evaluation.calibration import Calibration
from mmseg.datasets.loading.size_groups import sized_batches
from mmseg.engine.evaluation import evaluating, unwrapped
from mmseg.models.segmentors import AveragedSegmentor, EncoderDecoder
from mmseg.models.uda import UDADecorator
from mmseg.utils import ConfigError
from mmseg.utils.distributed import world

METRICS = ('calibration', 'entropy')
HISTOGRAM_BINS = 64


def measure_calibration(model: nn.Module, loader: DataLoader, device: torch.device | str) -> Calibration:
    """Statistics of a network's probabilities on a labelled data set, at the labels' size.

    If torch.distributed is running, each rank measures its share, and all get the statistics of the whole.

    Args:
        model: the network, or a UDA method around it (then its student), on ``device``; its mode is restored.
        loader: of a data set in test mode, in order.
        device: where the network is.

    Raises:
        ConfigError: the network gives class maps alone.
        DataError: a label that cannot be read.
    """
    network = unwrapped(model)
    network = network.get_model() if isinstance(network, UDADecorator) else network
    if not isinstance(network, EncoderDecoder | AveragedSegmentor):
        raise ConfigError(f'calibration is measured of an EncoderDecoder, not of a {type(network).__name__}')
    dataset = loader.dataset
    meter = Calibration(len(dataset.CLASSES), dataset.ignore_index)
    with evaluating(network):
        for indices, data in sized_batches(loader, device):
            log_prob = _log_prob(network, **data)
            for one, index in zip(log_prob, indices):
                label = torch.from_numpy(dataset.get_gt_seg_map(index).astype('int64')).to(one.device)
                meter.update(one[None], label[None])
    return meter.all_reduce(device) if world()[1] > 1 else meter


def _log_prob(network: EncoderDecoder | AveragedSegmentor, img: list[Tensor], img_metas: list) -> Tensor:
    """ln of the mean probability over the augmentations, (B C H W)."""
    if len(img) == 1 and isinstance(network, EncoderDecoder):
        return F.log_softmax(network.inference_logits(img[0], img_metas[0], True).float(), dim=1)
    probabilities = [network.inference(one, metas, True) for one, metas in zip(img, img_metas)]
    return torch.stack(probabilities).mean(dim=0).log()


def as_json(meter: Calibration, classes: list[str]) -> dict[str, Any]:
    """What ``tools/test.py`` writes: scores, and the curves from which they and the plot come."""
    confidence, accuracy, share = meter.reliability()
    edges, right, wrong = meter.histogram(HISTOGRAM_BINS)
    return dict(
        scores=_finite(meter.scores()),
        class_entropy=_finite(dict(zip(classes, meter.class_entropies().tolist()))),
        reliability=dict(confidence=_listed(confidence), accuracy=_listed(accuracy), share=_listed(share)),
        entropy_histogram=dict(edges=_listed(edges), right=right.tolist(), wrong=wrong.tolist()))


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if value == value else None for name, value in values.items()}


def _listed(values: Tensor) -> list[float | None]:
    return [value if value == value else None for value in values.tolist()]


def target_of(cfg: Mapping[str, Any]) -> float | None:
    """h of a config's entropy balance, nats; None without one, or if it follows the training."""
    target = ((cfg.get('uda') or {}).get('entropy_balance') or {}).get('target')
    return float(target) if isinstance(target, (int, float)) else None


def plot_calibration(meter: Calibration, target: float | None = None) -> bytes:
    """A PNG: the entropies of right and of wrong pixels, with h marked, and the reliability diagram."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(10, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    edges, of_right, of_wrong = meter.histogram(HISTOGRAM_BINS)
    total = float((of_right + of_wrong).sum())
    for counts, label in ((of_right, 'right pixels'), (of_wrong, 'wrong pixels')):
        left.stairs((counts / total * 100).numpy(), edges.numpy(), fill=True, alpha=0.5, label=label)
    if target is not None:
        left.axvline(target, color='black', linestyle='--', label=f'h = {target:g}')
    left.set(xlabel='entropy H (nats)', ylabel='share of the pixels (%)', yscale='log')
    left.legend()
    confidence, accuracy, share = meter.reliability()
    right.plot([0, 100], [0, 100], color='grey', linewidth=1)
    right.scatter(100 * confidence, 100 * accuracy, s=5 + 300 * share)
    right.set(xlabel='confidence (%)', ylabel='right (%)', xlim=(0, 100), ylim=(0, 100),
              title=f'calibration error {100 * meter.scores()["ECE"]:.2f} %')
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=120)
    return buffer.getvalue()
