"""Training in two processes (gloo, CPU)."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import ROOT
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.models import build_train_model
from mmseg.utils import set_random_seed
from mmseg.utils.config import load_config

# what a hook of the user's sees in each process after the last step
HOOK = """
import torch
from mmcv.runner import HOOKS, Hook

@HOOKS.register_module()
class KeepEachRank(Hook):
    def __init__(self, folder):
        self.folder = folder

    def after_run(self, runner):
        torch.save(runner.model.state_dict(), f'{self.folder}/rank{runner.rank}.pth')
        visuals, logged = runner.outputs['visuals'], runner.outputs['log_vars']
        torch.save(dict(mask=visuals['mask'], image=visuals['source'],
                        logged={name: float(value) for name, value in logged.items()}),
                   f'{self.folder}/step{runner.rank}.pth')
"""


def test_two_processes_end_with_one_student_and_one_teacher(tiny, tmp_path):
    (tmp_path / 'keep_each_rank.py').write_text(HOOK)
    run_dir = tmp_path / 'run'
    # every pass of self-training: source, mixed with the entropy balance, masked; each with a crop of HRDA's
    config = tiny('configs/toy/streets_mic_hrda_mitb0_s0.py', **{
        'uda.entropy_balance': dict(type='EntropyBalanceLoss', target=0.4, loss_weight=0.1),
        'uda.pseudo_threshold': 0.05, 'model.hr_crop_size': [32, 32],
        'model.decode_head.attention_embed_dim': 8,
        'runner.max_iters': 3, 'checkpoint_config.interval': 3, 'evaluation.interval': 3,
        'log_config.interval': 1, 'uda.debug_img_interval': 1,
        # which needs GPUs: on the CPU it has to become BN
        'model.decode_head.decoder_params.fusion_cfg.norm_cfg.type': 'SyncBN',
        'work_dir': str(run_dir),
        'custom_imports': dict(imports=['keep_each_rank'], allow_failed_imports=False),
        'custom_hooks': [dict(type='KeepEachRank', folder=str(tmp_path))]})
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2',
               'tools/train.py', str(config), '--launcher', 'pytorch']
    env = {**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{tmp_path}', 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    states = [torch.load(tmp_path / f'rank{rank}.pth', weights_only=True) for rank in (0, 1)]
    for name in states[0]:
        # BatchNorm's running statistics are each process's own while it trains
        if 'running_' not in name:
            assert torch.equal(states[0][name], states[1][name]), name
    last = [torch.load(tmp_path / f'step{rank}.pth', weights_only=True) for rank in (0, 1)]
    assert not torch.equal(last[0]['image'], last[1]['image']), 'rare class sampling draws for each process'
    assert not torch.equal(last[0]['mask'], last[1]['mask']), 'ClassMix draws for each process'
    assert_means_are_logged(run_dir, [step['logged'] for step in last])
    assert_only_one_wrote(run_dir, done.stderr)


def assert_means_are_logged(run_dir: Path, ranks: list[dict]) -> None:
    [log] = run_dir.glob('*.log.json')
    records = [json.loads(line) for line in log.read_text().splitlines()]
    [logged] = [record for record in records if (record.get('mode'), record.get('iter')) == ('train', 3)]
    for name in ('decode.loss_seg', 'mix.decode.hr.loss_seg', 'mix.entropy', 'masked.decode.loss_seg'):
        assert ranks[0][name] != ranks[1][name]
        assert logged[name] == pytest.approx((ranks[0][name] + ranks[1][name]) / 2, abs=1e-5), name


def assert_only_one_wrote(run_dir: Path, err: str) -> None:
    names = sorted(path.name for path in run_dir.iterdir())
    for end in ('.log', '.log.json', '.env.txt', '.pth'):
        assert len([name for name in names if name.endswith(end)]) == (2 if end == '.pth' else 1), names
    assert err.count('Iter [3/3]') == err.count('Iter(val)') == 1, err


class KeepGradients(OptimizerStep):
    """Leaves the parameters as they are, and the gradients to look at."""

    def __init__(self):
        super().__init__(torch.optim.SGD([torch.zeros(1)], lr=0.0))

    def finish(self) -> dict:
        return {}


def gradients(config: Path, rank: int, distributed: bool) -> dict[str, torch.Tensor]:
    """Of one step on the batch and with the random numbers of ``rank``; the weights are the same."""
    set_random_seed(0)
    model = build_train_model(load_config(config))
    if distributed:
        model.distribute(DistributedDataParallel)
    set_random_seed(1 + rank)
    norm = dict(mean=np.zeros(3), std=np.ones(3))
    batch = dict(img=torch.randn(2, 3, 64, 64), img_metas=[dict(img_norm_cfg=norm)] * 2,
                 gt_semantic_seg=torch.randint(0, 19, (2, 1, 64, 64)), target_img=torch.randn(2, 3, 64, 64),
                 target_img_metas=[dict(img_norm_cfg=norm)] * 2)
    model.train_step(batch, KeepGradients())
    return {name: p.grad for name, p in model.model.named_parameters()}


def keep_gradients(rank: int, config: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank,
                                         world_size=2)
    torch.save(gradients(config, rank, distributed=True), folder / f'gradients{rank}.pth')
    torch.distributed.destroy_process_group()


def test_processes_average_the_gradients_of_all_losses(tiny, tmp_path):
    config = tiny()
    multiprocessing.start_processes(keep_gradients, (config, tmp_path), nprocs=2, start_method='forkserver')
    shared = [torch.load(tmp_path / f'gradients{rank}.pth', weights_only=True) for rank in (0, 1)]
    alone = [gradients(config, rank, distributed=False) for rank in (0, 1)]
    for name in alone[0]:
        assert torch.equal(shared[0][name], shared[1][name]), name
        mean = (alone[0][name] + alone[1][name]) / 2
        scale = float(alone[0][name].abs().max() + alone[1][name].abs().max())
        torch.testing.assert_close(shared[0][name], mean, rtol=1e-3, atol=1e-5 * scale)
    assert max(float((alone[0][n] - alone[1][n]).abs().max()) for n in alone[0]) > 1e-3
