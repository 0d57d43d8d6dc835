"""What several files of unit tests stand on."""
from __future__ import annotations

import pytest
import torch


@pytest.fixture
def one_process(tmp_path):
    """A process group of this process alone."""
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/meeting', rank=0,
                                         world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
