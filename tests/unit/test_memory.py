from __future__ import annotations

import subprocess
import sys

PROGRAM = '''
import resource, torch
from mmseg.utils.memory import keep_freed_memory
kept = keep_freed_memory()
for _ in range(20):  # 40 MB, above glibc's threshold of pages of their own
    torch.ones(10 * 2 ** 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(10 * 2 ** 20)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
'''


def test_freed_memory_is_used_again():
    out = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True, check=True).stdout
    kept, faults = out.split()
    # 10 tensors of 40 MB are 100 000 pages of 4 kB
    assert kept == 'False' or int(faults) < 10_000


def test_freed_memory_is_returned():
    program = '''
import resource
from pathlib import Path
from mmseg.utils.memory import keep_freed_memory, return_freed_memory
kept = keep_freed_memory()
def resident():
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()
before = resident()
blocks = [bytearray(2 ** 20) for _ in range(200)]
del blocks[:-1]  # the last one holds the end of the heap
full = resident()
return_freed_memory()
print(kept, full - before, resident() - before)
'''
    out = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True).stdout
    kept, full, left = out.split()
    assert kept == 'False' or (int(full) > 190e6 and int(left) < 20e6)
