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
    'advent': 'advent', 'advseg': 'advseg', 'bdl': 'bdl', 'fda': 'fda', 'dannet': 'dannet',
    'proda_warmup': 'proda_warmup', 'proda': 'proda_stage1', 'proda_distillation': 'proda_distillation',
    'mgcda': 'mgcda', 'cycle_gan': 'cycle_gan', 'hrda': 'dacs_a999_fdthings', 'mic': 'dacs_a999_fdthings',
    'mic_hrda': 'dacs_a999_fdthings'}
# what a method takes of a batch beside source and target
TAKEN = {'dannet': 'reference_img', 'mgcda': 'target_pseudo_semantic_seg'}
# a network for tests: --backbone tiny
TINY = dict(type='MixVisionTransformer', embed_dims=(8, 16, 24, 32), num_heads=(1, 1, 1, 1),
            depths=(1, 1, 1, 1))


def make_config(args: argparse.Namespace) -> Config:
    """The main config with another method, encoder or precision.

    Args:
        args: ``method`` of ``METHODS``, ``backbone`` ('mit_b0' …, 'narrow', which is MiT-B0 with a decoder of
            64 channels, or 'tiny' for tests), ``size`` of the crop in pixels, ``with_cp``, ``joint_encoder``,
            ``compile`` (what the config's key takes), ``tf32``, ``amp`` (a dtype or None); and, maybe,
            ``query_groups``.
    """
    cfg = load_config(CONFIG)
    if 'hrda' in args.method:
        cfg.model = load_config(CONFIGS / '_base_/models/hrda_daformer_sepaspp_mitb5.py').model
        cfg.model.hr_crop_size = (args.size // 2, args.size // 2)
    _set_network(cfg.model, args)
    cfg.uda = settings_of(args.method)
    if 'mic' in args.method:
        cfg.uda.masked = dict(block_size=args.size // 8)
    if cfg.uda and cfg.uda['type'] == 'DACS':
        # rows without weight, in the proportion of the 512 crop
        cfg.uda.update(debug_img_interval=10 ** 9, joint_encoder=args.joint_encoder,
                       pseudo_weight_ignore_top=15 * args.size // 512,
                       pseudo_weight_ignore_bottom=120 * args.size // 512)
    tiny = args.backbone == 'tiny'
    if args.method == 'dannet':
        cfg.model.update(type='RelitEncoderDecoder', relight=dict(channels=4, blocks=1) if tiny else {})
    if args.method == 'cycle_gan' and tiny:
        cfg.uda.update(channels=4, blocks=1)
    if args.method == 'proda':
        cfg.uda.prototype_steps = 0
    cfg.compile, cfg.tf32 = args.compile, args.tf32
    if args.amp:
        cfg.amp = dict(dtype=args.amp)
    return cfg


def _set_network(model: Config, args: argparse.Namespace) -> None:
    model.pretrained = None
    narrow = args.backbone == 'narrow'
    model.backbone.type = 'mit_b0' if narrow else args.backbone
    model.decode_head.in_channels = SMALL_CHANNELS.get(model.backbone.type, [64, 128, 320, 512])
    model.backbone.with_cp = args.with_cp
    if getattr(args, 'query_groups', None):
        model.backbone.query_groups = args.query_groups
    if narrow:  # the network of HRDA's golden values
        model.backbone.drop_path_rate = 0.0
        model.decode_head.update(channels=64, dropout_ratio=0)
        model.decode_head.decoder_params.embed_dims = 64
        if model.decode_head.type == 'HRDAHead':
            model.decode_head.attention_embed_dim = 32
    if args.backbone == 'tiny':
        model.backbone.update(TINY)
        model.decode_head.update(in_channels=list(TINY['embed_dims']), channels=16)
        model.decode_head.decoder_params.embed_dims = 16


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
        args: ``method``, ``batch``, ``size`` in pixels, ``device``.
    """
    rng = np.random.RandomState(seed)
    shape = (args.batch, 3, args.size, args.size)
    cells = rng.randint(0, 19, (args.batch, 1, args.size // 32, args.size // 32))
    label = np.kron(cells, np.ones((1, 1, 32, 32), np.int64))
    source, target, reference = (torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
                                 for _ in range(3))
    # the loader's workers find the classes, so that no step has to fetch them from the GPU
    metas = [dict(META, label_classes=present_classes(one)) for one in label]
    label = torch.from_numpy(label)
    batch = dict(img=source, img_metas=metas, target_img=target, target_img_metas=metas,
                 gt_semantic_seg=label)
    more = dict(reference_img=reference, target_pseudo_semantic_seg=label.flip(-1))
    batch.update({key: value for key, value in more.items() if key == TAKEN.get(args.method)})
    return on_device(batch, args.device)


def on_device(batch: Mapping[str, Any], device: str) -> dict[str, Any]:
    """The batch with its tensors on ``device``."""
    return {key: value.to(device) if isinstance(value, torch.Tensor) else value
            for key, value in batch.items()}
