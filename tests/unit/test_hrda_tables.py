"""The experiments of HRDA and MIC: names and settings are those of the released repositories."""
from __future__ import annotations

import gzip
import json
from functools import cache

import pytest
from golden import DATA

from experiments import generate_experiment_cfgs, resolve
from mmseg.experiments.description import describe
from mmseg.experiments.full_resolution import FullResolution
from mmseg.utils import ConfigError, UserError
from mmseg.utils.legacy import update_legacy_cfg

RELEASED = json.loads(gzip.decompress((DATA / 'hrda_mic_configs.json.gz').read_bytes()))
ROWS = {row['name']: (table, row) for table, rows in RELEASED['rows'].items() for row in rows}


@cache
def table(number: str) -> dict[str, dict]:
    return {cfg['name']: cfg for cfg in generate_experiment_cfgs(int(number))}


def as_json(value):
    return json.loads(json.dumps(value))


def transforms(pipeline: list[dict]) -> dict:
    """Of the released row's kind: the settings of the transforms that it tells."""
    told = dict(Resize=('img_scale',), RandomCrop=('crop_size', 'cat_max_ratio'), PhotoMetricDistortion=())
    return {step['type']: {key: step[key] for key in told[step['type']] if key in step}
            for step in pipeline if step['type'] in told}


@pytest.mark.parametrize('number', RELEASED['names'])
def test_names_are_those_of_the_releases(number):
    assert list(table(number)) == RELEASED['names'][number]


@pytest.mark.parametrize('name', ROWS)
def test_settings_are_those_of_the_release(name):
    number, row = ROWS[name]
    cfg = as_json(resolve(table(number)[f'{name}_s0']))
    assert_model(cfg['model'], row)
    assert dict(source_only=False) | cfg['uda'] == dict(source_only=False) | expected_method(row)
    data, train = row['data'], cfg['data']['train']
    assert cfg['data']['samples_per_gpu'] == data['samples_per_gpu']
    assert train.get('rare_class_sampling') == data.get('rare_class_sampling')
    assert train['target'].get('crop_pseudo_margins') == data.get('crop_pseudo_margins')
    assert transforms(train['source']['pipeline']) == data['source']
    if not row['uda'].get('source_only'):  # whose target is not seen
        assert transforms(train['target']['pipeline']) == data['target']
    assert cfg['data']['test']['pipeline'][1]['img_scale'] == data['test_img_scale']
    assert optimizer_of(cfg, row) == row['optimizer'] and cfg['optimizer_config'] is row['optimizer_config']
    for key, value in RELEASED['common'].items():
        assert {k: cfg[key][k] for k in value} == value


def released_config(row: dict) -> dict:
    """A released row in the words of here, as a run folder's config or a config file would be."""
    return as_json(update_legacy_cfg(dict(
        model=dict(row['model']), uda=dict(row['uda']), optimizer=dict(row['optimizer']), lr_config={})))


def expected_method(row: dict) -> dict:
    uda = released_config(row)['uda']
    if 'masked' in uda:
        uda['masked'] = {key: value for key, value in uda['masked'].items() if value != 'same'}
    return uda


def optimizer_of(cfg: dict, row: dict) -> dict:
    """The network's."""
    optimizer, expected = cfg['optimizer'], released_config(row)
    if row['uda']['type'] == 'AdvSeg':
        assert optimizer['discriminator'] == expected['optimizer']['discriminator']
        assert cfg['lr_config']['by_optimizer'] == expected['lr_config']['by_optimizer']
        optimizer = optimizer['student']
    return optimizer if row['optimizer']['paramwise_cfg']['custom_keys'] else dict(
        optimizer, paramwise_cfg=row['optimizer']['paramwise_cfg'])


def test_a_released_adversarial_config_is_brought_up_to_date():
    """lr_D and its schedule become an optimiser's; what is of today keeps its meaning."""
    released = dict(
        model=dict(type='HRDAEncoderDecoder', feature_scale=0.5), optimizer=dict(type='AdamW', lr=6e-5),
        lr_config=dict(policy='poly', warmup='linear'), uda=dict(
            type='AdvSeg', discriminator_type='Vanilla', lr_D=2e-4, lr_D_power=0.8, lr_D_min=1e-6, alpha=0.9,
            lambda_adv_target=dict(main=0.003, aux=0.001), debug_img_interval=1000, blur=True))
    new = as_json(update_legacy_cfg(released))
    assert new['uda'] == dict(type='AdvSeg', distance='bce', discriminator=dict(kind='bdl'), scale=0.5,
                              weights=dict(decode=0.003, aux=0.001))
    assert new['optimizer'] == dict(student=dict(type='AdamW', lr=6e-5), discriminator=dict(
        type='Adam', lr=2e-4, betas=[0.9, 0.99]))
    assert new['lr_config'] == dict(policy='poly', warmup='linear', by_optimizer=dict(
        discriminator=dict(policy='poly', power=0.8, min_lr=1e-6)))
    assert as_json(update_legacy_cfg(new)) == new
    masked = update_legacy_cfg(dict(uda=dict(
        type='MinEnt', lambda_ent=dict(main=0.1), alpha=0.9, blur=True, mask_mode='separate',
        mask_alpha='same')))
    assert as_json(masked['uda']) == dict(type='MinEnt', weights=dict(decode=0.1, aux=0.0), masked=dict(
        mode='separate', alpha=0.9))
    with pytest.raises(ConfigError, match="'WGAN': known are LS, Vanilla"):
        update_legacy_cfg(dict(uda=dict(type='AdvSeg', lambda_adv_target=dict(main=1, aux=0),
                                        discriminator_type='WGAN')))


