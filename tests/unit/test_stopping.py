"""A signal ends a training after its step, in all processes after the same one."""
from __future__ import annotations

import os
import signal

import pytest
import torch

from mmseg.engine.stopping import StopRequest, TrainingInterrupted


@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGINT, 130)])
def test_a_signal_is_a_request(number, code):
    before = signal.getsignal(number)
    with StopRequest() as request:
        assert request.should_stop() is None
        os.kill(os.getpid(), number)
        assert request.should_stop() == number
        if number == signal.SIGINT:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    assert TrainingInterrupted(number).code == code


def one_of_two(rank: int, folder) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank,
                                         world_size=2)
    group = torch.distributed.new_group(backend='gloo')
    with StopRequest(group) as request:
        for step in range(6):
            if (rank, step) == (1, 2):
                os.kill(os.getpid(), signal.SIGUSR1)
            if number := request.should_stop():
                (folder / f'rank{rank}').write_text(f'{number} {step}')
                break
    torch.distributed.destroy_process_group()


def test_processes_end_after_the_same_step(tmp_path):
    torch.multiprocessing.start_processes(one_of_two, (tmp_path,), nprocs=2, start_method='forkserver')
    assert [(tmp_path / f'rank{rank}').read_text() for rank in (0, 1)] == [f'{signal.SIGUSR1:d} 3'] * 2
