from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import generate_experiment_cfgs, list_experiments, resolve
from mmseg.experiments.description import CONFIG_DIR, describe, render
from mmseg.experiments.parts import DOMAINS
from mmseg.utils import UserError
from mmseg.utils.config import Config, plain

NAMES = json.loads((Path(__file__).parents[1] / 'data' / 'experiment_names.json').read_text())
THINGS = [6, 7, 11, 12, 13, 14, 15, 16, 17, 18]


def by_name(table: int, part: str) -> dict:
    """The only config of seed 0 in ``table`` whose name starts with ``part``."""
    found = [c for c in generate_experiment_cfgs(table)
             if c['name'].startswith(part) and c['name'].endswith('_s0')]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize('table', NAMES)
def test_names_are_those_of_the_reference(table):
    assert [cfg['name'] for cfg in generate_experiment_cfgs(int(table))] == NAMES[table]


@pytest.fixture(scope='module')
def tables():
    """(configs, their number as it is listed) of every table; only to be read."""
    return [(generate_experiment_cfgs(table), count) for table, _, count in list_experiments()]


def test_names_within_a_table_differ(tables):
    for cfgs, count in tables:
        names = [cfg['name'] for cfg in cfgs]
        assert len(set(names)) == len(names) == count


def test_budget_and_optimizer_of_the_reference():
    cfg = resolve(by_name(8, 'cs2acdc'))
    assert cfg['runner'] == dict(type='IterBasedRunner', max_iters=40000)
    assert cfg['checkpoint_config'] == dict(by_epoch=False, interval=40000, max_keep_ckpts=1)
    assert cfg['evaluation']['interval'] == 4000 and cfg['evaluation']['metric'] == 'mIoU'
    assert cfg['data']['samples_per_gpu'] == 2 and cfg['n_gpus'] == 1 and cfg['seed'] == 0
    assert cfg['optimizer'] == dict(
        type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01,
        paramwise_cfg=dict(custom_keys=dict(
            head=dict(lr_mult=10.0), pos_block=dict(decay_mult=0.0), norm=dict(decay_mult=0.0))))
    assert cfg['optimizer_config'] is None
    assert cfg['lr_config'] == dict(policy='poly', warmup='linear', warmup_iters=1500,
                                    warmup_ratio=1e-6, power=1.0, min_lr=0.0, by_epoch=False)


def test_resnet_decays_its_norms():
    assert resolve(by_name(1, 'gta2cs_dacs_dlv2red'))['optimizer']['paramwise_cfg']['custom_keys'] == dict(
        head=dict(lr_mult=10.0))


def test_without_warmup():
    assert 'warmup' not in resolve(by_name(4, 'gta2cs_dacs_segformer'))['lr_config']


@pytest.mark.parametrize('method, alpha, weight, classes, ratio, rows, temperature', [
    ('dacs_rcsinf', 0.99, 0, None, None, (0, 0), float('inf')),
    ('dacs_rcs001', 0.99, 0, None, None, (0, 0), 0.01),
    ('dacs_fd_', 0.99, 0.005, None, None, (0, 0), None),
    ('dacs_fdthings_segformer', 0.99, 0.005, THINGS, 0.75, (0, 0), None),
    ('dacs_fdthings_rcs001', 0.99, 0.005, THINGS, 0.75, (0, 0), 0.01),
    ('dacs_a999_fdthings_rcs001_cpl_segformer', 0.999, 0.005, THINGS, 0.75, (15, 120), 0.01),
])
def test_what_the_ingredients_of_daformer_stand_for(method, alpha, weight, classes, ratio, rows,
                                                    temperature):
    cfg = resolve(by_name(5, f'gta2cs_{method}'))
    uda = cfg['uda']
    assert uda['alpha'] == alpha and uda['pseudo_threshold'] == 0.968
    assert uda['imnet_feature_dist_lambda'] == weight
    assert uda['imnet_feature_dist_classes'] == classes
    assert uda['imnet_feature_dist_scale_min_ratio'] == ratio
    assert (uda['pseudo_weight_ignore_top'], uda['pseudo_weight_ignore_bottom']) == rows
    assert 'entropy_balance' not in uda
    sampling = cfg['data']['train'].get('rare_class_sampling')
    assert sampling == (None if temperature is None else dict(
        min_pixels=3000, class_temp=temperature, min_crop_ratio=0.5))


