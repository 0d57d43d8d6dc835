"""Generate street scenes with labels: the clear ones laid out as Cityscapes, the adverse as ACDC.

    python tools/make_synthetic_streets.py data/streets --train 400 --val 60 --size 256x128
    python tools/make_synthetic_streets.py data/streets --train 400 --val 60 --layout gta
"""
from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.synthetic import write_streets
from mmseg.synthetic.layouts import LAYOUTS, write_layout
from mmseg.utils import ArgumentParser, one_line_errors
from mmseg.utils.arguments import parse_size


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('out', help='folder to write to; a run that was cut off goes on')
    parser.add_argument('--train', type=int, default=400, help='training images of each domain')
    parser.add_argument('--val', type=int, default=60, help='validation images of each domain')
    parser.add_argument('--test', type=int, help='adverse test images without labels (default: --val)')
    parser.add_argument('--size', default='256x128', help='WIDTHxHEIGHT in pixels')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--nproc', type=int, default=0, help='processes, 0 = one for each core')
    parser.add_argument('--references', action='store_true',
                        help='also write the clear picture of each adverse place, as ACDC has them')
    parser.add_argument('--layout', choices=sorted(LAYOUTS),
                        help="streets as this data set's download in place of Cityscapes and ACDC")
    return parser.parse_args(argv)


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    """Parse the command line and write the streets."""
    args = parse_args(argv)
    if args.layout:
        write_layout(args.layout, args.out, args.train, args.val, args.test, parse_size(args.size), args.seed,
                     args.nproc or os.cpu_count() or 1)
        print(f'{args.out}: streets in the layout of {args.layout}')
        return
    write_streets(args.out, args.train, args.val, args.test, parse_size(args.size), args.seed,
                  args.nproc, args.references)
    print(f'{args.out}: cityscapes/ (clear) and acdc/ (fog, night, rain, snow)')


if __name__ == '__main__':
    main()
