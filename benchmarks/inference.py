"""Images a second of testing: whole images and sliding windows, batch sizes, precisions.

    python -m benchmarks.inference --backbone mit_b0 --size 512x256 --batches 1 2 --amp float32 bfloat16
    python -m benchmarks.inference --size 1024x512 --batches 1 4 8 --amp float32 bfloat16      (a GPU)

The network is that of the main config with random weights; images are noise that lies on the device. What
is timed is the network, enlarging and the largest class of each pixel, as tools/test.py does them; reading
files is in benchmarks/data_loading.py. All variants take turns in each round; the median counts.
"""
from __future__ import annotations

import argparse
import itertools
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from mmseg.engine.class_maps import PRECISIONS, class_maps, reduced_precision
from mmseg.engine.precision import set_tf32
from mmseg.models import build_segmentor
from mmseg.models.segmentors import EncoderDecoder
from mmseg.ops.cpu import accelerate
from mmseg.utils.config import load_config
from mmseg.utils.files import write_json
from tools.make_synthetic_streets import parse_size

CONFIG = Path(__file__).resolve().parents[1] / 'configs/ebda/cs2acdc_ebda_daformer_mitb5_s0.py'
SMALL_CHANNELS = {'mit_b0': [32, 64, 160, 256]}


def build_network(backbone: str, window: int, device: str) -> EncoderDecoder:
    """The config's network with random weights, ready for sliding windows."""
    cfg = load_config(CONFIG)
    cfg.model.update(pretrained=None, test_cfg=dict(mode='whole', crop_size=(window, window),
                                                    stride=(window // 2, window // 2)))
    cfg.model.backbone.type = backbone
    cfg.model.decode_head.in_channels = SMALL_CHANNELS.get(backbone, [64, 128, 320, 512])
    torch.manual_seed(0)
    return accelerate(build_segmentor(cfg.model).to(device)).eval()


def seconds(network: EncoderDecoder, img: torch.Tensor, mode: str, amp: str) -> float:
    """Of one batch."""
    network.test_cfg['mode'] = mode
    metas = [dict(ori_shape=(*img.shape[2:], 3), flip=False)] * len(img)
    with torch.inference_mode(), reduced_precision(network, img.device, None if amp == 'float32' else amp):
        if img.is_cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        class_maps(network, [img], [metas])
        if img.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - start


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """One entry a variant."""
    width, height = parse_size(args.size)
    set_tf32(args.tf32)
    network = build_network(args.backbone, min(args.window, width, height), args.device)
    variants = list(itertools.product(args.modes, args.amp, args.batches))
    images = {batch: torch.randn(batch, 3, height, width, device=args.device) for batch in args.batches}
    times: dict[tuple, list[float]] = {variant: [] for variant in variants}
    for turn in range(args.warmup + args.rounds):
        for variant in variants:
            mode, amp, batch = variant
            taken = seconds(network, images[batch], mode, amp)
            if turn >= args.warmup:
                times[variant].append(taken)
    return [dict(mode=mode, amp=amp, batch=batch, milliseconds=1000 * statistics.median(taken),
                 images_per_second=batch / statistics.median(taken))
            for (mode, amp, batch), taken in times.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--backbone', default='mit_b5', choices=[f'mit_b{i}' for i in range(6)])
    parser.add_argument('--size', default='1024x512', metavar='WIDTHxHEIGHT', help='default: %(default)s')
    parser.add_argument('--window', type=int, default=512, help='side of a sliding window, pixels')
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 4])
    parser.add_argument('--amp', nargs='+', default=['float32'], choices=['float32', *PRECISIONS])
    parser.add_argument('--modes', nargs='+', default=['whole', 'slide'], choices=['whole', 'slide'])
    parser.add_argument('--tf32', action='store_true', help='of float32, on a GPU')
    parser.add_argument('--rounds', type=int, default=3, help='timed batches of each variant')
    parser.add_argument('--warmup', type=int, default=1, help='batches before that')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures here')
    args = parser.parse_args()
    results = measure(args)
    device = (torch.cuda.get_device_name() if args.device.startswith('cuda')
              else f'{torch.get_num_threads()} threads')
    print(f'{args.backbone}, {args.size}, {args.device} ({device}), torch {torch.__version__}')
    for row in results:
        print(f"{row['mode']:6} {row['amp']:9} batch {row['batch']:2}  {row['milliseconds']:9.1f} ms"
              f"  {row['images_per_second']:8.2f} images/s")
    if args.json:
        write_json(args.json, dict(backbone=args.backbone, size=args.size, device=device,
                                   torch=torch.__version__, results=results))


if __name__ == '__main__':
    main()
