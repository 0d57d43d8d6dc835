from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from mmcv.runner import Hook
from torch import Tensor

from mmseg.models.losses import pixel_entropy

from .tracker_hooks import log_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Places are fixed, and `write` draws once: constrained layout and `savefig` measure all text and draw twice.
# That took 2.4 times as long (1.02 for 0.42 s of a processor, crops of 64 pixels).
PLACES = dict(left=0.01, right=0.96, bottom=0.1, top=0.89, wspace=0.05, hspace=0.14)


class UDAVisualizationHook(Hook):
    """A picture of what a UDA step saw, for every image of the batch, whenever the step returns
    'visuals' (every ``debug_img_interval`` steps): ``class_mix_debug/<step>_<image>.png``, and in the
    trackers of ``log_config``.

    Args:
        palette: RGB colour (0–255) of each class.
        out_dir: folder below the run's.
        classes: their names, for the legend; without them there is none.
    """

    def __init__(self, palette: Sequence[Sequence[int]], out_dir: str = 'class_mix_debug',
                 classes: Sequence[str] = ()):
        self.palette, self.out_dir, self.classes = palette, out_dir, tuple(classes)

    def after_train_iter(self, runner) -> None:
        visuals = runner.outputs.get('visuals')
        if visuals is None or runner.rank != 0:
            return
        folder = os.path.join(runner.work_dir, self.out_dir)
        os.makedirs(folder, exist_ok=True)
        for i in range(len(visuals['source'])):
            path = os.path.join(folder, f'{visuals["step"]:06d}_{i}.png')
            write(draw_visuals(visuals, i, self.palette, self.classes), path)
            log_picture(runner, f'{self.out_dir}/{i}', path)


def draw_visuals(visuals: dict, i: int, palette: Sequence[Sequence[int]],
                 classes: Sequence[str] = ()) -> Figure:
    """The panels of image ``i`` of a batch, with the step, a bar of the entropies' colours, and the names of
    the classes in the labels; ``visuals`` as DACS returns them."""
    from matplotlib.figure import Figure  # most of a second, which only a run with pictures needs to wait for
    from matplotlib.patches import Patch

    norm = visuals['img_metas'][i]['img_norm_cfg']
    logits = visuals['logits'][i:i + 1].float()
    max_entropy = math.log(logits.shape[1])
    prediction, entropy = logits.argmax(dim=1)[0], pixel_entropy(logits)[0]
    grey = dict(cmap='gray', vmin=0, vmax=1)
    panels = [
        ('source', _photo(visuals['source'][i], norm), {}),
        ('source label', _coloured(visuals['source_label'][i, 0], palette), {}),
        ('target', _photo(visuals['target'][i], norm), {}),
        ('pseudo-label', _coloured(visuals['pseudo_label'][i], palette), {}),
        ('mask', _array(visuals['mask'][i, 0]), grey),
        ('mixed', _photo(visuals['mixed'][i], norm), {}),
        ('mixed label', _coloured(visuals['mixed_label'][i, 0], palette), {}),
        ('weight', _array(visuals['weight'][i]), grey),
        ('prediction', _coloured(prediction, palette), {}),
        (f'entropy, mean {entropy.mean():.2f} of {max_entropy:.2f} nats', _array(entropy),
         dict(cmap='viridis', vmin=0, vmax=max_entropy)),
    ]
    figure = Figure(figsize=(15, 6.4))
    for axes, (title, picture, style) in zip(figure.subplots(2, 5, gridspec_kw=PLACES).flat, panels):
        shown = axes.imshow(picture, interpolation='nearest', **style)
        axes.set_title(title, y=1)  # a number, or matplotlib looks for a free place
        axes.axis('off')
        if 'viridis' in style.values():
            figure.colorbar(shown, ax=axes, shrink=0.7, fraction=0.05, pad=0.02, label='nats')
    figure.suptitle(f'step {visuals["step"]}')
    present = torch.cat([visuals['mixed_label'][i].flatten(), prediction.flatten()]).unique().tolist()
    boxes = [Patch(facecolor=np.asarray(palette[index]) / 255, edgecolor='black', label=classes[index])
             for index in present if index < min(len(classes), len(palette))]
    if boxes:
        figure.legend(handles=boxes, loc='lower center', ncols=10, fontsize='small')
    return figure


def write(figure: Figure, path: str) -> None:
    """As PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).print_png(path)


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().float().numpy()


def _photo(image: Tensor, norm: dict) -> np.ndarray:
    """Normalised (C H W) → RGB (H W 3) in [0, 1], of the first three bands, or grey of the first of fewer."""
    pixels = _array(image.permute(1, 2, 0)) * np.asarray(norm['std']) + np.asarray(norm['mean'])
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, axis=2)
    return np.clip(pixels / 255.0, 0, 1)


def _coloured(label: Tensor, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Class ids (H W) → RGB (H W 3) uint8; ids without a colour are black."""
    colours = torch.zeros(256, 3, dtype=torch.uint8)
    colours[:len(palette)] = torch.as_tensor(np.asarray(palette), dtype=torch.uint8)
    return colours[label.detach().cpu().long()].numpy()