def assert_model(model: dict, row: dict) -> None:
    released = dict(row['model'])
    head = released.pop('decode_head', row['decode_head'])
    assert {key: model.get(key) for key in released} == released
    assert {key: model['decode_head'].get(key) for key in head} == head


@pytest.mark.parametrize(('changed', 'crop', 'details', 'head'), [
    ('cpl2_hrda1-512-01_', None, dict(scales=[1, 0.5], feature_scale=0.5), dict(hr_loss_weight=0.1)),
    ('sf512x512_cpl2_hrda1-512-01_', 512, {}, dict(hr_loss_weight=0.1, lr_loss_weight=0.1)),
    ('sf768x768_cpl2_hrda1-384-01_', 768, dict(hr_crop_size=[384, 384]), dict(lr_loss_weight=None)),
    ('hrda1-256-01-samescale_', None, dict(scales=[1, 1], feature_scale=1, hr_crop_size=[256, 256]), {}),
    ('hrda1-512-0-fixedatt-nooverlap_', None, dict(hr_slide_overlapping=False),
     dict(fixed_attention=0.5, hr_loss_weight=0)),
    ('hrda1-512-01-blurhr_', None, dict(blur_hr_crop=True), {}),
    ('sf512x512_cpl2_hrda1-512-01-sc025_', 512, dict(scales=[1, 0.25], feature_scale=0.25), {})])
def test_ablations_of_hrda(changed, crop, details, head):
    rows = {**table('44'), **table('40')}
    [name] = [name for name in rows if changed in name and name.endswith('_s0') and not name.startswith('syn')
              and ('sf' in changed) == ('_sf' in name)]
    cfg = as_json(resolve(rows[name]))
    assert cfg['data']['train'].get('sync_crop_size') == (crop and [crop, crop])
    assert {key: cfg['model'][key] for key in details} == details
    assert {key: cfg['model']['decode_head'].get(key) for key in head} == head


def test_windows_of_a_test_are_the_crops_of_the_training():
    sides = {'2cs_128x128': 128, '2cs_target': 512, '2csHR_target': 1024, '2csHR_768': 768}
    for start, side in sides.items():
        [name] = [name for name in table('43') if name.startswith(start) and name.endswith('_s0')]
        cfg = as_json(resolve(table('43')[name]))
        assert cfg['model']['test_cfg']['crop_size'] == [side] * 2
        assert cfg['model']['test_cfg']['stride'] == [side // 2] * 2
        assert transforms(cfg['data']['train']['pipeline'])['RandomCrop']['crop_size'] == [side] * 2
        assert [step['size'] for step in cfg['data']['train']['pipeline'] if step['type'] == 'Pad'] == [
            [side] * 2]


@pytest.mark.parametrize(('number', 'without'), [(45, '40 49'), (46, '81 8'), (47, '80'), (48, '48')])
def test_ebda_adds_the_entropy_balance_and_nothing_else(number, without):
    rows = {name: cfg for other in without.split() for name, cfg in table(other).items()}
    for name, cfg in table(str(number)).items():
        host = rows.get(name.replace('_eb04x01', ''))
        if not name.endswith('_s0') or '_eb04x01' not in name or host is None:
            continue
        ebda, host = resolve(cfg), resolve(host)
        assert ebda['uda'].pop('entropy_balance') == dict(
            type='EntropyBalanceLoss', target=0.4, loss_weight=0.1)
        differing = {key for key in ebda if ebda[key] != host.get(key)}
        assert differing <= {'name', 'exp', 'name_uda'}


def test_ebda_has_three_seeds_everywhere():
    for number, domains in ((45, 4), (46, 4), (47, 4)):
        cfgs = table(str(number))
        assert len(cfgs) == 3 * domains and all('_eb04x01' in name for name in cfgs)
        assert sorted(cfg['seed'] for cfg in cfgs.values()) == sorted([0, 1, 2] * domains)


@pytest.mark.parametrize(('settings', 'told'), [
    (dict(uda='target-only', masked={}), 'masked'), (dict(uda='dacs', detail=dict(crop=256)), 'details'),
    (dict(uda='dacs', crop_pseudo_labels=True, margins=True), 'margins'),
    (dict(uda='dacs', mask={}), "'mask'")])
def test_what_does_not_go_together_is_told(settings, told):
    with pytest.raises(UserError, match=told):
        describe(FullResolution, **settings)
