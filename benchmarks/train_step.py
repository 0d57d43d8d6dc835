"""Time a training step: EBDA, DAFormer, DACS, HRDA or MIC beside the released order of its passes,
alternating; or another method alone.

    python -m benchmarks.train_step --backbone mit_b5 --size 256 --batch 1
    python -m benchmarks.train_step --backbone mit_b0 --size 256 --batch 2
    python -m benchmarks.train_step --backbone narrow --size 256 --batch 2 --method mic_hrda --processor-time
    python -m benchmarks.train_step --backbone mit_b0 --method advent
    python -m benchmarks.train_step --size 512 --batch 2 --amp bfloat16 --compile     (a GPU)

Both schedules train a network of their own from the same weights on the same batches of noise, and step k
draws the same random numbers in every run; the ratio is the median over the rounds, each of which times both,
so a noisy machine does not decide it. In one process both keep the memory that they free, as tools/train.py
lets the C library do it, and the peak of the memory is that of both networks together. With --processes each
has a process of its own, and the released schedule the C library as it is. Precision, compilation and
recomputed activations are those of ours; the released code has none of them. All methods train the network of
EBDA, so that their steps compare; hrda and mic_hrda train HRDA's around it. With --processor-time a step
takes what the processor worked on it, whatever else the machine does meanwhile.
"""
from __future__ import annotations

import argparse
import copy
import itertools
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.methods import METHODS, make_batch, make_config, make_method, make_optimizers
from benchmarks.released_schedule import ReleasedSchedule, make_plain
from mmseg.core.method import Method
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.precision import grad_scaler, prepare_networks, set_tf32
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.uda import dacs
from mmseg.models.uda.dacs import DACS
from mmseg.ops.cpu import accelerate
from mmseg.utils import set_random_seed
from mmseg.utils.files import write_json
from mmseg.utils.memory import keep_freed_memory

RELEASED = ('ebda', 'daformer', 'dacs', 'hrda', 'mic', 'mic_hrda')  # methods whose order of passes is known


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--backbone', default='mit_b5',
                        choices=[*(f'mit_b{i}' for i in range(6)), 'narrow', 'tiny'])
    parser.add_argument('--size', type=int, default=256, help='side of the crop, pixels')
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--method', choices=list(METHODS), default='ebda')
    parser.add_argument('--rounds', type=int, default=5, help='timed steps of each schedule')
    parser.add_argument('--warmup', type=int, default=2, help='steps before that')
    parser.add_argument('--schedule', choices=['ours', 'released', 'both'],
                        help='default: both, where the released order is known; otherwise ours')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--threads', type=int, help='of the CPU (default: as torch finds them)')
    parser.add_argument('--amp', choices=['bfloat16', 'float16'], help='of ours')
    parser.add_argument('--compile', action='store_true', help='of ours')
    parser.add_argument('--compile-mode',
                        choices=['default', 'reduce-overhead', 'max-autotune-no-cudagraphs'],
                        help='--compile in this mode of torch.compile')
    parser.add_argument('--with-cp', action='store_true', help='of ours: recompute activations')
    parser.add_argument('--joint-encoder', action='store_true',
                        help='of ours: source and mixed images in one pass of the encoder')
    parser.add_argument('--tf32', action='store_true', help='of both')
    parser.add_argument('--processor-time', action='store_true', help='not that of the clock; on a CPU')
    parser.add_argument('--processes', action='store_true', help='one for each schedule, in turns')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures here')
    args = parser.parse_args(argv)
    if args.compile_mode:
        args.compile = dict(mode=args.compile_mode)
    known = args.method in RELEASED
    args.schedule = args.schedule or ('both' if known else 'ours')
    if not known and args.schedule != 'ours':
        parser.error(f'--schedule {args.schedule}: the released order of passes is known of --method '
                     f'{", ".join(RELEASED)}')
    return args


