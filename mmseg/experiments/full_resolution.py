"""Experiments of HRDA and MIC: what they have beyond those of DAFormer, named as their authors name it."""
from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from mmseg.utils import UserError

from .description import Experiment, base_settings

# what a mode is called in names
MODES = dict(separate='sep', separateaug='spa', separatesrc='sps', separatesrcaug='spsa', separatetrg='spt',
             separatetrgaug='spta')
# settings of HRDA by their names in the ablations; the model's, but for those of the head
HRDA = dict(
    samescale=dict(scales=[1, 1], feature_scale=1), blurhr=dict(blur_hr_crop=True),
    fixedatt=dict(decode_head=dict(fixed_attention=0.5)), nooverlap=dict(hr_slide_overlapping=False),
    sc025=dict(scales=[1, 0.25], feature_scale=0.25), sc075=dict(scales=[1, 0.75], feature_scale=0.75))


@dataclass(frozen=True)
class FullResolution(Experiment):
    """An ``Experiment`` whose architecture may be an HRDA network, and whose method may be MIC."""

    masked: dict[str, Any] | None = None
    """What differs from _base_/uda/masked.py; None is without the masked pass."""
    margins: bool = False
    """Leave pseudo-labels out at the margins of the image that the domains' file names."""
    crop: int | None = None
    """Side of the crop where it is not that of the domains' file, pixels; without adaptation alone."""
    shared_crop: int | None = None
    """Side of a second crop, the same of source and target, pixels."""
    slide: bool = False
    """Test with windows of the training's crop that overlap by half."""
    detail: dict[str, Any] = field(default_factory=dict)
    """Of an HRDA network: crop, weight, and a tuple of names of ``HRDA``, where they are not 512, 0.1, ()."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.margins and self.crop_pseudo_labels:
            raise UserError('experiment: margins take the place of crop_pseudo_labels')
        if self.detail and not self.is_hrda:
            raise UserError(f"experiment: '{self.architecture}' has no details")
        if not self.adapts and (self.masked is not None or self.margins or self.shared_crop):
            raise UserError(f"experiment: '{self.uda}' has no masked images, pseudo-labels or shared crop")

    # ------------------------------------------------------------------- names

    @property
    def is_hrda(self) -> bool:
        return self.architecture.startswith('hrda_')

    @property
    def uda_name(self) -> str:
        parts = [self.uda]
        if self.rare_class_sampling is not None:
            ratio = f'-{self.sampling["min_crop_ratio"]}' if self.at_full_resolution else ''
            parts.append(f'rcs{self.sampling["class_temp"]}{ratio}')
        if self.shared_crop is not None:
            parts.append(f'sf{self.shared_crop}x{self.shared_crop}')
        parts += ['cpl'] * self.crop_pseudo_labels + ['cpl2'] * self.margins
        if self.entropy_balance is not None:
            parts.append(self._balance_name)
        if self.masked is not None:
            parts.append(self._mask_name)
        return '_'.join(parts)

    @property
    def _mask_name(self) -> str:
        given = self.mask_settings
        letters = dict(a='alpha', p='pseudo_threshold')
        own = ''.join(f'-{letter}{given[key]}' for letter, key in letters.items() if key in given)
        name = f"m{given['block_size']}-{given['mask_ratio']}{own}-{MODES[given['mode']]}"
        return name.replace('None', 'N')

    @property
    def network_name(self) -> str:
        name = self.architecture
        if self.is_hrda:
            crop, weight, names = self._detail
            mods = ''.join(f'-{mod}' for mod in names)
            name = f'hrda1-{crop}-{weight}{mods}_{name.removeprefix("hrda_")}'
        return name + ('_sl' if self.slide else '')

    @property
    def name(self) -> str:
        optimizer = '' if self.optimizer == 'adamw' else f'{self.optimizer}_{self.lr}_pmF'
        domains = self.domains.name if self.crop is None else (
            self.domains.name.replace('_1024x1024', '') + f'_{self.crop}x{self.crop}')
        parts = (domains, self.uda_name, self.network_name, self.backbone, self.schedule, optimizer, self.tag,
                 f's{self.seed}')
        return '_'.join(filter(None, parts)).replace('.', '')

    # ------------------------------------------------------------------- settings

    @property
    def at_full_resolution(self) -> bool:
        return '_crop_ratio' in base_settings(self.data_file)

    @property
    def sampling(self) -> dict:
        found = super().sampling
        ratio = {'min_crop_ratio': self.of_domains('_crop_ratio')} if self.at_full_resolution else {}
        return found | ratio | self.rare_class_sampling

    @property
    def mask_settings(self) -> dict:
        """Squares of half the side at half the resolution."""
        settings = base_settings('uda/masked.py')['_masked']
        if not self.at_full_resolution:
            settings['block_size'] //= 2
        return settings | self.masked

    @property
    def _detail(self) -> tuple[int, float, tuple[str, ...]]:
        given = dict(crop=512, weight=0.1, mods=()) | self.detail
        return given['crop'], given['weight'], given['mods']

    @property
    def side(self) -> int:
        """Of what a training step sees, pixels."""
        return self.shared_crop or self.crop or (1024 if self.at_full_resolution else 512)

    def adapt(self, cfg: dict) -> None:
        train = cfg['data']['train']
        if self.masked is not None:
            cfg['uda']['masked'] = self.mask_settings
        if self.margins:
            train['target'] = dict(crop_pseudo_margins=self.of_domains('_margins'))
        if self.shared_crop is not None:
            train['sync_crop_size'] = [self.shared_crop] * 2
        if self.crop is not None:
            train['pipeline'] = _cropped(base_settings(self.data_file)['train_pipeline'], self.crop)
        if self.is_hrda:
            merge(cfg['model'], self._hrda())
            if self.adapts and '_hrda_scale' in self.uda_settings:
                cfg['uda']['scale'] = self.uda_settings['_hrda_scale']
        if self.slide:
            cfg['model']['test_cfg'] = dict(mode='slide', batched_slide=True, stride=[self.side // 2] * 2,
                                            crop_size=[self.side] * 2)

    def _hrda(self) -> dict:
        """What differs from the network's file."""
        crop, weight, names = self._detail
        head: dict[str, Any] = {} if weight == 0.1 else dict(hr_loss_weight=weight)
        if crop == self.side:  # nothing is left to the fused logits alone, so the context has a loss as well
            head['lr_loss_weight'] = weight
        changes: dict[str, Any] = dict(decode_head=head) if head else {}
        if crop != 512:
            changes['hr_crop_size'] = [crop] * 2
        for name in names:
            merge(changes, deepcopy(HRDA[name]))
        return changes


def merge(cfg: dict, changes: Mapping[str, Any]) -> None:
    """Put ``changes`` into ``cfg``, dicts into dicts."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(cfg.get(key), dict):
            merge(cfg[key], value)
        else:
            cfg[key] = value


def _cropped(pipeline: list[dict], side: int) -> list[dict]:
    keys = dict(RandomCrop='crop_size', Pad='size')
    pipeline = [{**step, keys[step['type']]: [side] * 2} if step['type'] in keys else step
                for step in pipeline]
    return json.loads(json.dumps(pipeline))  # tuples as lists, as all of a config is written
