"""Bad images, losses that are no numbers, signals, killed workers and full disks, apart from a training."""
from __future__ import annotations

import errno
import logging
import math
import os
import signal
import struct
import zlib

import numpy as np
import pytest
import torch
from mmcv.parallel import DataContainer
from torch import nn
from torch.utils.data import Dataset

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.datasets import CustomDataset
from mmseg.datasets.loading.image_header import LIMIT_NAME, refuse_huge_image
from mmseg.datasets.loading.loader import build_train_loader, unwrap_batch, worker_deaths_told
from mmseg.datasets.pipelines.decoding import decode_image
from mmseg.datasets.preparation.class_stats import LabelIndex
from mmseg.engine.finite import FirstBadStep, bad_parameter
from mmseg.engine.stopping import Stopped, StopRequest
from mmseg.utils import UserError, get_root_logger, one_line_errors
from mmseg.utils.errors import BadFile

# ---- images ----


class Pictures(Dataset):
    """Twenty items, each of which draws a number; some are bad."""

    def __init__(self, bad=(), deadly=()):
        self.bad, self.deadly = bad, deadly

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if index in self.bad:
            raise BadFile(f'cannot decode the image {index}.png')
        return dict(img=DataContainer(torch.tensor([float(index), np.random.rand()]),
                                      stack=True, pad_dims=None),
                    img_metas=DataContainer({'filename': f'{index}.png'}, cpu_only=True))


def batches(bad, workers, policy='skip', start=0) -> list:
    loader = build_train_loader(Pictures(bad), 2, workers, seed=1, start_step=start, max_steps=10,
                                bad_image=policy)
    return [unwrap_batch(batch, 'cpu') for batch in loader]


def test_a_bad_image_is_replaced_by_the_same_other_one_however_the_run_goes_on():
    whole, bad = batches((), 0), (3, 8)
    found = batches(bad, 0)
    again = batches(bad, 1, start=4)
    replaced = 0
    for step, (batch, undisturbed) in enumerate(zip(found, whole)):
        for n, meta in enumerate(batch['img_metas']):
            if 'replaced' in meta:
                replaced += 1
                index = int(undisturbed['img'][n, 0])
                assert index in bad and meta['replaced'][0] == f'cannot decode the image {index}.png'
                assert int(batch['img'][n, 0]) not in bad
            else:
                assert torch.equal(batch['img'][n], undisturbed['img'][n])
        if step >= 4:
            assert torch.equal(batch['img'], again[step - 4]['img'])
    assert replaced == 2, 'ten steps of two are each of the twenty items once'


@pytest.mark.parametrize('workers', [0, 1])
def test_a_bad_image_stops_the_run_with_its_name(workers):
    with pytest.raises(UserError) as told:
        batches((3,), workers, 'stop')
    assert str(told.value) == 'cannot decode the image 3.png'


def test_only_bad_images_are_no_bad_luck():
    with pytest.raises(UserError, match='10 images in a row.*cannot decode'):
        batches(range(20), 0)


def png_of(width: int, height: int) -> bytes:
    """A PNG of no pixel that says it is so big."""
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(b'')), chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


@pytest.mark.parametrize('size', [(60_000, 60_000), (2 ** 31 - 1, 2 ** 31 - 1), (200_000_000, 1),
                                  (12_000, 12_000)])
@pytest.mark.parametrize('decoder', [('color', 'cv2'), ('unchanged', 'pillow')])
def test_an_image_that_claims_to_be_huge_is_not_decoded(size, decoder):
    with pytest.raises(BadFile, match=rf'bomb.png .*pixels.*{LIMIT_NAME}'):
        decode_image(png_of(*size), 'bomb.png', *decoder)


def test_the_limit_of_pixels_can_be_set(monkeypatch):
    refuse_huge_image(png_of(30, 30), 'small.png')
    monkeypatch.setenv(LIMIT_NAME, '899')
    with pytest.raises(BadFile, match='30x30'):
        refuse_huge_image(png_of(30, 30), 'small.png')
    monkeypatch.setenv(LIMIT_NAME, 'many')
    with pytest.raises(UserError, match="'many'"):
        refuse_huge_image(png_of(30, 30), 'small.png')


@pytest.mark.parametrize('name, inside', [
    ('a', True), ('sub/../a', True), ('../elsewhere/a', True), ('{root}/img/a', True),
    ('../../secret', False), ('/etc/passwd', False), ('{root}-other/a', False)])
def test_a_list_of_images_names_none_outside_the_data_root(tmp_path, name, inside):
    root = tmp_path / 'data'
    (root / 'img').mkdir(parents=True)
    (root / 'list.txt').write_text(name.format(root=root) + '\n')
    make = dict(pipeline=[], img_dir='img', data_root=str(root), split='list.txt', test_mode=True,
                img_suffix='.png', ann_dir='label')
    if inside:
        assert len(CustomDataset(**make)) == 1
    else:
        with pytest.raises(UserError, match=r'list.txt names .* outside of .*data'):
            CustomDataset(**make)


