"""What the benchmarks train: each method on one network, its optimisers, and batches of noise."""
from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmseg.core.method import Method
from mmseg.core.optimizer_step import Optimizers
from mmseg.engine.optimizer import build_optimizers
from mmseg.models.builder import build_train_model
from mmseg.utils.config import Config, load_config
from mmseg.utils.labels import present_classes

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
CONFIG = CONFIGS / 'ebda/cs2acdc_ebda_daformer_mitb5_s0.py'
SMALL_CHANNELS = {'mit_b0': [32, 64, 160, 256]}
META = dict(img_norm_cfg=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True))
JUDGES = dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))  # optimiser of discriminators
# name → file of its settings in configs/_base_/uda; None trains on the source alone
METHODS: dict[str, str | None] = {
    'ebda': 'ebda', 'daformer': 'dacs_a999_fdthings', 'dacs': 'dacs', 'source': None, 'minent': 'minent',
    'advent': 'advent', 'bdl': 'bdl', 'fda': 'fda', 'dannet': 'dannet', 'proda_warmup': 'proda_warmup',
    'proda': 'proda_stage1', 'proda_distillation': 'proda_distillation'}


def make_config(args: argparse.Namespace) -> Config:
    """The main config with another method, encoder or precision.

    Args:
        args: ``method`` of ``METHODS``, ``backbone``, ``size`` of the crop in pixels, ``with_cp``,
            ``joint_encoder``, ``compile`` (what the config's key takes), ``tf32``, ``amp`` (a dtype or None).
    """
    cfg = load_config(CONFIG)
    cfg.model.pretrained = None
    cfg.model.backbone.type = args.backbone
    cfg.model.decode_head.in_channels = SMALL_CHANNELS.get(args.backbone, [64, 128, 320, 512])
    cfg.model.backbone.with_cp = args.with_cp
    cfg.uda = settings_of(args.method)
    if cfg.uda and cfg.uda['type'] == 'DACS':
        # rows without weight, in the proportion of the 512 crop
        cfg.uda.update(debug_img_interval=10 ** 9, joint_encoder=args.joint_encoder,
                       pseudo_weight_ignore_top=15 * args.size // 512,
                       pseudo_weight_ignore_bottom=120 * args.size // 512)
    if args.method == 'dannet':
        cfg.model.type = 'RelitEncoderDecoder'
    if args.method == 'proda':
        cfg.uda.prototype_steps = 0
    cfg.compile, cfg.tf32 = args.compile, args.tf32
    if args.amp:
        cfg.amp = dict(dtype=args.amp)
    return cfg


def settings_of(method: str) -> dict[str, Any] | None:
    """``cfg.uda`` of a method of ``METHODS``."""
    file = METHODS[method]
    return None if file is None else load_config(CONFIGS / f'_base_/uda/{file}.py').uda


def make_method(cfg: Config, device: str = 'cpu') -> Method:
    """With random weights, made on ``device``, in training mode; ProDA as if its prototypes had been
    averaged."""
    torch.manual_seed(0)
    with torch.device(device):
        model = build_train_model(cfg).train()
    if hasattr(model, 'prototypes'):
        model.prototypes.counts.fill_(1)
        model.prototypes.vectors.normal_()
    return model


def make_optimizers(model: Method, cfg: Config) -> Optimizers:
    """The config's for the network, Adam for discriminators."""
    names = tuple(model.trainable())
    if len(names) < 2:
        return build_optimizers(model, dict(cfg.optimizer))
    return build_optimizers(model, {names[0]: dict(cfg.optimizer), **dict.fromkeys(names[1:], JUDGES)})


def make_batch(args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Noise for images, blocks of classes for labels, as every method takes them.

    Args:
        args: ``batch``, ``size`` in pixels, ``device``.
    """
    rng = np.random.RandomState(seed)
    shape = (args.batch, 3, args.size, args.size)
    cells = rng.randint(0, 19, (args.batch, 1, args.size // 32, args.size // 32))
    label = np.kron(cells, np.ones((1, 1, 32, 32), np.int64))
    source, target, reference = (torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
                                 for _ in range(3))
    # the loader's workers find the classes, so that no step has to fetch them from the GPU
    metas = [dict(META, label_classes=present_classes(one)) for one in label]
    batch = dict(img=source, img_metas=metas, target_img=target, gt_semantic_seg=torch.from_numpy(label),
                 target_img_metas=metas, reference_img=reference)
    return on_device(batch, args.device)


def on_device(batch: Mapping[str, Any], device: str) -> dict[str, Any]:
    """The batch with its tensors on ``device``."""
    return {key: value.to(device) if isinstance(value, torch.Tensor) else value
            for key, value in batch.items()}