@dataclass
class Side:
    """One of the schedules with a network of its own."""

    name: str
    model: Method
    owner: OptimizerStep | ReleasedSchedule
    batches: list[dict[str, Any]]
    device: str
    clock: Callable[[], float] = time.perf_counter

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        owner = self.owner
        return [*owner.optimizers.values()] if isinstance(owner, OptimizerStep) else [owner.optimizer]

    def run(self, number: int) -> None:
        """Step ``number`` with its random numbers; does not wait for the device."""
        set_random_seed(number)
        batch = self.batches[number % len(self.batches)]
        if isinstance(self.owner, ReleasedSchedule):
            self.owner.train_step(batch)
        else:
            self.model.train_step(batch, self.owner)

    def step(self, number: int) -> float:
        """Seconds of a step."""
        synchronise(self.device)
        start = self.clock()
        self.run(number)
        synchronise(self.device)
        return self.clock() - start

    def details(self) -> dict[str, Any]:
        """Seconds of each part of a step, operations (of EBDA and DAFormer), and the peak of the memory of
        this process in these steps."""
        reset_peak_memory(self.device)
        with parts_timed(self) as seconds:
            for number in range(len(self.batches)):
                self.step(number)
        return dict(parts={name: value / len(self.batches) for name, value in seconds.items()},
                    peak_memory_mb=peak_memory(self.device), tflop=tflop_of(self))


def make_side(args: argparse.Namespace, name: str) -> Side:
    cfg = make_config(args)
    set_tf32(args.tf32)
    model = make_method(cfg, 'meta' if args.device == 'meta' else 'cpu').to(args.device)
    if name == 'ours':
        accelerate(model)
        prepare_networks(model, cfg)
        owner = OptimizerStep(make_optimizers(model, cfg), scaler=grad_scaler(cfg, torch.device(args.device)))
    else:
        owner = ReleasedSchedule(model, cfg.optimizer)
    batches = [make_batch(args, seed) for seed in range(2)]
    return Side(name, model, owner, batches, args.device,
                time.process_time if args.processor_time else time.perf_counter)


class RemoteSide:
    """A ``Side`` in a process of its own."""

    def __init__(self, args: argparse.Namespace, name: str):
        self.name = name
        context = multiprocessing.get_context('spawn')
        self.connection, theirs = context.Pipe()
        context.Process(target=_serve, args=(theirs, args, name), daemon=True).start()
        theirs.close()  # so that the end of that process is the end of waiting for it

    def step(self, number: int) -> float:
        self.connection.send(('step', number))
        return self.connection.recv()

    def details(self) -> dict[str, Any]:
        self.connection.send(('details',))
        return self.connection.recv()


def _serve(connection: Connection, args: argparse.Namespace, name: str) -> None:
    if args.threads:
        torch.set_num_threads(args.threads)
    if name == 'ours':
        keep_freed_memory()
    side = make_side(args, name)
    with suppress(EOFError):  # the measuring process has ended
        while True:
            method, *arguments = connection.recv()
            connection.send(getattr(side, method)(*arguments))


def synchronise(device: str) -> None:
    if device.startswith('cuda'):
        torch.cuda.synchronize()


