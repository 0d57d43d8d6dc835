"""The tables of HRDA and MIC by the ids of their authors, and EBDA on top of both."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from .description import Experiment, describe
from .full_resolution import FullResolution

SEEDS = (0, 1, 2)
PLAIN = dict(uda='dacs')
# methods without self-training, as the authors of HRDA train them
ADAPTED = [dict(uda=method, optimizer='sgd', lr=0.0025) for method in ('advseg', 'minent')]
DAFORMER = dict(uda='dacs_a999_fdthings', rare_class_sampling={})
CROPPED = dict(DAFORMER, crop_pseudo_labels=True)
MARGINS = dict(DAFORMER, margins=True)
TARGET_ONLY = dict(uda='target-only')
GTA, GTA_HALF = dict(source='gtaHR', target='cityscapesHR'), dict(source='gta', target='cityscapes')
GTA_CAUG, GTA_CAUG_HALF = dict(GTA, source='gtaCAugHR'), dict(GTA_HALF, source='gtaCAug')
SYNTHIA, SYNTHIA_HALF = dict(GTA, source='synthiaHR'), dict(GTA_HALF, source='synthia')
ACDC, ACDC_HALF = dict(source='cityscapesHR', target='acdcHR'), dict(source='cityscapes', target='acdc')
NIGHT, NIGHT_HALF = dict(ACDC, target='darkzurichHR'), dict(ACDC_HALF, target='darkzurich')
FOGGY_RAIN = dict(ACDC, target='foggyrainHR')
SLIDE = dict(slide=True)
NETWORK = dict(architecture='daformer_sepaspp', backbone='mitb5')
HRDA = dict(architecture='hrda_daformer_sepaspp', backbone='mitb5', slide=True)
DEEPLABV2 = dict(architecture='dlv2red', backbone='r101v1c')
HRDA_DEEPLABV2 = dict(architecture='hrda_dlv2red', backbone='r101v1c')
MASKED, SEPARATE = dict(masked={}), dict(masked=dict(mode='separate'))
BALANCE = dict(entropy_balance={})


def _rows(*rows: dict[str, Any], seeds: Iterable[int] = SEEDS) -> list[Experiment]:
    return [describe(FullResolution, **row, seed=seed) for row in rows for seed in seeds]


def _each(*axes: list[dict]) -> list[dict]:
    """All combinations of the settings on the axes, the last axis running fastest."""
    return [{key: value for settings in combination for key, value in settings.items()}
            for combination in product(*axes)]


def _squares(size: int, ratio: float = 0.7) -> dict:
    return dict(masked=dict(block_size=size, mask_ratio=ratio))


def _mode(mode: str) -> dict:
    return dict(masked=dict(mode=mode))


def hrda() -> list[Experiment]:
    return _rows(*_each([HRDA], [dict(GTA, **MARGINS), dict(SYNTHIA, **MARGINS)]))


def hrda_on_deeplabv2() -> list[Experiment]:
    half, full = dict(GTA_HALF, **DEEPLABV2), dict(GTA, **HRDA_DEEPLABV2)
    recoloured = [half | GTA_CAUG_HALF, full | GTA_CAUG]
    return _rows(*_each(ADAPTED, recoloured), *_each([PLAIN, MARGINS], [half, full]))


def sizes_of_the_crop() -> list[Experiment]:
    return _rows(*(dict(NETWORK, **SLIDE, **MARGINS, **domains, shared_crop=side) for domains, side in (
        *((GTA_HALF, side) for side in (128, 256, 384, None)), *((GTA, side) for side in (256, 512, 768)))))


def sizes_of_the_crop_with_target_labels() -> list[Experiment]:
    half, full = dict(source='', target='cityscapes'), dict(source='', target='cityscapesHR')
    return _rows(*(dict(NETWORK, **SLIDE, **TARGET_ONLY, **domains, crop=side) for domains, side in (
        *((half, side) for side in (128, 256, 384, None)), *((full, side) for side in (256, None, 768)))))


def hrda_ablation() -> list[Experiment]:
    settings: list[dict] = [
        dict(shared_crop=512), dict(shared_crop=768),
        dict(detail=dict(crop=256)), dict(detail=dict(crop=384)),
        dict(shared_crop=768, detail=dict(crop=384)),
        dict(GTA_HALF, detail=dict(crop=256, mods=('samescale',))), dict(detail=dict(mods=('blurhr',))),
        dict(detail=dict(weight=0, mods=('fixedatt', 'nooverlap'))),
        dict(detail=dict(weight=0, mods=('nooverlap',))),
        *(dict(detail=dict(weight=weight)) for weight in (0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        *(dict(shared_crop=512, detail=dict(mods=(scale,))) for scale in ('sc025', 'sc075'))]
    return _rows(*(dict(HRDA, **MARGINS) | GTA | changes for changes in settings))


def hrda_on_adverse() -> list[Experiment]:
    return _rows(*_each([dict(HRDA, **DAFORMER)], [ACDC, NIGHT]))


def _mic_on_hrda(**more: Any) -> list[dict]:
    return [dict(HRDA, **row, **more) for row in (
        dict(GTA, **MARGINS, **MASKED), dict(SYNTHIA, **MARGINS, **MASKED),
        dict(ACDC, **DAFORMER, **SEPARATE), dict(NIGHT, **DAFORMER, **SEPARATE))]


def mic() -> list[Experiment]:
    return _rows(*_mic_on_hrda())


def mic_on_other_methods() -> list[Experiment]:
    half = [dict(DEEPLABV2, **method) for method in (*ADAPTED, PLAIN, CROPPED)]
    return _rows(*(dict(GTA_HALF, **MASKED, **row) for row in half),
                 dict(GTA, **HRDA_DEEPLABV2, **SLIDE, **MARGINS, **MASKED),
                 dict(GTA_HALF, **NETWORK, **CROPPED, **MASKED))


def mic_domains() -> list[Experiment]:
    return _rows(
        *(dict(HRDA, **GTA, **MARGINS, **_mode(mode)) for mode in ('separatesrcaug', 'separateaug')),
        *(dict(HRDA, **ACDC, **DAFORMER, **_mode(mode)) for mode in ('separatesrc', 'separatetrg')))


def mic_components() -> list[Experiment]:
    changes = [dict(mode='separatetrg'), dict(mask_ratio=0), dict(alpha=0), dict(pseudo_threshold=None)]
    return _rows(*(dict(GTA_HALF, **NETWORK, **CROPPED, masked=change) for change in changes))


def mic_squares() -> list[Experiment]:
    squares = [_squares(size, ratio) for size in (16, 32, 64, 128) for ratio in (0.3, 0.5, 0.7, 0.9)
               if (size, ratio) != (32, 0.7)]  # which is in 81
    return _rows(*(dict(GTA_HALF, **NETWORK, **CROPPED, **one) for one in squares))


def mic_supervised() -> list[Experiment]:
    return _rows(dict(NETWORK, source='cityscapes', target='cityscapes', uda='dacs_srconly',
                      **_mode('separatesrc')))


def ebda_on_hrda() -> list[Experiment]:
    return _rows(*_each([dict(HRDA, **BALANCE)], [
        dict(GTA, **MARGINS), dict(SYNTHIA, **MARGINS), dict(ACDC, **DAFORMER), dict(NIGHT, **DAFORMER)]))


def ebda_on_mic_daformer() -> list[Experiment]:
    return _rows(*_each([dict(NETWORK, **BALANCE)], [
        dict(GTA_HALF, **CROPPED, **MASKED), dict(SYNTHIA_HALF, **CROPPED, **MASKED),
        dict(ACDC_HALF, **CROPPED, **SEPARATE), dict(NIGHT_HALF, **CROPPED, **SEPARATE)]))


def ebda_on_mic_hrda() -> list[Experiment]:
    return _rows(*_mic_on_hrda(**BALANCE))


def on_foggy_rain() -> list[Experiment]:
    methods = [{}, SEPARATE, BALANCE, dict(SEPARATE, **BALANCE)]
    return _rows(*_each([dict(HRDA, **FOGGY_RAIN, **DAFORMER)], methods))


TABLES: dict[int, tuple[str, Callable[[], list[Experiment]]]] = {
    40: ('HRDA: GTA and SYNTHIA to Cityscapes', hrda),
    41: ('HRDA: with DeepLabV2', hrda_on_deeplabv2),
    42: ('HRDA: size of the crop of DAFormer', sizes_of_the_crop),
    43: ('HRDA: size of the crop with labels of the target', sizes_of_the_crop_with_target_labels),
    44: ('HRDA: ablation', hrda_ablation),
    45: ('EBDA on HRDA: GTA, SYNTHIA, ACDC, Dark Zurich', ebda_on_hrda),
    46: ('EBDA on MIC(DAFormer): GTA, SYNTHIA, ACDC, Dark Zurich', ebda_on_mic_daformer),
    47: ('EBDA on MIC(HRDA): GTA, SYNTHIA, ACDC, Dark Zurich', ebda_on_mic_hrda),
    48: ('HRDA, MIC(HRDA) and EBDA on them: Cityscapes to Foggy and Rain Cityscapes', on_foggy_rain),
    49: ('HRDA: Cityscapes to ACDC and to Dark Zurich', hrda_on_adverse),
    80: ('MIC(HRDA): GTA, SYNTHIA, ACDC, Dark Zurich', mic),
    81: ('MIC: with other methods and networks', mic_on_other_methods),
    82: ('MIC: which domains are masked', mic_domains),
    83: ('MIC: ablation', mic_components),
    84: ('MIC: squares of the mask', mic_squares),
    85: ('MIC: Cityscapes, supervised', mic_supervised),
}
