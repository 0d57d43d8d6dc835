"""Steps of training as benchmarks.gpu_suite measures them."""
from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.methods import make_batch
from benchmarks.train_step import (
    Side,
    make_side,
    parts_timed,
    peak_memory,
    reset_peak_memory,
    synchronise,
    tflop_of,
)
from mmseg.engine.out_of_memory import step_remedies
from mmseg.engine.runner import IterBasedRunner

MIT_STAGES = dict(query_groups=((4, 4, 1, 1), (16, 4, 1, 1), (16, 16, 4, 1)))
LONGEST_KERNELS = 25


def on_gpu(device: str) -> bool:
    return device.startswith('cuda')


def settings_of(args: argparse.Namespace, changes: dict[str, Any]) -> argparse.Namespace:
    """What benchmarks.train_step takes: EBDA in float32 on MiT-B5 but for ``changes``."""
    base = dict(method='ebda', backbone='tiny' if args.tiny else 'mit_b5', size=64 if args.tiny else 512,
                batch=2, device=args.device, amp=None, compile=False, with_cp=False, joint_encoder=False,
                tf32=False, schedule='ours', query_groups=None, processor_time=False)
    options = argparse.Namespace(**{**base, **changes})
    if args.tiny and options.compile:
        options.compile = dict(backend='eager')  # inductor takes minutes on a CPU
    return options


def step(args: argparse.Namespace, changes: dict[str, Any]) -> dict[str, Any]:
    """Of one method and variant.

    latency_ms     of a step alone (median)
    throughput_ms  of steps in a row, as in a training, where the host runs ahead
    submit_ms      of the host alone in these; as long as throughput_ms if it is the limit
    peak_mb        of tensors; reserved_mb with what the allocator keeps
    kernels, device_ms, top   their number, their time, the longest of them
    parts_ms       with waiting at each border
    waits          where a step waits for the device, if torch notices it
    """
    options = settings_of(args, changes)
    torch._dynamo.reset()
    reset_peak_memory(args.device)
    start = time.perf_counter()
    side = make_side(options, options.schedule)
    found = dict(setup_s=time.perf_counter() - start, first_step_s=side.step(0))
    for number in range(args.warmup):
        side.step(number)
    found['latency_ms'] = 1e3 * statistics.median(side.step(number) for number in range(args.rounds))
    found.update(in_a_row(side, args.rounds), peak_mb=peak_memory(args.device))
    if on_gpu(args.device):
        found['reserved_mb'] = torch.cuda.max_memory_reserved() / 2 ** 20
    found.update(profiled(side))
    with parts_timed(side) as seconds:
        side.step(1)
    found['parts_ms'] = {name: 1e3 * value for name, value in seconds.items()}
    if not options.compile:
        found['tflop'] = tflop_of(side)
    return {**found, **waits_of(side)}


def in_a_row(side: Side, rounds: int) -> dict[str, float]:
    """The best of three runs."""
    runs = []
    for _ in range(3):
        synchronise(side.device)
        start = time.perf_counter()
        for number in range(rounds):
            side.run(number)
        submitted = time.perf_counter() - start
        synchronise(side.device)
        runs.append((time.perf_counter() - start, submitted))
    throughput, submit = (1e3 * min(values) / rounds for values in zip(*runs))
    return dict(throughput_ms=throughput, submit_ms=submit)


def profiled(side: Side) -> dict[str, Any]:
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu(side.device) else [])
    with profile(activities=kinds) as recorded:
        side.run(1)
        synchronise(side.device)
    events = recorded.key_averages()
    if not on_gpu(side.device):
        return dict(operations=sum(event.count for event in events if event.key.startswith('aten::')))
    kernels = [event for event in events if str(event.device_type).endswith('CUDA')]
    top = sorted(kernels, key=lambda event: -event.self_device_time_total)[:LONGEST_KERNELS]
    return dict(kernels=sum(event.count for event in kernels),
                device_ms=sum(event.self_device_time_total for event in kernels) / 1e3,
                top=[(event.key[:90], event.count, event.self_device_time_total / 1e3) for event in top])


def waits_of(side: Side) -> dict[str, Any]:
    if not on_gpu(side.device):
        return {}
    torch.cuda.set_sync_debug_mode('error')
    try:
        side.run(0)
        return dict(waits=None)
    except RuntimeError as error:
        return dict(waits=''.join(traceback.format_exception(error))[-1500:])
    finally:
        torch.cuda.set_sync_debug_mode('default')


def runner_step(args: argparse.Namespace, changes: dict[str, Any]) -> dict[str, float]:
    """Of the training's own loop: batches from the host, seeds, modes, log values.

    throughput_ms             beside that of the step alone
    train_ms, remedies_ms     what was once done in each step: ``model.train()``, advice on memory
    """
    options = settings_of(args, changes)
    side = make_side(options, 'ours')
    host = argparse.Namespace(**{**vars(options), 'device': 'cpu'})
    on_host = [make_batch(host, seed) for seed in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        runner = IterBasedRunner(side.model, side.owner.optimizers, folder, logging.getLogger('gpu_suite'),
                                 10 ** 6, torch.device(args.device), meta={})
        runner.optimizer_step = side.owner
        runner.data_loader = SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=options.batch))
        for number in range(1 + args.warmup):
            runner.train(on_host[number % 2])
        synchronise(args.device)
        start = time.perf_counter()
        for number in range(args.rounds):
            runner.train(on_host[number % 2])
        synchronise(args.device)
        taken = time.perf_counter() - start
    return dict(throughput_ms=1e3 * taken / args.rounds, train_ms=milliseconds(side.model.train),
                remedies_ms=milliseconds(lambda: step_remedies(side.model, options.batch)))


def milliseconds(function: Callable[[], Any], times: int = 5) -> float:
    """Of a call on the host, median."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken)
