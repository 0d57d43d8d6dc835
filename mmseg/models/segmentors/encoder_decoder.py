from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.core import visualization
from mmseg.core.cast_weights import CastWeights
from mmseg.core.evaluation import generated_palette
from mmseg.core.method import Method, Pass, Terms
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.core.pictures import Style
from mmseg.utils import UserError
from mmseg.utils.registry import check_keys

from .. import builder
from ..builder import SEGMENTORS
from ..losses.labelled_pass import Labelled, labelled_pass
from ..losses.supervision import supervise
from ..output import HeadOutput, SegOutput, View
from ..requirements import check_logits, require
from ..utils.resize import resize
from .sliding_window import slide_inference

FLIPPED = dict(horizontal=(3,), vertical=(2,), diagonal=(2, 3))  # dimensions of a map (B C H W)


@SEGMENTORS.register_module()
class EncoderDecoder(Method):
    """Backbone, optional neck, decode head, and auxiliary heads for training.

    Args:
        test_cfg: ``mode`` 'whole' or 'slide' (then with ``crop_size`` and ``stride``, in pixels,
            height first, and ``batched_slide``, which takes all windows at once).
        pretrained: checkpoint of the backbone, loaded by ``init_weights``.
    """

    one_graph = True  # with its losses, see ``Graphs``

    def __init__(self, backbone: dict, decode_head: dict, neck: dict | None = None,
                 auxiliary_head: dict | Sequence[dict] | None = None, train_cfg: dict | None = None,
                 test_cfg: dict | None = None, pretrained: str | None = None,
                 init_cfg: dict | None = None):
        super().__init__()
        pretrained = pretrained or (init_cfg or {}).get('checkpoint')
        if pretrained is not None:
            backbone = {**backbone, 'pretrained': pretrained}
        self.backbone = builder.build_backbone(backbone)
        self.neck = None if neck is None else builder.build_neck(neck)
        self.decode_head = builder.build_head(decode_head)
        if auxiliary_head is None:
            self.auxiliary_head = None
        elif isinstance(auxiliary_head, dict):
            self.auxiliary_head = builder.build_head(auxiliary_head)
        else:
            self.auxiliary_head = nn.ModuleList(builder.build_head(cfg) for cfg in auxiliary_head)
        self.num_classes, self.align_corners = self.decode_head.num_classes, self.decode_head.align_corners
        self.train_cfg, self.test_cfg = dict(train_cfg or {}), _checked_test_cfg(test_cfg)
        self.amp_dtype: torch.dtype | None = None  # of the passes, if not float32
        self.cast_weights: CastWeights | None = None  # then for the passes of a step

    def init_weights(self) -> None:
        """Load the pretrained backbone, if there is one; all else is initialised already."""
        require(self.backbone, 'backbone').init_weights()

    # ------------------------------------------------------------------ training

    def extract_feat(self, img: Tensor) -> Sequence[Tensor]:
        """Image (B 3 H W), normalised → the feature maps that the heads choose from."""
        with self._autocast(img):
            features = self.backbone(img)
            return features if self.neck is None else self.neck(features)

    def coarse_logits(self, img: Tensor) -> Tensor:
        """Image (B 3 H W) → logits at the decode head's own resolution (B C h w)."""
        with self._autocast(img):
            return self.decode_head(self.extract_feat(img))

    def encode_decode(self, img: Tensor, img_metas: Sequence[dict] | None = None) -> Tensor:
        """Image (B 3 H W) → logits (B C H W)."""
        return self.decode_head.upsample(self.coarse_logits(img), img.shape[2:])

    def outputs(self, *images: Tensor) -> list[SegOutput]:
        """What the losses of training are computed from, for each batch of ``images``.

        Args:
            images: normalised, (B 3 H W). Several, all of one size, go through the encoder together; the
                heads take one after another, so their BatchNorm sees each as it would alone.
        """
        if len(images) == 1:
            return [self._heads(images[0], self.extract_feat(images[0]))]
        features = self.extract_feat(torch.cat(images))
        features = [feature.split([len(img) for img in images]) for feature in features]
        return [self._heads(img, [parts[i] for parts in features]) for i, img in enumerate(images)]

    def _heads(self, img: Tensor, features: Sequence[Tensor]) -> SegOutput:
        supervised = {}
        with self._autocast(img):
            for prefix, head in (('decode', self.decode_head), *self.auxiliary_heads()):
                for name, logits in head.training_logits(features).items():
                    check_logits(head, logits)
                    key = f'{prefix}.{name}' if name else prefix
                    supervised[key] = HeadOutput(head.upsample(logits, img.shape[2:]), head, logits)
        return SegOutput([View(img, features)], supervised)

    def forward_train(self, img: Tensor, img_metas: Sequence[dict], gt_semantic_seg: Tensor,
                      seg_weight: Tensor | None = None) -> dict[str, Tensor]:
        """The reference's way to the losses and log values of a batch.

        Args:
            img: normalised, (B 3 H W).
            gt_semantic_seg: class ids (B 1 H W), int64.
            seg_weight: factor of each pixel (B H W).
        """
        [output] = self.outputs(img)
        terms = supervise(output, gt_semantic_seg, seg_weight)
        return {**terms.losses, **terms.metrics}

    def _autocast(self, img: Tensor) -> AbstractContextManager:
        """Of the passes of the network. Losses are not touched: logits leave the heads in float32."""
        return torch.autocast(img.device.type, self.amp_dtype) if self.amp_dtype else nullcontext()

    def compile(self, *args, **kwargs) -> None:
        """Let ``torch.compile`` (which takes the arguments) have the encoder, the neck and each head, in
        place: names of weights stay as they are."""
        heads = [head for _, head in self.auxiliary_heads()]
        for module in (self.backbone, self.neck, self.decode_head, *heads):
            if module is not None:
                module.compile(*args, **kwargs)

    def auxiliary_heads(self) -> list[tuple[str, nn.Module]]:
        """By the names of their outputs: 'aux', or 'aux_0', … of several."""
        if self.auxiliary_head is None:
            return []
        if isinstance(self.auxiliary_head, nn.ModuleList):
            return [(f'aux_{i}', head) for i, head in enumerate(self.auxiliary_head)]
        return [('aux', self.auxiliary_head)]

    # ------------------------------------------------------------------ as a method: the source alone

    def networks(self) -> dict[str, nn.Module]:
        return {'model': self}

    def trainable(self) -> dict[str, tuple[str, ...]]:
        return {'optimizer': ('model',)}

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        return [Pass(lambda: self._supervised(batch), trains=('model',))]

    def _supervised(self, batch: Mapping[str, Any]) -> Terms:
        network = self.network('model')
        labelled = Labelled(batch['img'], batch['gt_semantic_seg'], batch.get('seg_weight'))
        [(terms, _)] = self.graphs.of(labelled_pass, network)(network, labelled)
        terms.metrics['loss'] = terms.total().detach()
        return terms

    def train_step(self, data_batch: Mapping[str, Any], optimizer: Any = None, **kwargs) -> dict[str, Any]:
        """With an ``OptimizerStep``, the whole step. Otherwise, as mmcv's runners expect, ``log_vars``,
        ``num_samples`` and the ``loss``, whose backward pass and update are left to the caller."""
        if isinstance(optimizer, OptimizerStep):
            return super().train_step(data_batch, optimizer)
        terms = self._supervised(data_batch)
        return dict(loss=terms.total(), log_vars=terms.logged(), num_samples=len(data_batch['img']))

    # ----------------------------------------------------------------- inference

    def show_result(self, img, result, palette=None, **settings):
        """The reference's way to a picture of a prediction, see ``mmseg.core.visualization.show_result``.

        Args:
            img: an image (H W 3) or its file.
            result: what ``inference_segmentor`` gives, a list of one class map (H W), or the map.
            palette: RGB colours; None takes the network's PALETTE (of ``init_segmentor``), or made ones.
            settings: of ``show_result``; and ``legend`` and ``outlines``, see ``Style``.
        """
        settings.pop('wait_time', None)
        seg = result[0] if isinstance(result, (list, tuple)) else result
        if palette is None:
            palette = getattr(self, 'PALETTE', None) or generated_palette(self.num_classes)
        drawn = {key: settings.pop(key) for key in ('legend', 'outlines') if key in settings}
        style = Style(palette, getattr(self, 'CLASSES', None) or (), settings.get('opacity', 0.5), **drawn)
        return visualization.show_result(img, seg, palette, draw=style.draw, **settings)

    def forward_dummy(self, img: Tensor) -> Tensor:
        return self.encode_decode(img, None)

    def forward(self, *images, img_metas=None, return_loss: bool = True, **kwargs):
        """Of images alone, ``outputs``. With ``img_metas``, which may be the second positional argument, the
        reference's two ways: ``return_loss=True`` gives ``forward_train``; otherwise ``img`` and
        ``img_metas`` are lists over the test-time augmentations, and the class maps are returned."""
        images = images or (kwargs.pop('img'),)
        if img_metas is None and len(images) == 2 and not isinstance(images[1], Tensor):
            images, img_metas = images[:1], images[1]
        if img_metas is None:
            return self.outputs(*images, **kwargs)
        way = self.forward_train if return_loss else self.forward_test
        return way(*images, img_metas, **kwargs)  # type: ignore[call-arg]  # it is not known to be one image

    def forward_test(self, imgs: Sequence[Tensor], img_metas: Sequence[Sequence[dict]], rescale: bool = True):
        """Class maps of a batch, augmented or not; see ``simple_test`` and ``aug_test``."""
        if len(imgs) != len(img_metas):
            raise ValueError(f'{len(imgs)} augmented images, but {len(img_metas)} lists of meta data')
        if len(imgs) == 1:
            return self.simple_test(imgs[0], img_metas[0], rescale)
        return self.aug_test(imgs, img_metas, rescale)

    def inference_logits(self, img: Tensor, img_meta: Sequence[dict], rescale: bool) -> Tensor:
        """Logits (B C H W), at the original image's size with ``rescale``, un-flipped."""
        if self.test_cfg['mode'] == 'slide':
            logits = slide_inference(lambda crop: self.encode_decode(crop, img_meta), img, self.num_classes,
                                     self.test_cfg['crop_size'], self.test_cfg['stride'],
                                     self.test_cfg.get('batched_slide', False))
        else:
            logits = self.encode_decode(img, img_meta)
        return self.as_original(logits, img_meta, rescale)

    def as_original(self, maps: Tensor, img_meta: Sequence[dict], rescale: bool = True) -> Tensor:
        """Maps of augmented images (B C h w), un-flipped; with ``rescale`` at the original image's size."""
        if rescale:
            maps = resize(maps, img_meta[0]['ori_shape'][:2], mode='bilinear',
                          align_corners=self.align_corners)
        if img_meta and img_meta[0].get('flip'):
            maps = maps.flip(FLIPPED[img_meta[0]['flip_direction']])
        return maps

    def inference(self, img: Tensor, img_meta: Sequence[dict], rescale: bool = True) -> Tensor:
        """Class probabilities (B C H W), 0–1.

        Raises:
            ValueError: images of different original sizes in one batch.
        """
        shapes = {tuple(meta['ori_shape']) for meta in img_meta}
        if rescale and len(shapes) > 1:
            raise ValueError(f'images of different original sizes in one batch: {sorted(shapes)}')
        return F.softmax(self.inference_logits(img, img_meta, rescale), dim=1)

    def simple_test(self, img: Tensor, img_meta: Sequence[dict], rescale: bool = True) -> list:
        """One int64 numpy map (H W) an image. The argmax of the logits is that of the softmax."""
        return list(self.inference_logits(img, img_meta, rescale).argmax(dim=1).cpu().numpy())

    def aug_test(self, imgs: Sequence[Tensor], img_metas: Sequence[Sequence[dict]],
                 rescale: bool = True) -> list:
        """Mean of the probabilities over the augmentations, at the original size."""
        if not rescale:
            raise ValueError('augmented predictions can only be averaged at the original size')
        total = sum(self.inference(img, meta, rescale) for img, meta in zip(imgs, img_metas))
        return list(total.argmax(dim=1).cpu().numpy())


def _checked_test_cfg(test_cfg: dict | None) -> dict:
    cfg = {'mode': 'whole', **(test_cfg or {})}
    check_keys(cfg, ('mode', 'crop_size', 'stride', 'batched_slide'), 'test_cfg')
    if cfg['mode'] not in ('whole', 'slide'):
        raise UserError(f"test_cfg: mode '{cfg['mode']}', expected whole or slide")
    if cfg['mode'] == 'slide' and not {'crop_size', 'stride'} <= set(cfg):
        raise UserError("test_cfg: mode 'slide' needs crop_size and stride")
    return cfg