@contextmanager
def parts_timed(side: Side) -> Iterator[dict[str, float]]:
    """Seconds of each part of the steps inside the context; synchronizes with the GPU at each border."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        synchronise(side.device)
        start = side.clock()
        yield
        synchronise(side.device)
        seconds[name] = seconds.get(name, 0) + side.clock() - start

    with parts_inside(side, timed):
        yield seconds


@contextmanager
def parts_inside(side: Side, around: Callable[[str], AbstractContextManager]) -> Iterator[None]:
    """Let each part of a step run inside ``around(its name)``."""
    def wrap(owner: Any, attribute: str, *names: str) -> None:
        function, calls = getattr(owner, attribute), itertools.cycle(names)

        def call(*args, **kwargs):
            with around(next(calls)):
                return function(*args, **kwargs)

        stack.enter_context(patch.object(owner, attribute, call))

    with ExitStack() as stack:
        if has_teacher(side.model):
            _wrap_self_training(side, wrap)
        else:
            for name, network in side.model.networks().items():
                wrap(network, 'forward', f'{name} forward')
            wrap(side.owner, 'backward', 'backward passes')
        for optimizer in side.optimizers:
            wrap(optimizer, 'step', 'optimizer')
        yield


def has_teacher(model: Method) -> bool:
    """Whether its passes are those of DACS: source, mixed, maybe masked."""
    return isinstance(model, DACS) and model.ema_model is not None


def _wrap_self_training(side: Side, wrap: Callable[..., None]) -> None:
    """The parts of the passes of EBDA and its kin, by their order."""
    model, ours = side.model, side.name == 'ours'
    passes = ['both'] if ours and model.joint_encoder else ['source', 'mixed']
    passes += ['masked'] * (model.mic is not None)
    if model.graphs.options is None:
        wrap(model.model, 'forward', *(f'{name} forward' for name in passes))
        wrap(model.ema_model, 'encode_decode', 'teacher')
    else:  # a clock inside a graph would break it; these are with the losses, and with the pseudo-label
        wrap(model, 'student_pass', *(f'{name} forward' for name in passes))
        wrap(model, '_pseudo_label', 'teacher')
    if model.imnet_model is not None:
        wrap(model.imnet_model, 'extract_feat', 'ImageNet encoder')
    if ours:
        wrap(side.owner, 'backward', *(f'{name} backward' for name in passes))
        wrap(dacs, 'update_teacher', 'average of the teacher')
        return
    wrap(side.owner, '_update_teacher', 'average of the teacher')
    further = dict(source=['distance'] * bool(model.source_losses),
                   mixed=['entropy'] * bool(model.mix_losses))
    wrap(side.owner, 'backward', *(f'{part} backward' for name in passes
                                   for part in (name, *further.get(name, ()))))
    if model.mix_losses:
        wrap(model.model, 'encode_decode', 'entropy forward')


def has_source_and_mixed(model: Method) -> bool:
    """Whether its passes are those of EBDA and DAFormer, on a network of one scale."""
    return (isinstance(model, DACS) and model.imnet_model is not None and model.mic is None
            and type(model.model) is EncoderDecoder)


def tflop_of(side: Side) -> float | None:
    if not has_source_and_mixed(side.model):
        return None
    return count_flops(side.name, side.model, side.batches[0]) / 1e12


def count_flops(schedule: str, model: DACS, batch: dict) -> float:
    """Floating-point operations of the passes of a step, a multiply-add counted as two and a backward pass as
    twice its forward pass; element-wise operations are not counted."""
    network, image = make_plain(copy.deepcopy(model.model).to('meta')), batch['img'].to('meta')
    network.amp_dtype = None  # of which neither the number nor torch's autocast of this device knows

    def forward(function: Callable) -> float:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            function(image)
        return counter.get_total_flops()

    whole, encoder = forward(network.encode_decode), forward(network.extract_feat)
    entropy = len(model.mix_losses)  # of the released code has passes of its own
    passes = {'ours': 3 * whole + encoder + 2 * 2 * whole,
              'released': (3 + entropy) * whole + encoder + 2 * ((2 + entropy) * whole + encoder)}
    return passes[schedule]


def matmul_rate(device: str, dtype: torch.dtype, size: int = 2048) -> float:
    """Operations a second of a product of square random matrices: what the device does at best. (Matrices of
    one value draw less power on a GPU, which then is faster than with numbers.)"""
    a = torch.randn(size, size, device=device, dtype=dtype)
    best = 0.0
    for _ in range(5):
        synchronise(device)
        start = time.perf_counter()
        for _ in range(3):
            a @ a
        synchronise(device)
        best = max(best, 3 * 2 * size ** 3 / (time.perf_counter() - start))
    return best


def matmul_rates(device: str, size: int = 2048) -> dict[str, float]:
    """By precision: 'float32', 'bfloat16' and, on a GPU, 'tf32' and 'float16'."""
    gpu, rates = device.startswith('cuda'), {}
    allowed = torch.backends.cudnn.allow_tf32
    for name, dtype in dict(float32=torch.float32, bfloat16=torch.bfloat16,
                            **(dict(tf32=torch.float32, float16=torch.float16) if gpu else {})).items():
        set_tf32(name == 'tf32')
        rates[name] = matmul_rate(device, dtype, size)
    set_tf32(allowed)
    return rates


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All figures; seconds are medians."""
    if not args.processes:
        keep_freed_memory()
    names = ('ours', 'released') if args.schedule == 'both' else (args.schedule,)
    sides = [(RemoteSide if args.processes else make_side)(args, name) for name in names]
    for _ in range(args.warmup):
        for side in sides:
            side.step(0)
    rounds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(args.rounds):
        for side in sides:
            rounds[side.name].append(side.step(number))
    rates = matmul_rates(args.device)
    best = rates.get(args.amp or ('tf32' if args.tf32 else 'float32'), rates['float32'])
    figures: dict[str, Any] = dict(matmul_tflops={name: rate / 1e12 for name, rate in rates.items()})
    for side in sides:
        median, details = statistics.median(rounds[side.name]), side.details()
        share = details['tflop'] and details['tflop'] * 1e12 / median / best
        figures[side.name] = dict(seconds=median, rounds=rounds[side.name], share_of_matmul_rate=share,
                                  **details)
    if len(sides) == 2:
        ratios = [a / b for a, b in zip(rounds['ours'], rounds['released'])]
        figures['ratio'] = dict(median=statistics.median(ratios), rounds=ratios)
    return figures


