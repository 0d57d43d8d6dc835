"""Look for faults in the zip for a benchmark's server before it is sent.

    python tools/check_submission.py acdc work_dirs/RUN/submission_acdc.zip --images data/acdc/rgb_anon

Every fault is printed with its file; the exit code is 1 if there is any.
"""
from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.datasets.submission import BENCHMARKS, check_submission
from mmseg.utils import ArgumentParser, one_line_errors


@one_line_errors
def main(argv: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('kind', choices=sorted(BENCHMARKS), help='the benchmark')
    parser.add_argument('zip', help='the submission')
    parser.add_argument('--images', required=True, metavar='DIR', help='folder of the test images')
    args = parser.parse_args(argv)
    faults = check_submission(args.kind, args.zip, args.images)
    print('\n'.join(faults) if faults else f'{args.zip}: no fault found')
    if faults:
        print(f'{len(faults)} faults in {args.zip}')
    return 1 if faults else 0


if __name__ == '__main__':
    main()
