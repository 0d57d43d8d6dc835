"""Parts of a step, testing and loading as benchmarks.gpu_suite measures them."""
from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks import data_loading
from benchmarks import inference as testing
from benchmarks.train_step import matmul_rates, synchronise
from mmseg.models.backbones.mix_transformer import attend

DTYPES = (torch.bfloat16, torch.float32)
BACKENDS = ('FLASH_ATTENTION', 'EFFICIENT_ATTENTION', 'CUDNN_ATTENTION', 'MATH')
SLEEP = 20_000_000  # cycles: while they pass, the calls that are timed are all submitted


def device_ms(device: str, function: Callable[[], Any], times: int = 10) -> float:
    """Of one call on the device, which the host must not hold up."""
    function()
    synchronise(device)
    if not device.startswith('cuda'):
        start = time.perf_counter()
        function()
        return 1e3 * (time.perf_counter() - start)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(SLEEP)
    begin.record()
    for _ in range(times):
        function()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / times


def rates(args: argparse.Namespace) -> dict[str, float]:
    """TFLOP/s of a large product by precision, and GB/s of a copy."""
    found = {f'{name}_tflops': rate / 1e12
             for name, rate in matmul_rates(args.device, 128 if args.tiny else 8192).items()}
    x = torch.empty(2 ** (20 if args.tiny else 30), device=args.device, dtype=torch.uint8)
    y = torch.empty_like(x)
    return dict(found, copy_gb_s=2 * x.numel() / device_ms(args.device, lambda: y.copy_(x)) / 1e6)


def attention(args: argparse.Namespace) -> dict[str, float | str]:
    """Milliseconds of a forward and backward pass of MiT-B5's four kinds of attention at 512², by groups of
    queries and by backend. A backend that does not take them says why."""
    side = 8 if args.tiny else 128
    found: dict[str, float | str] = {}
    for dtype in DTYPES:
        for heads, share in ((1, 1), (2, 4), (5, 16), (8, 64)):
            queries = side ** 2 // share
            shape = dict(device=args.device, dtype=dtype, requires_grad=True)
            q = torch.randn(2, queries, heads, 64, **shape)
            kv = torch.randn(2, side ** 2 // 64, 2, heads, 64, **shape)
            name = f'{str(dtype)[6:]} {heads} heads {queries} queries'
            for groups in (1, 4, 16, 64):
                if queries % groups == 0:
                    found[f'{name}, groups {groups}'] = _attention_ms(args.device, q, kv, groups)
            for backend in BACKENDS:
                found[f'{name}, {backend}'] = _backend_ms(args.device, q, kv, backend)
    return found


def _attention_ms(device: str, q: Tensor, kv: Tensor, groups: int = 1) -> float:
    def call() -> None:
        k, v = kv.permute(2, 0, 3, 1, 4)
        out = attend(q.transpose(1, 2), k, v, groups=groups)
        torch.autograd.grad(out, (q, kv), torch.ones_like(out))

    return device_ms(device, call)


def _backend_ms(device: str, q: Tensor, kv: Tensor, backend: str) -> float | str:
    try:
        with sdpa_kernel(getattr(SDPBackend, backend)):
            return _attention_ms(device, q, kv)
    except RuntimeError as error:
        return str(error).strip().splitlines()[0][:60]


def convolutions(args: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of a forward and backward pass of the depthwise convolutions and of the widest one, with
    channels last (NHWC) and first (NCHW)."""
    scale = 8 if args.tiny else 1
    found = {}
    for name, channels, side, dilation, out in (
            ('stage 1 depthwise', 256, 128, 1, None), ('stage 2 depthwise', 512, 64, 1, None),
            ('stage 3 depthwise', 1280, 32, 1, None), ('ASPP depthwise, dilation 6', 1024, 128, 6, None),
            ('ASPP depthwise, dilation 18', 1024, 128, 18, None), ('ASPP bottleneck', 1024, 128, 1, 256)):
        channels //= scale
        groups, out = (channels, channels) if out is None else (1, out // scale)
        for dtype in DTYPES:
            for label, order in (('NHWC', torch.channels_last), ('NCHW', torch.contiguous_format)):
                x, w = (torch.randn(*shape, device=args.device, dtype=dtype).to(memory_format=order)
                        .requires_grad_() for shape in ((2, channels, side // scale, side // scale),
                                                        (out, channels // groups, 3, 3)))
                found[f'{name}, {str(dtype)[6:]} {label}'] = _convolution_ms(
                    args.device, x, w, dilation, groups)
    return found


def _convolution_ms(device: str, x: Tensor, w: Tensor, dilation: int, groups: int) -> float:
    def call() -> None:
        y = F.conv2d(x, w, padding=dilation, dilation=dilation, groups=groups)
        torch.autograd.grad(y, (x, w), torch.ones_like(y))

    return device_ms(device, call, 5)


def inference(args: argparse.Namespace) -> list[dict[str, Any]]:
    """As benchmarks.inference: images a second, whole and in windows."""
    return testing.measure(argparse.Namespace(
        backbone='mit_b0' if args.tiny else 'mit_b5', size='64x64' if args.tiny else '1024x512',
        window=32 if args.tiny else 512, batches=[1] if args.tiny else [1, 8], amp=['float32', 'bfloat16'],
        modes=['whole', 'slide'], rounds=args.rounds, warmup=args.warmup, device=args.device, tf32=False))


def data(args: argparse.Namespace) -> dict[str, Any]:
    """As benchmarks.data_loading, of rendered streets: images a second of CPU time of one worker."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, 'streets')
        data_loading.render(root, 1 if args.tiny else 6)
        return data_loading.measure(str(root), 1 if args.tiny else 30, str(Path(folder, 'cache')))
