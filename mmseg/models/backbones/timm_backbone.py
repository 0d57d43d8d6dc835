"""Encoders of the library timm (Wightman, "PyTorch Image Models") by name."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmseg.checkpoint.weights import load_pretrained, load_weights
from mmseg.utils import DataError, UserError, did_you_mean

from ..builder import BACKBONES
from .efficientnet_weights import from_lite_names

WHOLE_STRIDE = 32  # of timm's convolutional and hierarchical models
# What a checkpoint of self-supervised or distilled training holds beyond timm's own classifier.
OTHER_HEADS = ('head.', 'head_dist.', 'fc.', 'classifier.', 'norm.', 'fc_norm.')


def _flat(name: str) -> str:
    """A parameter's name without the way it is nested, which timm changes to cut features out."""
    return name.removeprefix('model.').replace('.', '_')


@BACKBONES.register_module()
class TIMMBackbone(nn.Module):
    """Any model of timm that gives feature maps: convolutional, hierarchical, or a plain transformer, whose
    maps all have one stride (see ``SimpleFPN``). Nothing is downloaded at construction.

    Args:
        model_name: e.g. 'convnext_tiny', 'swin_tiny_patch4_window7_224', 'vit_small_patch14_dinov2'.
        out_indices: which stages or blocks are returned; None: timm's default.
        in_channels: of the image.
        drop_path_rate: stochastic depth; None: timm's default.
        pretrained: checkpoint file loaded by ``init_weights``, or True for the weights that timm
            downloads.
        pretrained_extras: beginnings of names that the checkpoint may hold beyond the encoder and the
            classifier that timm puts on it.
        model_args: further arguments of the model, e.g. ``dict(dynamic_img_size=True)`` for a plain
            transformer on images of any size.

    Raises:
        UserError: timm has no such model, or the model does not take ``model_args``.
    """

    def __init__(self, model_name: str, out_indices: Sequence[int] | None = None, in_channels: int = 3,
                 drop_path_rate: float | None = None, pretrained: str | bool | None = None,
                 pretrained_extras: Sequence[str] = OTHER_HEADS, model_args: Mapping | None = None,
                 init_cfg: dict | None = None):
        import timm  # a second, which no other encoder needs to wait for

        super().__init__()
        name = model_name.split('.')[0]
        if not timm.is_model(name):
            raise UserError(f"TIMMBackbone: timm has no model '{model_name}': "
                            f'{did_you_mean(name, timm.list_models())}')
        self.pretrained = pretrained or (init_cfg or {}).get('checkpoint')
        self.pretrained_extras = tuple(pretrained_extras)
        self._kwargs = dict(model_name=model_name, features_only=True, in_chans=in_channels,
                            **dict(model_args or {}))
        if drop_path_rate is not None:
            self._kwargs['drop_path_rate'] = drop_path_rate
        if out_indices is not None:
            self._kwargs['out_indices'] = tuple(out_indices)
        try:
            self.timm_model = timm.create_model(pretrained=False, **self._kwargs)
        except (TypeError, RuntimeError, IndexError, AssertionError) as error:
            raise UserError(f"TIMMBackbone: timm cannot build '{model_name}': {error}") from error
        self.channels: list[int] = self.timm_model.feature_info.channels()

    def init_weights(self) -> None:
        """Load ``pretrained`` if there is any; every name and shape has to agree."""
        if self.pretrained is True:
            import timm

            downloaded = timm.create_model(pretrained=True, **self._kwargs)
            load_weights(self.timm_model, downloaded.state_dict(), f"timm's {self._kwargs['model_name']}")
        elif self.pretrained:
            extras = (*self.pretrained_extras, *self._classifier_names())
            load_pretrained(self, self.pretrained, extras=extras, rename=self._own_names)

    def _classifier_names(self) -> list[str]:
        """The weights of timm's whole model that the feature maps do not need."""
        import timm

        args = {key: value for key, value in self._kwargs.items()
                if key not in ('features_only', 'out_indices')}
        with torch.device('meta'):
            whole = timm.create_model(pretrained=False, **args).state_dict()
        own = {_flat(name.removeprefix('timm_model.')) for name in self.state_dict()}
        return [name for name in whole if _flat(name) not in own]

    def _own_names(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the whole model under the names that they have here."""
        own = {_flat(name.removeprefix('timm_model.')): name for name in self.state_dict()}
        state = from_lite_names(state, self.timm_model)
        return {own.get(_flat(name.removeprefix('timm_model.')), name): value
                for name, value in state.items()}

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image (B 3 H W) → feature maps (B C_i h_i w_i), ``channels`` holds the C_i.

        Raises:
            DataError: the model fails at images whose sides are no multiples of its stride.
        """
        try:
            features = self.timm_model(x)
        except (RuntimeError, AssertionError) as error:
            # stages that are not given out have larger strides
            stride = max(WHOLE_STRIDE, *self.timm_model.feature_info.reduction())
            if all(side % stride == 0 for side in x.shape[2:]):
                raise
            raise DataError(f"timm's {self._kwargs['model_name']} cannot take an image of "
                            f"{x.shape[3]}x{x.shape[2]} "
                            f'pixels: let the pipelines end at multiples of {stride} (Pad with '
                            f'size_divisor={stride})'
                            ) from error
        if str(getattr(self.timm_model, 'output_fmt', 'NCHW')).endswith('NHWC'):
            return [f.permute(0, 3, 1, 2) for f in features]
        return list(features)