@pytest.mark.parametrize('method, data', [
    ('source-only', 'gta_to_cityscapes_512x512'), ('target-only', 'cityscapes_half_512x512'),
    ('dacs', 'uda_gta_to_cityscapes_512x512')])
def test_data_of_each_method(method, data):
    cfg = by_name(1, f'gta2cs_{method}_segformer')
    assert f'_base_/datasets/{data}.py' in cfg['_base_']
    assert ('uda' in resolve(cfg)) == (method == 'dacs')


def test_networks_of_table_100_are_those_of_their_names():
    kinds = {name: resolve({**cfg, '_base_': [cfg['_base_'][1]]})['model']
             for cfg in generate_experiment_cfgs(100) for name in [cfg['name_architecture']]}
    assert {name: model['backbone']['type'] for name, model in kinds.items()} == {
        'dlv2red_r101v1c': 'ResNetV1c', 'dlv3p_nodbn_r101v1c': 'ResNetV1c',
        'da_nodbn_r101v1c': 'ResNetV1c', 'segformer_mitb5': 'mit_b5',
        'isa_nodbn_r101v1c': 'ResNetV1c', 'dlv2red_r50v1c': 'ResNetV1c',
        'dlv2red_s50': 'ResNeSt', 'dlv2red_s101': 'ResNeSt', 'dlv2red_s200': 'ResNeSt',
        'dlv2red_x50-32': 'ResNeXt', 'dlv2red_x101-32': 'ResNeXt', 'segformer_mitb4': 'mit_b4',
        'segformer_mitb3': 'mit_b3', 'sfa_dlv3p_nodbn_mitb5-del': 'mit_b5',
        'segformer_r101v1c': 'ResNetV1c', 'daformer_conv1_mitb5': 'mit_b5',
        'daformer_isa_mitb5': 'mit_b5', 'daformer_sepaspp_bottleneck_mitb5': 'mit_b5',
        'daformer_aspp_mitb5': 'mit_b5', 'daformer_sepaspp_mitb5': 'mit_b5',
        'upernet_mitb5': 'mit_b5', 'upernet_ch256_mitb5': 'mit_b5'}
    assert kinds['dlv2red_x101-32']['backbone']['depth'] == 101
    assert kinds['dlv2red_s200']['pretrained'] == 'open-mmlab://resnest200'
    for name, model in kinds.items():
        assert ('neck' in model) == (name == 'sfa_dlv3p_nodbn_mitb5-del')
        head = model['decode_head']
        if name.split('_')[-2] == 'nodbn':
            assert head['norm_cfg'] is None
        elif head['type'] != 'DLV2Head':
            assert head['norm_cfg']['type'] == 'BN'


def test_startup_tests_run_two_iterations_and_evaluate_once():
    for table in (100, 101, 120):
        for cfg in generate_experiment_cfgs(table):
            assert cfg['runner']['max_iters'] == cfg['evaluation']['interval'] == 2


def test_released_ebda():
    cfg = resolve(generate_experiment_cfgs(20)[0])
    assert cfg['uda']['entropy_balance'] == dict(
        type='EntropyBalanceLoss', target=0.4, loss_weight=0.1)
    assert (cfg['runner']['max_iters'], cfg['data']['samples_per_gpu'], cfg['seed']) == (50000, 1, 0)
    assert cfg['evaluation'] == {**cfg['evaluation'], 'interval': 2000, 'save_best': 'mIoU'}


def test_fair_twin_differs_from_daformer_by_the_entropy_balance_alone():
    for daformer, ebda in zip(map(resolve, generate_experiment_cfgs(8)),
                              map(resolve, generate_experiment_cfgs(21))):
        assert ebda['uda'].pop('entropy_balance')['target'] == 0.4
        for cfg in (daformer, ebda):
            for key in ('name', 'name_uda', 'exp'):
                del cfg[key]
        assert daformer == ebda


