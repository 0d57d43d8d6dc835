"""The shipped configs of HRDA and MIC, and the rows of AdvSeg and MinEnt: two steps of each at a sixteenth of
their sizes; and a config as the authors of MIC write it."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from data_trees import LABEL_IDS, cityscapes
from torch import nn
from uda_models import seed_all

from experiments import generate_experiment_cfgs, resolve
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.datasets import build_dataset
from mmseg.datasets.loading.loader import build_train_loader, unwrap_batch
from mmseg.datasets.preparation.class_stats import write_class_stats
from mmseg.engine.optimizer import build_optimizers
from mmseg.models.builder import BACKBONES, build_train_model
from mmseg.utils.config import load_config

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = sorted(f'{path.parent.name}/{path.name}' for folder in ('hrda', 'mic')
               for path in (CONFIGS / folder).glob('*.py'))
PARTS = 16
CHANNELS = 8
# table → its rows of AdvSeg and MinEnt, of which three seeds each come first
ADAPTED = [(table, row) for table, rows in ((41, 4), (81, 2)) for row in range(0, 3 * rows, 3)]


@BACKBONES.register_module()
class TwoStages(nn.Module):
    """Features of 8 channels at strides 4 and 32."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, CHANNELS, 4, 4), nn.Conv2d(CHANNELS, CHANNELS, 8, 8)
        self.pretrained = 'none'

    def init_weights(self) -> None:
        """There are none."""

    def forward(self, img):
        first = self.first(img).tanh()
        return [first, self.last(first).tanh()]


@BACKBONES.register_module()
class OneStage(nn.Module):
    """Features of 8 channels at stride 8."""

    def __init__(self):
        super().__init__()
        self.only = nn.Conv2d(3, CHANNELS, 8, 8)

    def forward(self, img):
        return [self.only(img).tanh()]


@pytest.fixture(scope='module')
def city(tmp_path_factory):
    """Cityscapes of 64x32 pixels, with class statistics."""
    root = cityscapes(tmp_path_factory.mktemp('city'))
    labels = sorted(root.rglob('gtFine/train/**/*TrainIds.png'))
    write_class_stats(str(root), [{'file': str(path), **dict.fromkeys(range(len(LABEL_IDS)), 100)}
                                  for path in labels])
    return root


