"""Settings of a training that change what it does, through tools/train.py."""
from __future__ import annotations

from pathlib import Path

import torch
from programs import STREETS_TEST

from mmseg.checkpoint.weights import load_file
from mmseg.utils.config import load_config

SOURCE_ONLY = 'configs/toy/streets_source_mitb0_s0.py'


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(str(path))['state_dict']


def distance(one: dict, other: dict) -> float:
    """Euclidean, over all weights that training changes by gradients."""
    names = [name for name in one if name.startswith('model.') and 'running_' not in name
             and 'num_batches' not in name]
    return float(torch.stack([(one[name] - other[name]).square().sum() for name in names]).sum().sqrt())


def sgd(tiny, folder: Path, grad_clip: dict | None) -> Path:
    """A config of one step of plain gradient descent with learning rate 1."""
    return tiny(**{
        'optimizer': dict(_delete_=True, type='SGD', lr=1.0), 'optimizer_config': dict(grad_clip=grad_clip),
        'lr_config': dict(_delete_=True, policy='fixed'), 'runner.max_iters': 1, 'log_config.interval': 1,
        'uda.entropy_balance': None, 'work_dir': str(folder)})


def test_gradients_are_clipped_to_the_norm_of_the_config(tiny, run_program, tmp_path):
    """With SGD and learning rate 1 a step moves the weights by the norm of the gradient."""
    moved = {}
    for name, clip in (('free', None), ('clipped', dict(max_norm=0.125))):
        config = sgd(tiny, tmp_path / name, clip)
        run_program('tools.train', config, '--no-validate')
        after = weights(tmp_path / name / 'iter_1.pth')
        # in the first step the teacher is a copy of the student before it was changed
        before = {key.removeprefix('ema_'): w for key, w in after.items() if key.startswith('ema_model.')}
        moved[name] = distance(before, after)
    assert moved['free'] > 0.5
    assert abs(moved['clipped'] - 0.125) < 1e-4
    assert '"grad_norm"' in next((tmp_path / 'clipped').glob('*.log.json')).read_text()


def test_plain_training_then_its_network_starts_a_uda_run(tiny, run_program, tmp_path):
    """Source-only training of three steps, two checkpoints kept; it is evaluated and the best kept;
    then a UDA run starts from it."""
    plain = tmp_path / 'plain'
    config = tiny(SOURCE_ONLY, **{
        'runner.max_iters': 3, 'checkpoint_config.interval': 1, 'checkpoint_config.max_keep_ckpts': 2,
        'evaluation': dict(interval=2, metric='mIoU', save_best='mIoU'), 'log_config.interval': 1,
        'work_dir': str(plain)})
    ended = run_program('tools.train', config)
    assert sorted(path.name for path in plain.glob('*.pth')) == [
        'best_mIoU_iter_2.pth', 'iter_2.pth', 'iter_3.pth', 'latest.pth']
    warning = next(line for line in ended.err.splitlines() if 'save_best' in line)
    assert 'WARNING' in warning and 'target labels' in warning
    trained = weights(plain / 'iter_3.pth')
    assert not any(name.startswith(('model.', 'ema_model.')) for name in trained)
    best = weights(plain / 'best_mIoU_iter_2.pth')
    assert all(torch.equal(best[name], w) for name, w in weights(plain / 'iter_2.pth').items())
    assert any(not torch.equal(best[name], w) for name, w in trained.items())

    adapted = tmp_path / 'adapted'
    run_program('tools.train', tiny(**{'runner.max_iters': 1}), '--no-validate', '--work-dir', adapted,
                '--load-from', plain / 'iter_3.pth')
    after = weights(adapted / 'iter_1.pth')
    for name, w in trained.items():
        # the teacher copies the student at the first step, before the student changes
        if 'running_' not in name and 'num_batches' not in name:
            assert torch.equal(after[f'ema_model.{name}'], w), name


def test_options_put_dicts_where_the_config_has_none():
    """As on a command line: optimizer_config is None for UDA, and the entropy's target a number."""
    target = dict(type='RunningQuantile', quantile=0.6)
    cfg = load_config(STREETS_TEST, {'optimizer_config.grad_clip.max_norm': 35,
                                     'uda.entropy_balance.target': target,
                                     'uda.entropy_balance.loss_weight': 1})
    assert cfg.optimizer_config == dict(grad_clip=dict(max_norm=35))
    assert cfg.uda.entropy_balance == dict(type='EntropyBalanceLoss', target=target, loss_weight=1)


def test_float16_in_parts_is_resumed_with_its_scale(tiny, run_program, tmp_path):
    """Two steps in one run are one step and another after a resume: in weights and scale."""
    settings = {'amp': dict(dtype='float16', init_scale=64.0, growth_interval=1),
                'optimizer_config': dict(cumulative_iters=2), 'model.backbone.with_cp': True,
                'checkpoint_config.interval': 1}
    whole, halves = tmp_path / 'whole', tmp_path / 'halves'
    run_program('tools.train', tiny(**{**settings, 'runner.max_iters': 2, 'work_dir': str(whole)}),
                '--no-validate')
    run_program('tools.train', tiny(**{**settings, 'runner.max_iters': 1, 'work_dir': str(halves)}),
                '--no-validate')
    run_program('tools.train', tiny(**{**settings, 'runner.max_iters': 2, 'work_dir': str(halves)}),
                '--no-validate', '--resume', 'auto')
    scales = [load_file(str(path))['optimizer_step']['scaler']['scale']
              for path in (whole / 'iter_2.pth', halves / 'iter_2.pth')]
    assert scales == [256, 256], 'doubled after each step'
    resumed = weights(halves / 'iter_2.pth')
    for name, w in weights(whole / 'iter_2.pth').items():
        assert torch.equal(resumed[name], w), name
        assert w.dtype in (torch.float32, torch.int64), name


def test_a_run_in_a_new_folder_goes_on_from_the_checkpoint_that_its_config_names(tiny, run_program, tmp_path):
    """As a job of slurm does, which always asks for the latest checkpoint of its own folder; and
    evaluation=None means none."""
    run_program('tools.train', tiny(**{'runner.max_iters': 1, 'checkpoint_config.interval': 1,
                                       'work_dir': str(tmp_path / 'first')}), '--no-validate')
    config = tiny(**{'runner.max_iters': 2, 'checkpoint_config.interval': 1, 'evaluation': None,
                     'log_config.interval': 1, 'work_dir': str(tmp_path / 'second')})
    ended = run_program('tools.train', config, '--resume', 'auto', '--options',
                        f'resume_from={tmp_path / "first" / "iter_1.pth"}')
    assert 'the training goes on from' in ended.out + ended.err
    assert not (tmp_path / 'second' / 'iter_1.pth').exists()
    assert load_file(str(tmp_path / 'second' / 'iter_2.pth'))['meta']['iter'] == 2
    log = next((tmp_path / 'second').glob('*.log.json')).read_text()
    assert '"mode": "train"' in log and '"mode": "val"' not in log
