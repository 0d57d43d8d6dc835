"""Several networks as one: ADVENT's two, FDA's three."""
from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mmseg.core.pseudo_label_rules import average_probabilities, check_weights
from mmseg.utils import ConfigError

from .encoder_decoder import EncoderDecoder


class AveragedSegmentor(nn.Module):
    """Networks whose probabilities are averaged; for inference alone.

    Args:
        models: in eval mode, on one device.
        weights: one each; None: all alike.
        softmax_first: the softmax is taken at the resolution of the networks' output, and the probabilities
            are enlarged: FDA at test, and BDL and FDA for pseudo-labels. Otherwise the logits are enlarged.

    Raises:
        ConfigError: weights that do not fit; ``softmax_first`` of a network that tests by sliding.
    """

    def __init__(self, models: Sequence[EncoderDecoder], weights: Sequence[float] | None = None,
                 softmax_first: bool = False):
        super().__init__()
        if weights is not None:
            check_weights(weights, len(models))
        if softmax_first and any(model.test_cfg['mode'] == 'slide' for model in models):
            raise ConfigError("the softmax can be taken first only with model.test_cfg.mode='whole'")
        self.models = nn.ModuleList(models)
        self.weights, self.softmax_first = weights, softmax_first

    def inference(self, img: Tensor, img_meta: Sequence[dict], rescale: bool = True) -> Tensor:
        """Class probabilities (B C H W), 0–1, at the images' original size."""
        if not rescale:
            raise ValueError('probabilities of several networks are averaged at the original size')
        return self.probabilities([(img, img_meta)])

    def probabilities(self, views: Sequence[tuple[Tensor, Sequence[dict]]]) -> Tensor:
        """``inference``, the mean over augmentations, of which each is normalised images (B 3 h w) with their
        meta data."""
        find = _enlarged_probabilities if self.softmax_first else EncoderDecoder.inference
        maps = [sum(find(model, img, metas) for img, metas in views) / len(views) for model in self.models]
        return average_probabilities(maps, self.weights)

    def forward(self, img: Sequence[Tensor], img_metas: Sequence[Sequence[dict]],
                return_loss: bool = False) -> list[Tensor]:
        """Class maps (H W), int64, of a batch; ``img`` and ``img_metas`` are lists over the augmentations."""
        if return_loss:
            raise ValueError('averaged networks are not trained')
        return list(self.probabilities(list(zip(img, img_metas))).argmax(dim=1))


def _enlarged_probabilities(model: EncoderDecoder, img: Tensor, metas: Sequence[dict]) -> Tensor:
    return model.as_original(model.coarse_logits(img).float().softmax(dim=1), metas)