def smaller(value, key=''):
    """A part of a config with the sizes in pixels divided."""
    if isinstance(value, dict):
        return {k: smaller(v, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        sizes = ('img_scale', 'crop_size', 'size', 'stride', 'hr_crop_size', 'crop_pseudo_margins')
        return [v // PARTS if key in sizes else smaller(v) for v in value]
    return value // 2 if key == 'crop_coord_divisible' else value


def small(cfg: dict, root: Path) -> dict:
    cfg = smaller(cfg)
    folders = dict(type='CityscapesDataset', data_root=str(root), img_dir='leftImg8bit/train',
                   ann_dir='gtFine/train')
    train = cfg['data']['train']
    if 'rare_class_sampling' in train:
        train['rare_class_sampling']['min_pixels'] = 1
    for name in ('source', 'target'):
        parts = train[name].get('datasets') or [train[name]]
        parts = [{**part, **folders} for part in parts]
        train[name] = dict(type='ConcatDataset', datasets=parts) if 'datasets' in train[name] else parts[0]
    shrink_network(cfg['model'])
    if 'masked' in cfg['uda']:
        cfg['uda']['masked']['block_size'] //= PARTS
    return cfg


def shrink_network(model: dict) -> None:
    head = model['decode_head']
    if 'DLV2Head' in (head['type'], head.get('single_scale_head')):
        model.update(pretrained=None, backbone=dict(type='OneStage'))
        head.update(in_channels=CHANNELS, in_index=0)
        return
    model.update(pretrained=None, backbone=dict(type='TwoStages'))
    head.update(in_channels=[CHANNELS] * 2, in_index=[0, 1], channels=CHANNELS)
    head['decoder_params'].update(embed_dims=CHANNELS)
    if head['type'] == 'HRDAHead':
        head['attention_embed_dim'] = CHANNELS


def two_steps(cfg: dict, passes: set[str]) -> tuple[dict, dict]:
    """The last batch, and what is logged of it."""
    seed_all(0)
    model = build_train_model(cfg).train()
    loader = build_train_loader(build_dataset(cfg['data']['train']), 2, 0, seed=0, max_steps=2)
    step = OptimizerStep(build_optimizers(model, cfg['optimizer']))
    classifiers = {name: (value, value.clone()) for name, value in model.model.named_parameters()
                   if 'conv_seg' in name or 'aspp_modules' in name}
    for batch in (unwrap_batch(batch, 'cpu') for batch in loader):
        log = model.train_step(batch, step)['log_vars']
        assert {name.split('.')[0] for name in log} == passes
        assert all(torch.isfinite(value) for value in log.values())
    assert classifiers and not any(torch.equal(*pair) for pair in classifiers.values())
    return batch, log


@pytest.mark.parametrize('file', FILES)
def test_two_steps(file, city):
    cfg = small(load_config(CONFIGS / file)._cfg_dict.to_dict(), city)
    masked = {'masked'} if 'masked' in cfg['uda'] else set()
    batch, log = two_steps(cfg, {'src', 'l', 'decode', 'mix'} | masked)
    assert ('valid_pseudo_mask' in batch) == ('2csHR' in file)
    assert batch['img'].shape == ((2, 3, 64, 64) if 'HR' in file else (2, 3, 32, 32))
    assert ('masked.decode.hr.loss_seg' in log) == ('mic_hrda' in file)


@pytest.mark.parametrize('table, row', ADAPTED)
def test_two_steps_of_advseg_and_minent(table, row, city):
    cfg = resolve(generate_experiment_cfgs(table)[row])
    assert cfg['uda']['type'] == ('AdvSeg' if 'advseg' in cfg['name'] else 'MinEnt')
    hrda = 'hrda' in cfg['name']
    batch, log = two_steps(small(cfg, city), {
        'decode', 'trg', *(['d'] if 'advseg' in cfg['name'] else []), *(['masked'] if table == 81 else [])})
    assert batch['img'].shape == ((2, 3, 64, 64) if hrda else (2, 3, 32, 32))
    assert ('decode.hr.loss_seg' in log) == hrda == ('scale' in cfg['uda'])


AS_RELEASED = '''
_base_ = [
    '{configs}/_base_/default_runtime.py',
    '{configs}/_base_/models/daformer_sepaspp_mitb5.py',
    '{configs}/_base_/datasets/uda_gtaHR_to_cityscapesHR_1024x1024.py',
    '{configs}/_base_/uda/dacs_a999_fdthings.py',
    '{configs}/_base_/schedules/adamw.py',
    '{configs}/_base_/schedules/poly10warm.py']
seed = 0
model = dict(
    type='HRDAEncoderDecoder',
    decode_head=dict(type='HRDAHead', single_scale_head='DAFormerHead', attention_classwise=True,
                     hr_loss_weight=0.1),
    scales=[1, 0.5], hr_crop_size=[512, 512], feature_scale=0.5, crop_coord_divisible=8,
    hr_slide_inference=True,
    test_cfg=dict(mode='slide', batched_slide=True, stride=[512, 512], crop_size=[1024, 1024]))
data = dict(
    train=dict(rare_class_sampling=dict(min_pixels=3000, class_temp=0.01, min_crop_ratio=2.0),
               target=dict(crop_pseudo_margins=[30, 240, 30, 30])),
    workers_per_gpu=4, samples_per_gpu=2)
uda = dict(
    mask_mode='separatetrgaug', mask_alpha='same', mask_pseudo_threshold='same', mask_lambda=1,
    mask_generator=dict(type='block', mask_ratio=0.7, mask_block_size=64, _delete_=True))
optimizer_config = None
optimizer = dict(lr=6e-05, paramwise_cfg=dict(custom_keys=dict(
    head=dict(lr_mult=10.0), pos_block=dict(decay_mult=0.0), norm=dict(decay_mult=0.0))))
n_gpus = 1
gpu_model = 'NVIDIATITANRTX'
runner = dict(type='IterBasedRunner', max_iters=40000)
checkpoint_config = dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
evaluation = dict(interval=4000, metric='mIoU')
name = 'gtaHR2csHR_mic_hrda'
exp = 'basic'
'''


def test_a_config_as_the_authors_write_it_is_ours(tmp_path):
    (tmp_path / 'released.py').write_text(AS_RELEASED.format(configs=CONFIGS))
    released = load_config(tmp_path / 'released.py')._cfg_dict.to_dict()
    ours = load_config(CONFIGS / 'mic/gtaHR2csHR_mic_hrda.py')._cfg_dict.to_dict()
    masked = released['uda']['masked']
    assert (masked.pop('alpha'), masked.pop('pseudo_threshold')) == ('same', 'same')
    del released['gpu_model']
    assert {key: value for key, value in released.items() if not key.startswith('_')} == {
        key: value for key, value in ours.items() if not key.startswith('_')}