def test_ablation_has_the_baseline_the_grid_and_the_running_quantile():
    balances = [resolve(cfg)['uda'].get('entropy_balance') for cfg in generate_experiment_cfgs(23)]
    assert balances[0] is None
    assert [(b['target'], b['loss_weight']) for b in balances[1:-1]] == [
        (h, w) for h in (0.2, 0.4, 0.6, 0.8) for w in (0.05, 0.1, 0.2)]
    assert balances[-1]['target'] == dict(type='RunningQuantile', quantile=0.6, momentum=0.9999)


@pytest.mark.parametrize('table, methods', [(900, 4), (901, 6)])
def test_small_benchmarks_compare_like_with_like(table, methods):
    cfgs = generate_experiment_cfgs(table)
    assert len(cfgs) == methods * 3
    for key in ('runner', 'optimizer', 'model', 'lr_config'):
        assert all(cfg[key] == cfgs[0][key] for cfg in cfgs)
    assert len({cfg.get('load_from') for cfg in cfgs}) == 1
    assert len({cfg['data']['samples_per_gpu'] for cfg in cfgs}) == 1


def test_a_seed_of_camvid_is_whole_before_the_next_begins():
    cfgs = generate_experiment_cfgs(901)
    assert [cfg['seed'] for cfg in cfgs] == [0] * 6 + [1] * 6 + [2] * 6
    assert len({cfg['name_uda'] for cfg in cfgs[:6]}) == 6


@pytest.mark.parametrize('table, counted', [(900, 904), (901, 903)])
def test_counted_tables_are_the_trainings_of_the_scored_ones(table, counted):
    """Of DAFormer and EBDA; beside them stand two targets h that look at no label of the target domain."""
    scored = {cfg['name']: resolve(cfg) for cfg in generate_experiment_cfgs(table)}
    rows = [resolve(cfg) for cfg in generate_experiment_cfgs(counted)]
    of_seed = [row for row in rows if row['seed'] == 1]
    assert [row['uda'].get('entropy_balance', {}).get('target') for row in of_seed] == [
        None, 0.4, dict(type='RunningQuantile', quantile=0.6, momentum=0.99), dict(type='SourceMedian')]
    same = [row for row in rows if row['name'] in scored]
    assert len(same) == 6
    for row in same:
        hooks, of_target = row.pop('custom_hooks'), row['data']['train']['target']
        assert [hook['type'] for hook in hooks] == ['PseudoLabelHook']
        assert hooks[0]['dataset']['img_dir'] == of_target['img_dir']
        other = scored[row['name']]
        assert [key for key in row if key not in ('exp', 'name_dataset') and row[key] != other.get(key)] == []


def test_camvid_has_eleven_classes():
    assert all(cfg['model']['decode_head']['num_classes'] == 11 for cfg in generate_experiment_cfgs(901))


def test_configs_of_two_calls_share_nothing():
    first = generate_experiment_cfgs(21)
    first[0]['data']['train']['rare_class_sampling']['class_temp'] = 9
    first[0]['model']['backbone']['type'] = 'other'
    second = generate_experiment_cfgs(21)
    assert second[0]['data']['train']['rare_class_sampling']['class_temp'] == 0.01
    assert second[1]['model']['backbone']['type'] == 'mit_b5'


def test_data_of_every_pair_of_domains_exist():
    for domains in DOMAINS.values():
        for file in filter(None, (domains.uda, domains.source_only, domains.target_only)):
            assert (CONFIG_DIR / '_base_' / 'datasets' / file).is_file()


def test_configs_are_plain_json_and_their_base_files_exist(tables):
    for cfgs, _ in tables:
        for cfg in cfgs:
            assert json.loads(json.dumps(cfg)) == cfg
            for file in cfg['_base_']:
                assert (CONFIG_DIR / file).is_file()


