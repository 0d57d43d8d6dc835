"""All that is to be known of a GPU in one command, within a budget of seconds.

    python -m benchmarks.gpu_suite --json suite.json                          (within --budget seconds)
    python -m benchmarks.gpu_suite --tiny --device cpu --json tiny.json       (every entry, seconds on a CPU)

Entries come in the order of their worth, and the figures are written after each; one that fails, or does not
fit into the time left, is noted and passed over. Each is alone on the device, so its peak of memory is its
own. The first is timed again at the end: the difference tells how steady the device was. What each entry
holds is in the docstring of its function, and how to read the figures in docs/performance.md.
"""
from __future__ import annotations

import argparse
import gc
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.gpu_parts import attention, convolutions, data, inference, rates
from benchmarks.gpu_steps import MIT_STAGES, on_gpu, runner_step, step
from benchmarks.methods import METHODS
from mmseg.utils import one_line_errors
from mmseg.utils.files import write_json

MOST_SHOWN = 7  # figures of an entry; all are in the file


class Entry(NamedTuple):
    """
    Args:
        name: what is measured.
        seconds: that it may take on an H100, compilation included; estimated, not measured.
        measure: (arguments of the program) → figures.
    """

    name: str
    seconds: float
    measure: Callable[[argparse.Namespace], Any]


def of_step(name: str, seconds: float, **changes: Any) -> Entry:
    """The step of a method that differs from EBDA in float32 by ``changes``."""
    return Entry(name, seconds, lambda args: step(args, changes))


def entries() -> list[Entry]:
    """In the order of their worth."""
    bf16, joint = dict(amp='bfloat16'), dict(amp='bfloat16', joint_encoder=True)
    first = of_step('ebda bf16 joint', 15, **joint)
    others = [method for method in METHODS if method != 'ebda']
    return [
        first,
        of_step('ebda bf16', 15, **bf16),
        of_step('ebda tf32', 15, tf32=True),
        of_step('ebda fp32', 15),
        of_step('ebda released fp32', 15, schedule='released'),
        of_step('ebda released tf32', 15, schedule='released', tf32=True),
        Entry('runner bf16 joint', 15, lambda args: runner_step(args, joint)),
        Entry('rates', 5, rates),
        Entry('attention', 20, attention),
        Entry('convolutions', 10, convolutions),
        of_step('ebda bf16 joint compile', 150, **joint, compile=True),
        of_step('ebda bf16 joint with_cp', 12, **joint, with_cp=True),
        of_step('ebda bf16 with_cp', 12, **bf16, with_cp=True),
        of_step('ebda fp16', 15, amp='float16'),
        of_step('ebda fp32 with_cp', 12, with_cp=True),
        Entry('inference', 25, inference),
        *(of_step(f'ebda bf16 joint groups {groups}', 12, **joint, query_groups=groups)
          for groups in MIT_STAGES['query_groups']),
        *(of_step(f'{method} bf16', 12, **bf16, method=method) for method in others),
        Entry('data', 60, data),
        of_step('ebda bf16 compile', 120, **bf16, compile=True),
        of_step('ebda bf16 joint graphs', 90, **joint, compile=dict(mode='reduce-overhead')),
        first._replace(name='ebda bf16 joint, again'),
    ]


def measured(entry: Entry, args: argparse.Namespace) -> dict[str, Any]:
    """The figures of an entry, or how it failed: one must not take the others with it."""
    start = time.perf_counter()
    try:
        found = entry.measure(args)
    except Exception as error:
        found = dict(error=''.join(traceback.format_exception(error))[-2000:])
    gc.collect()
    if on_gpu(args.device):
        torch.cuda.empty_cache()
    return dict(name=entry.name, took_s=time.perf_counter() - start, found=found)


def brief(found: Any) -> str:
    """The figures of an entry in a line."""
    if not isinstance(found, dict):
        return f'{len(found)} figures'
    if 'error' in found:
        return 'failed: ' + found['error'].strip().splitlines()[-1]
    numbers = [f'{name} {value:.4g}' for name, value in found.items() if isinstance(value, float)]
    return ', '.join(numbers[:MOST_SHOWN]) + (' …' if len(numbers) > MOST_SHOWN else '')


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what fits into the budget."""
    start = time.perf_counter()
    name = torch.cuda.get_device_name() if on_gpu(args.device) else f'{torch.get_num_threads()} threads'
    figures: dict[str, Any] = dict(device=name, torch=torch.__version__, cudnn=torch.backends.cudnn.version(),
                                   tiny=args.tiny, entries=[], passed_over=[])
    for entry in entries():
        if args.only and args.only not in entry.name:
            continue
        if args.budget - (time.perf_counter() - start) < (1 if args.tiny else entry.seconds):
            figures['passed_over'].append(entry.name)
            continue
        figures['entries'].append(measured(entry, args))
        write_json(args.json, figures)
        print(f"{entry.name}: {brief(figures['entries'][-1]['found'])}", flush=True)
    if figures['passed_over']:
        print('no time left for: ' + '; '.join(figures['passed_over']))
    return figures


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', type=Path, required=True, metavar='FILE', help='where the figures go')
    parser.add_argument('--budget', type=float, default=480, help='seconds (default: %(default)s)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--rounds', type=int, default=10, help='timed steps of each entry')
    parser.add_argument('--warmup', type=int, default=5, help='steps before that')
    parser.add_argument('--tiny', action='store_true', help='a network and images of toys, one step each')
    parser.add_argument('--only', metavar='WORD', help='entries with this in their name')
    args = parser.parse_args(argv)
    if args.tiny:
        args.rounds, args.warmup = 1, 0
    return args


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Ends with 1 if an entry failed."""
    figures = run(parse_args(argv))
    return int(any('error' in entry['found'] for entry in figures['entries']))


if __name__ == '__main__':
    main()
