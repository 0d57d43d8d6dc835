"""How many label files of 2048x1024 a converter makes a minute on one core.

    OMP_NUM_THREADS=1 python -m benchmarks.convert_labels [--files 40]

The labels are those of a synthetic street of that size, so that they compress as real ones do. The figure
of a core is by CPU time, so that other programs do not count. Measured (one core of an AMD EPYC, a virtual
machine that other jobs were using, OMP_NUM_THREADS=1, --files 60): 1754 files a minute are converted, 3071
verified in a second run.
"""
from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2

from mmseg.datasets.cityscapes import train_ids_table
from mmseg.datasets.preparation.labels import Rule, Task, convert_label
from mmseg.synthetic import render_scene

SIZE = (2048, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--files', type=int, default=40, help='label files (default: %(default)s)')
    count = parser.parse_args().files
    label = render_scene(0, 0, SIZE).label_ids
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            cv2.imwrite(str(Path(folder, f'{number}.png')), label)
        rule = Rule(train_ids_table(), 34)
        tasks = [Task(rule, f'{number}.png', f'{number}_out.png', (), True) for number in range(count)]
        for title in ('converted', 'verified again'):
            start, cpu = time.perf_counter(), time.process_time()
            for task in tasks:
                convert_label(task, folder)
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu
            print(f'{title}: {60 * count / wall:.0f} files a minute by the clock, {60 * count / cpu:.0f} a '
                  'minute of a core')


if __name__ == '__main__':
    main()
