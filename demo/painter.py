"""What the demo draws: a prediction over its image, that of several networks side by side, or its entropy
beside it."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from torch import nn

from mmseg.apis.inference import inference_segmentor
from mmseg.apis.predictor import Predictor
from mmseg.core.pictures import Style, entropy_picture, panels, with_legend
from mmseg.core.visualization import read_image


@dataclass(frozen=True)
class Painter:
    """
    Args:
        networks: by the title of their picture.
        style: of each prediction.
        entropy: show the entropy, too; not of networks that give class maps alone.
    """

    networks: Mapping[str, nn.Module]
    style: Style
    entropy: bool = False

    def __call__(self, image: str | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Args:
            image: a file, or BGR uint8 (H W 3).

        Returns:
            the picture, BGR uint8, and the class ids (H W) of the first network.
        """
        pixels = read_image(image) if isinstance(image, str) else image
        predicted = {title: self._predict(network, image) for title, network in self.networks.items()}
        first = next(iter(predicted.values()))[0]
        if len(predicted) == 1 and not self.entropy:
            return self.style.draw(pixels, first), first
        bare, original = replace(self.style, legend=False), ('image', cv2.resize(pixels, first.shape[1::-1]))
        shown = [] if self.entropy else [original]
        for title, (seg, entropy) in predicted.items():
            shown.append((title, bare.draw(pixels, seg)))
            if entropy is not None:  # a row of its own
                drawn = entropy_picture(entropy, len(self.style.palette))
                shown[-1:] = [original, shown[-1], (f'entropy: mean {entropy.mean():.2f} nats', drawn)]
        picture = panels(shown)
        if self.style.legend:
            named = np.vstack([seg for seg, _ in predicted.values()])
            picture = with_legend(picture, named, self.style.classes, self.style.palette, self.style.rows)
        return picture, first

    def _predict(self, network: nn.Module, image: str | np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if not self.entropy:
            return inference_segmentor(network, image)[0], None
        found = Predictor(network, network.cfg, network.CLASSES, network.PALETTE).predict(image, bgr=True)
        return found.classes, found.entropy
