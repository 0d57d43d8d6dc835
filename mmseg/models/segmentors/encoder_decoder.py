from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.core import visualization
from mmseg.core.evaluation import generated_palette
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.utils import UserError
from mmseg.utils.registry import check_keys

from .. import builder
from ..builder import SEGMENTORS
from ..utils.resize import resize
from .parse_losses import add_prefix, parse_losses
from .sliding_window import slide_inference


@SEGMENTORS.register_module()
class EncoderDecoder(nn.Module):
    """Backbone, optional neck, decode head, and auxiliary heads for training.

    Args:
        test_cfg: ``mode`` 'whole' or 'slide' (then with ``crop_size`` and ``stride``, in pixels,
            height first).
        pretrained: checkpoint of the backbone, loaded by ``init_weights``.
    """

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
        self._parallel: list[nn.Module] = []

    def init_weights(self) -> None:
        """Load the pretrained backbone, if there is one; all else is initialised already."""
        self.backbone.init_weights()

    # ------------------------------------------------------------------ training

    def extract_feat(self, img: Tensor) -> Sequence[Tensor]:
        """Image (B 3 H W), normalised → the feature maps that the heads choose from."""
        with self._autocast(img):
            features = self.backbone(img)
            return features if self.neck is None else self.neck(features)

    def encode_decode(self, img: Tensor, img_metas: Sequence[dict] | None = None) -> Tensor:
        """Image (B 3 H W) → logits (B C H W)."""
        with self._autocast(img):
            logits = self.decode_head(self.extract_feat(img))
        return self.decode_head.upsample(logits, img.shape[2:])

    def forward_train(self, img: Tensor, img_metas: Sequence[dict], gt_semantic_seg: Tensor,
                      seg_weight: Tensor | None = None, return_feat: bool = False,
                      return_logits: bool = False) -> dict[str, Any]:
        """Losses and log values of one batch.

        Args:
            img: normalised, (B 3 H W).
            gt_semantic_seg: class ids (B 1 H W), int64.
            seg_weight: factor of each pixel (B H W).
            return_feat: add 'features', the list of feature maps.
            return_logits: add 'logits' (B C H W), so that further losses need no second pass, and
                'log_prob', ln σ of them or None.
        """
        return self._losses_of(self.extract_feat(img), img_metas, gt_semantic_seg, seg_weight, return_feat,
                               return_logits)

    def forward_joint(self, batches: Sequence[dict]) -> list[dict[str, Any]]:
        """``forward_train`` of several batches whose images, all of one size, go through the encoder
        together. The heads take one batch after another: their BatchNorm sees each as it would alone.

        Args:
            batches: keyword arguments of ``forward_train``.
        """
        images = [batch['img'] for batch in batches]
        sizes = [len(img) for img in images]
        features = [feature.split(sizes) for feature in self.extract_feat(torch.cat(images))]
        return [self._losses_of([parts[i] for parts in features],
                                **{name: value for name, value in batch.items() if name != 'img'})
                for i, batch in enumerate(batches)]

    def _losses_of(self, features: Sequence[Tensor], img_metas: Sequence[dict], gt_semantic_seg: Tensor,
                   seg_weight: Tensor | None = None, return_feat: bool = False,
                   return_logits: bool = False) -> dict[str, Any]:
        supervision = (img_metas, gt_semantic_seg, self.train_cfg, seg_weight)
        with self._autocast(gt_semantic_seg):
            values = self.decode_head.forward_train(features, *supervision, return_logits=True)
            handed_on = {name: values.pop(name) for name in ('logits', 'log_prob')}
            out: dict[str, Any] = add_prefix(values, 'decode')
            for name, head in self._auxiliary_heads():
                out.update(add_prefix(head.forward_train(features, *supervision), name))
        if return_feat:
            out['features'] = features
        if return_logits:
            out.update(handed_on)
        return out

    def _autocast(self, img: Tensor) -> AbstractContextManager:
        """Of the passes of the network. Losses are not touched: logits leave the heads in float32."""
        return torch.autocast(img.device.type, self.amp_dtype) if self.amp_dtype else nullcontext()

    def compile(self, *args, **kwargs) -> None:
        """Let ``torch.compile`` (which takes the arguments) have the encoder, the neck and each head, in
        place: names of weights stay as they are."""
        heads = [head for _, head in self._auxiliary_heads()]
        for module in (self.backbone, self.neck, self.decode_head, *heads):
            if module is not None:
                module.compile(*args, **kwargs)

    def _auxiliary_heads(self) -> list[tuple[str, nn.Module]]:
        if self.auxiliary_head is None:
            return []
        if isinstance(self.auxiliary_head, nn.ModuleList):
            return [(f'aux_{i}', head) for i, head in enumerate(self.auxiliary_head)]
        return [('aux', self.auxiliary_head)]

    def train_step(self, data_batch: dict, optimizer: torch.optim.Optimizer | OptimizerStep | None = None,
                   **kwargs) -> dict[str, Any]:
        """With an ``OptimizerStep``, the whole step: ``log_vars``, ``num_samples``. Otherwise also the
        ``loss``, whose backward pass and update are left to the caller."""
        if not isinstance(optimizer, OptimizerStep):
            return dict(self._losses(data_batch), num_samples=len(data_batch['img']))

        def passes(part: dict) -> dict[str, Any]:
            with optimizer.no_exchange(self._trained):
                outputs = self._losses(part)
            optimizer.backward(outputs['loss'])
            return dict(log_vars=outputs['log_vars'])

        return optimizer.run(data_batch, passes)

    def _losses(self, data_batch: dict) -> dict[str, Any]:
        loss, log_vars = parse_losses(self._trained(**data_batch))
        return dict(loss=loss, log_vars={**log_vars, 'loss': loss.detach()})

    @property
    def _trained(self) -> nn.Module:
        """The network as it is called in training: inside its parallel wrapper, if there is one."""
        return self._parallel[0] if self._parallel else self

    def distribute(self, wrap) -> None:
        """Train through ``wrap(self)``, e.g. DistributedDataParallel. The wrapper is kept in a list, where
        ``nn.Module`` does not register it: the names of the weights stay as they are."""
        self._parallel = [wrap(self)]

    # ----------------------------------------------------------------- inference

    def show_result(self, img, result, palette=None, **settings):
        """The reference's way to a picture of a prediction, see ``mmseg.core.visualization.show_result``.

        Args:
            img: an image (H W 3) or its file.
            result: what ``inference_segmentor`` gives, a list of one class map (H W), or the map.
            palette: RGB colours; None takes the network's PALETTE (of ``init_segmentor``), or made ones.
        """
        settings.pop('wait_time', None)
        seg = result[0] if isinstance(result, (list, tuple)) else result
        own = getattr(self, 'PALETTE', None) or generated_palette(self.num_classes)
        return visualization.show_result(img, seg, own if palette is None else palette, **settings)

    def forward_dummy(self, img: Tensor) -> Tensor:
        return self.encode_decode(img, None)

    def forward(self, img=None, img_metas=None, return_loss: bool = True, batches=None, **kwargs):
        """``batches``: ``forward_joint``. ``return_loss=True``: ``forward_train``. Otherwise ``img`` and
        ``img_metas`` are lists over the test-time augmentations, and the class maps are returned."""
        if batches is not None:
            return self.forward_joint(batches)
        if return_loss:
            return self.forward_train(img, img_metas, **kwargs)
        return self.forward_test(img, img_metas, **kwargs)

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
                                     self.test_cfg['crop_size'], self.test_cfg['stride'])
        else:
            logits = self.encode_decode(img, img_meta)
        if rescale:
            logits = resize(logits, img_meta[0]['ori_shape'][:2], mode='bilinear',
                            align_corners=self.align_corners)
        if img_meta and img_meta[0].get('flip'):
            logits = logits.flip(3 if img_meta[0].get('flip_direction') == 'horizontal' else 2)
        return logits

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
    check_keys(cfg, ('mode', 'crop_size', 'stride'), 'test_cfg')
    if cfg['mode'] not in ('whole', 'slide'):
        raise UserError(f"test_cfg: mode '{cfg['mode']}', expected whole or slide")
    if cfg['mode'] == 'slide' and not {'crop_size', 'stride'} <= set(cfg):
        raise UserError("test_cfg: mode 'slide' needs crop_size and stride")
    return cfg
