from __future__ import annotations

import json

import pytest
from mmcv import Config

from mmseg.engine.settings import build_logger_hooks
from mmseg.utils import UserError
from mmseg.utils.config import load_config, parse_options
from mmseg.utils.legacy import update_legacy_cfg, without_pretrained

FUSION = {'type': 'aspp', 'sep': True, 'dilations': [1, 6, 12, 18]}


def old_config():
    """A config as json holds it after an early training run: no tuples, an earlier head's name."""
    return {
        'model': {
            'type': 'EncoderDecoder', 'pretrained': 'pretrained/mit_b5.pth',
            'backbone': {'type': 'mit_b5', 'style': 'pytorch', 'ema_drop_path_rate': 0.1,
                         'init_cfg': {'type': 'Pretrained', 'checkpoint': 'x.pth'}},
            'decode_head': {
                'type': 'UniHead', 'num_classes': 19,
                'decoder_params': {'embed_dims': 256, 'fusion_cfg': {**FUSION, 'fusion': 'concat'}},
                'loss_decode': [{'type': 'CrossEntropyLoss'}, {'type': 'LogitConstraintLoss'}]},
            'train_cfg': {'work_dir': 'work_dirs/somewhere'},
            'test_cfg': {'mode': 'slide', 'crop_size': [512, 512], 'stride': [341, 341]}},
        'data': {
            'train': {'source': {'pipeline': [{'type': 'Resize', 'ratio_range': [0.5, 2.0]}]}},
            'test': {'pipeline': [
                {'type': 'LoadImageFromFile'},
                {'type': 'MultiScaleFlipAug', 'img_scale': [1024, 512], 'flip': False,
                 'transforms': [{'type': 'Normalize', 'mean': [1.0, 2.0, 3.0]}]}]},
            'val': {'pipeline': [{'type': 'LoadImageFromFile'},
                                 {'type': 'MultiScaleFlipAug', 'img_scale': [[9, 8], [7, 6]]}]}},
        'uda': {'type': 'DACS', 'alpha': 0.999},
    }


@pytest.fixture
def updated(tmp_path):
    path = tmp_path / 'old.json'
    path.write_text(json.dumps(old_config()))
    return load_config(path)


def test_the_head_gets_its_present_name_and_loses_the_old_key(updated):
    head = updated.model.decode_head
    assert head.type == 'DAFormerHead'
    assert head.decoder_params.fusion_cfg == FUSION
    assert head.loss_decode == [{'type': 'CrossEntropyLoss'}]


def test_lists_of_json_become_tuples_where_sizes_are_meant(updated):
    assert updated.data.test.pipeline[1]['img_scale'] == (1024, 512)
    assert isinstance(updated.data.test.pipeline[1]['img_scale'], tuple)
    assert updated.data.val.pipeline[1].img_scale == [(9, 8), (7, 6)]
    assert updated.model.test_cfg.crop_size == (512, 512)
    assert updated.data.train.source.pipeline[0].ratio_range == (0.5, 2.0)
    assert updated.data.test.pipeline[1].transforms[0].mean == [1.0, 2.0, 3.0]


def test_keys_without_effect_are_gone(updated):
    assert 'ema_drop_path_rate' not in updated.model.backbone
    assert 'work_dir' not in updated.model.train_cfg


def test_testing_needs_no_pretrained_weights(updated):
    model = without_pretrained(updated.model)
    assert model.pretrained is None and 'train_cfg' not in model
    assert model.backbone == {'type': 'mit_b5', 'style': 'pytorch'}
    assert updated.model.pretrained == 'pretrained/mit_b5.pth'


def test_updating_twice_changes_nothing_more(updated):
    once = updated.pretty_text
    assert update_legacy_cfg(updated).pretty_text == once


@pytest.mark.parametrize(('uda', 'expected'), [
    (dict(type='DACS', debug_img_interval=7), dict(type='DACS', debug_img_interval=500)),
    (dict(type='DACS'), dict(type='DACS', debug_img_interval=500)),
    (dict(type='MinEnt'), dict(type='MinEnt')), (None, None)])
def test_pictures_of_mic_come_as_often_as_its_img_interval_says(uda, expected):
    log_config = dict(interval=50, img_interval=500, hooks=[dict(type='TextLoggerHook', by_epoch=False)])
    cfg = load_config(Config(dict(log_config=log_config, uda=uda)))
    assert cfg.uda == expected and len(build_logger_hooks(cfg.log_config)) == 1
    with pytest.raises(UserError, match='log_config.img_interval is 0'):
        load_config(Config(dict(log_config=dict(img_interval=0))))


def test_a_config_of_today_keeps_its_meaning():
    cfg = Config({'model': {'decode_head': {'type': 'DAFormerHead', 'decoder_params': {
        'fusion_cfg': dict(FUSION)}}}, 'data': {'test': {'img_scale': (4, 2)}}})
    before = cfg.pretty_text
    assert update_legacy_cfg(cfg).pretty_text == before


@pytest.mark.parametrize('content, name, message', [
    (None, 'no.py', 'does not exist'), ('model = (', 'bad.py', 'SyntaxError'),
    ('{"model": ', 'bad.json', 'cannot be read')])
def test_an_unreadable_config_is_a_users_mistake(tmp_path, content, name, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        load_config(tmp_path / name)


def test_options_reach_into_the_config(tmp_path):
    (tmp_path / 'c.py').write_text("model = dict(a=dict(b=1))\nitems = [dict(x=1), dict(x=2)]\n")
    cfg = load_config(tmp_path / 'c.py', parse_options(['model.a.b=5', 'items.1.x=9', 'new.key=hi']))
    assert cfg.model.a.b == 5 and cfg['items'][1].x == 9 and cfg.new.key == 'hi'
    with pytest.raises(UserError, match='do not fit'):
        load_config(tmp_path / 'c.py', {'items.7.x': 1})


def test_values_of_options_are_read_as_the_reference_does():
    given = ['a=1', 'b=0.5', 'c=True', 'd=false', 'e=None', 'f=1,2', 'g=(1,2)', 'h=[1,2]', 'i=x,y',
             'j=path/to=x', "k='1'"]
    assert parse_options(given) == {
        'a': 1, 'b': 0.5, 'c': True, 'd': False, 'e': None, 'f': [1, 2], 'g': (1, 2), 'h': [1, 2],
        'i': ['x', 'y'], 'j': 'path/to=x', 'k': '1'}
    with pytest.raises(UserError, match='key=value'):
        parse_options(['novalue'])