def test_unknown_table_lists_the_ids():
    with pytest.raises(UserError, match='no experiment 9: known are 1, 2, .* 901'):
        generate_experiment_cfgs(9)


@pytest.mark.parametrize('settings, message', [
    (dict(bach_size=3), "unknown key 'bach_size' in an experiment: did you mean 'batch_size'"),
    (dict(architecture='daformer_sepasp'), "did you mean 'daformer_sepaspp'"),
    (dict(architecture='dlv2red', backbone='mitb5'), "unknown backbone of 'dlv2red' 'mitb5'"),
    (dict(source='acdc'), 'unknown pair of domains'),
    (dict(uda='dacs_fdthing'), "did you mean 'dacs_fdthings'"),
    (dict(uda='source-only', rare_class_sampling={}), 'no rare class sampling'),
    (dict(uda='target-only', entropy_balance={}), 'no entropy balance'),
    (dict(uda='dacs', entropy_balance={}), "no file of 'dacs' with the entropy balance"),
    (dict(source='cityscapes', target='darkzurich', uda='target-only'),
     "no data for 'target-only' of cs2dzur"),
])
def test_wrong_descriptions_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        describe(**settings)


def test_settings_of_a_method_stand_in_one_file(request):
    root = request.config.rootpath
    files = [*(root / 'configs').rglob('*.py'), *(root / 'mmseg/experiments').rglob('*.py'),
             root / 'experiments.py']
    for words in (['EntropyBalanceLoss', '='], ['min_crop_ratio', '0.5'], ['bottom', '120'],
                  ['pseudo_threshold', '0.968'], ['class_temp', '0.01'], ['lr', '6e-0']):
        lines = [(path.name, line) for path in files for line in path.read_text().splitlines()
                 if all(word in line for word in words) and not line.lstrip().startswith('#')]
        assert len(lines) == 1, lines


def test_a_domain_without_ignored_rows_is_told():
    streets = describe(source='clear_streets', target='adverse_streets', uda='dacs_toy',
                       crop_pseudo_labels=True)
    with pytest.raises(UserError, match="uda_streets_256x128.py has no '_ignored_rows'"):
        render(streets, 1)


def test_settings_are_laid_over_the_base_files():
    row = resolve(render(describe(lr=1e-3, uda='dacs', rare_class_sampling=dict(min_crop_ratio=0.25)), 1))
    assert row['optimizer']['lr'] == 1e-3
    assert row['optimizer']['paramwise_cfg']['custom_keys']['head'] == dict(lr_mult=10.0)
    assert row['data']['train']['rare_class_sampling'] == dict(
        min_pixels=3000, class_temp=0.01, min_crop_ratio=0.25)
    assert row['name_opt'] == 'adamw_0.001_pmTrue_poly10warm_1x2_40k'


def test_start_of_a_run_can_be_given():
    assert render(describe(load_from='start.pth'), 1)['load_from'] == 'start.pth'
    assert 'load_from' not in render(describe(), 1)


def test_missing_base_file_is_named():
    with pytest.raises(UserError, match='nowhere.py'):
        resolve({'_base_': ['_base_/nowhere.py']})


@pytest.mark.parametrize('table', [1, 21, 41, 901])
def test_a_row_resolves_as_a_file_with_its_content_does(table, tmp_path):
    cfg = generate_experiment_cfgs(table)[0]
    path = tmp_path / 'experiment.json'
    path.write_text(json.dumps({**cfg, '_base_': [str(CONFIG_DIR / base) for base in cfg['_base_']]}))
    of_file = plain(Config.fromfile(str(path)))._cfg_dict.to_dict()
    resolved = resolve(cfg)
    assert resolved == of_file and list(resolved) == list(of_file)
    resolved['model']['type'] = 'changed by whoever asked'
    assert resolve(cfg) == of_file


def test_two_bases_do_not_set_the_same():
    base = '_base_/schedules/adamw.py'
    with pytest.raises(KeyError, match=f"{base}.*'optimizer'"):
        resolve({'_base_': [base, base]})