# ---- numbers ----

def test_the_first_bad_step_is_remembered_without_being_asked():
    watch = FirstBadStep()
    for step, loss in enumerate((0.5, math.inf, 0.25, math.nan)):
        watch.note(step, {'loss': torch.tensor(loss), 'grad_norm': torch.tensor(math.inf), 'lr': 0.1})
    assert watch.read() == 1
    watch = FirstBadStep()
    watch.note(7, {'loss': torch.tensor(1.0), 'other': -math.inf})
    assert watch.read() == 7


def test_a_bad_weight_or_running_statistic_is_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert bad_parameter(model) is None
    model[1].running_var[1] = math.inf
    assert bad_parameter(model) == '1.running_var'


@pytest.mark.parametrize('grad_clip', [None, dict(max_norm=1.0)])
def test_a_step_without_numbers_is_left_out(grad_clip):
    weight = nn.Parameter(torch.ones(3))
    step = OptimizerStep(torch.optim.Adam([weight], 0.1), grad_clip, nonfinite='skip')
    for factor, skipped in ((1.0, 0.0), (math.nan, 1.0), (2.0, 0.0)):
        before = weight.detach().clone()
        step.begin()
        step.backward((weight * factor).sum())
        assert step.finish()['skipped'] == skipped
        assert torch.equal(weight, before) == bool(skipped)
    assert weight.isfinite().all()
    with pytest.raises(UserError, match='nonfinite'):
        OptimizerStep(step.optimizers, nonfinite='sikp')


# ---- signals and workers ----

@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGINT, 130)])
def test_a_signal_is_a_request(number, code):
    before = signal.getsignal(number)
    with StopRequest() as request:
        assert request.agreed() is None
        os.kill(os.getpid(), number)
        assert request.agreed() == number
        if number == signal.SIGINT:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    assert Stopped(number).code == code


def one_of_two(rank: int, folder) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank,
                                         world_size=2)
    group = torch.distributed.new_group(backend='gloo')
    with StopRequest(group) as request:
        for step in range(6):
            if (rank, step) == (1, 2):
                os.kill(os.getpid(), signal.SIGUSR1)
            if number := request.agreed():
                (folder / f'rank{rank}').write_text(f'{number} {step}')
                break
    torch.distributed.destroy_process_group()


def test_processes_end_after_the_same_step(tmp_path):
    torch.multiprocessing.start_processes(one_of_two, (tmp_path,), nprocs=2, start_method='forkserver')
    assert [(tmp_path / f'rank{rank}').read_text() for rank in (0, 1)] == [f'{signal.SIGUSR1:d} 3'] * 2


def test_a_killed_worker_is_told_in_one_line():
    loader = build_train_loader(Pictures(deadly=range(20)), 1, 1, seed=0, max_steps=4)
    with pytest.raises(UserError, match='a process that loads samples died.*workers_per_gpu'), \
            worker_deaths_told():
        list(loader)


# ---- full disks ----

def test_a_log_on_a_full_disk_is_one_line(capsys, tmp_path):
    @one_line_errors
    def program():
        logger = get_root_logger('/dev/full')
        try:
            logger.info('a line')
        finally:
            for handler in [h for h in logger.handlers if isinstance(h, logging.FileHandler)]:
                logger.removeHandler(handler)

    logging.getLogger('mmseg').handlers.clear()
    from mmcv.utils import logging as mmcv_logging
    mmcv_logging.logger_initialized.pop('mmseg', None)
    with pytest.raises(SystemExit) as end:
        program()
    mmcv_logging.logger_initialized.pop('mmseg', None)
    logging.getLogger('mmseg').handlers.clear()
    assert end.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if ' - mmseg - ' not in line]
    assert len(lines) == 1 and 'error: cannot write' in lines[0] and 'No space left' in lines[0]


def test_other_errors_of_the_system_keep_their_traceback():
    @one_line_errors
    def program():
        raise OSError(errno.EINVAL, 'a mistake of ours')

    with pytest.raises(OSError, match='ours'):
        program()


def test_statistics_name_images_of_the_data_set_alone(tmp_path):
    """They are compared with its files, and nothing is opened by their names."""
    index = LabelIndex([str(tmp_path / 'gt' / city / 'a_label.png') for city in ('ulm', 'bonn')])
    assert index.find('gt/bonn/a_label.png') == index.find(f'{tmp_path}/gt/bonn/a_label.png') == [1]
    assert index.find('/where/it/was/before/gt/ulm/a_label.png') == [0]
    for path in ('/etc/passwd', '../../secret.png', '..', ''):
        assert index.find(path) == []
