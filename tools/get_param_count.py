"""Count the parameters of networks, and their multiply-adds on one image, as a markdown table.

    python -m tools.get_param_count configs/ebda/cs2acdc_ebda_daformer_mitb5_s0.py
    python -m tools.get_param_count --exp 100 --size 512x512

Nothing is computed or loaded: the networks are built and run on torch's meta device, shapes only.
"""
from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.apis.inference import input_bands
from mmseg.models import build_segmentor
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.arguments import parse_size
from mmseg.utils.config import load_config
from mmseg.utils.config_check import needed

HEADER = ('network', 'encoder (M)', 'decoder (M)', 'together (M)', 'GMACs')


@dataclass(frozen=True)
class Count:
    """Parameters (also those that are not trained), and multiply-adds of one forward pass."""

    encoder: int
    decoder: int
    macs: int

    def row(self, name: str) -> tuple[str, ...]:
        parameters = (self.encoder, self.decoder, self.encoder + self.decoder)
        return (name, *(f'{n / 1e6:.2f}' for n in parameters), f'{self.macs / 1e9:.1f}')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('configs', nargs='*', metavar='CONFIG', help='config files')
    parser.add_argument('--exp', type=int, metavar='ID',
                        help='the networks of this experiment (run_experiments.py --list)')
    parser.add_argument('--size', default='512x512', metavar='WIDTHxHEIGHT',
                        help='of the image, in pixels (default: %(default)s)')
    args = parser.parse_args(argv)
    if not args.configs and args.exp is None:
        raise UserError('nothing to count: give config files, or --exp ID')
    return args


def count_parameters(module: nn.Module | None) -> int:
    return 0 if module is None else sum(p.numel() for p in module.parameters())


def count(model_cfg: Mapping[str, Any], height: int, width: int) -> Count:
    """Measure the network of ``cfg.model`` on one image of ``height`` × ``width`` pixels.

    The decoder is all but the backbone: neck, decode head and auxiliary heads. Multiply-adds are those
    of convolutions, linear layers and attention in the prediction of class logits.
    """
    with torch.device('meta'):
        network = build_segmentor({**model_cfg, 'pretrained': None}).eval()
        image = torch.zeros(1, input_bands(network), height, width)
    with torch.inference_mode(), FlopCounterMode(display=False) as flops:
        network.encode_decode(image)
    encoder = count_parameters(network.backbone)
    # torch counts a multiply-add as two operations
    return Count(encoder, count_parameters(network) - encoder, flops.get_total_flops() // 2)


def named_models(args: argparse.Namespace) -> list[tuple[str, Mapping[str, Any]]]:
    models = [(Path(path).stem, needed(load_config(path), 'model', f"the network of '{path}'"))
              for path in args.configs]
    if args.exp is not None:
        from experiments import generate_experiment_cfgs, resolve
        by_name = {cfg['name_architecture']: cfg for cfg in generate_experiment_cfgs(args.exp)}
        models += [(name, resolve(cfg)['model']) for name, cfg in by_name.items()]
    return models


def markdown_table(rows: Iterable[tuple[str, ...]]) -> str:
    rule = ('---', *('---:' for _ in HEADER[1:]))
    return '\n'.join(f'| {" | ".join(row)} |' for row in (HEADER, rule, *rows))


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    size = parse_size(args.size)[::-1]
    print(markdown_table(count(model, *size).row(name) for name, model in named_models(args)))


if __name__ == '__main__':
    main()