def reset_peak_memory(device: str) -> None:
    """Let ``peak_memory`` begin anew."""
    if device.startswith('cuda'):
        torch.cuda.reset_peak_memory_stats()
    else:
        with suppress(OSError):  # Linux alone has it
            Path('/proc/self/clear_refs').write_text('5')


def peak_memory(device: str) -> float:
    """MB: of tensors on a GPU, of the whole process on a CPU."""
    if device.startswith('cuda'):
        return torch.cuda.max_memory_allocated() / 2 ** 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 10


def report(figures: dict[str, Any]) -> str:
    lines = []
    for name in ('ours', 'released'):
        if name not in figures:
            continue
        side = figures[name]
        work = '' if side['tflop'] is None else (
            f'{side["tflop"]:.3f} TFLOP, {100 * side["share_of_matmul_rate"]:.0f} % of the rate of a matrix '
            'product, ')
        lines.append(f'{name}: {side["seconds"]:.3f} s a step, {1 / side["seconds"]:.3f} it/s, {work}'
                     f'peak memory {side["peak_memory_mb"]:.0f} MB')
        known = sum(side["parts"].values())
        lines += [f'    {part:24} {seconds:8.3f} s' for part, seconds in side["parts"].items()]
        lines.append(f'    {"sum of these":24} {known:8.3f} s')
    lines.append('matrix product: ' + ', '.join(
        f'{name} {rate:.3g} TFLOP/s' for name, rate in figures['matmul_tflops'].items()))
    if 'ratio' in figures:
        lines.append(f'ratio ours / released: {figures["ratio"]["median"]:.3f} (rounds: '
                     f'{", ".join(f"{ratio:.3f}" for ratio in figures["ratio"]["rounds"])})')
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    figures = measure(args)
    print(report(figures))
    if args.json:
        write_json(args.json, dict(settings={k: str(v) for k, v in vars(args).items()},
                                   torch=torch.__version__, threads=torch.get_num_threads(), **figures))


if __name__ == '__main__':
    main()
