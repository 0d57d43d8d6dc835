"""Class statistics of CamVid, for rare class sampling. The labels themselves are used as they are.

    python tools/convert_datasets/camvid.py data/camvid
    python tools/convert_datasets/camvid.py data/camvid --day-and-dusk

With --day-and-dusk the SegNet tutorial's folders (train, trainannot, test, testannot) also get the frames of
experiments 901 to 903 as links: day (sequences 0006R0 and 0016E5 of train), dusk_train (0001TP of train) and
dusk_val (of the 62 frames of 0001TP in test the first eight of every sixteen).

It counts the classes of the source's labels (day/labels, or trainannot in the SegNet tutorial's layout) and
writes the three statistics files to the data root, or with -o to another folder, which the config then names
in rare_class_sampling.stats_dir.
"""
from __future__ import annotations

import gc
import os
import os.path as osp
import sys
from functools import partial
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmseg.datasets.camvid import CamVidDataset
from mmseg.datasets.files import find_files, require_dir
from mmseg.datasets.pipelines.loading import check_label_values, read_label, rename_labels
from mmseg.datasets.preparation.class_stats import ClassIds, label_stats
from mmseg.datasets.preparation.labels import run_all, save_stats
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.errors import positive

LABEL_DIRS = ('day/labels', 'trainannot')
DAY, DUSK = ('0006R0', '0016E5'), '0001TP'
# frames of a sequence are numbered by the film's 30 a second, one of which was labelled
FIRST_OF_TEST, STEP, BLOCK = 8550, 30, 16
FRAMES = dict(day=305, dusk_train=62, dusk_val=32)


def stats_of_label(path: str, root: str) -> dict:
    """The statistics of one label map, ``path`` relative to ``root``."""
    ignored = dict.fromkeys(CamVidDataset.IGNORED_IDS, 255)
    label = rename_labels(read_label(osp.join(root, path)), ignored, False)
    check_label_values(label, len(CamVidDataset.CLASSES), 255, path)
    return label_stats(label, path)


def find_label_dir(root: str, wanted: str | None) -> str:
    """The folder of the source's labels, relative to ``root``."""
    require_dir(root, 'data root')
    for folder in [wanted] if wanted else LABEL_DIRS:
        if osp.isdir(osp.join(root, folder)):
            return folder
    raise UserError(f"no {wanted or ' and no '.join(LABEL_DIRS)} in {root}: name the folder of the "
                    'source labels with --label-dir')


def part_of(split: str, name: str) -> str | None:
    """The folder of a frame, '0001TP_008550.png' of 'train' or 'test'; None: it is in none."""
    sequence, _, number = Path(name).stem.partition('_')
    if split == 'train':
        return 'day' if sequence in DAY else 'dusk_train' if sequence == DUSK else None
    later = sequence == DUSK and (int(number) - FIRST_OF_TEST) // STEP % BLOCK < BLOCK // 2
    return 'dusk_val' if later else None


def link_day_and_dusk(root: Path) -> None:
    """Links to the frames and labels of the SegNet tutorial's folders; a file that is there is left alone.

    Raises:
        UserError: the folders are not there, or some of the frames.
    """
    links = {}
    for split in ('train', 'test'):
        for name in find_files(str(root / split), '.png', 'image'):
            part = part_of(split, name)
            if part:
                links[root / part / 'images' / name] = root / split / name
                links[root / part / 'labels' / name] = root / f'{split}annot' / name
    for part, wanted in FRAMES.items():
        found = sum(link.parent == root / part / 'images' for link in links)
        if found != wanted:
            raise UserError(f'{root}: {found} of the {wanted} frames of {part} are in train and test; is the '
                            'download whole?')
    missing = [target for target in links.values() if not target.is_file()]
    if missing:
        raise UserError(f'{missing[0]} is missing: is the download whole?')
    for link, target in links.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(link):
            link.symlink_to(osp.relpath(target, link.parent))
    print(', '.join(f'{root / part}: {wanted} frames' for part, wanted in FRAMES.items()))


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('camvid_path', help='the data root')
    parser.add_argument('--label-dir', help=f'folder of the labels (default: {" or ".join(LABEL_DIRS)})')
    parser.add_argument('-o', '--out-dir', help='folder of the statistics (default: the data root)')
    parser.add_argument('--nproc', type=positive, default=4, help='processes (default: %(default)s)')
    parser.add_argument('--day-and-dusk', action='store_true',
                        help="link the frames of experiments 901 to 903 out of the SegNet tutorial's folders")
    args = parser.parse_args(argv)
    if args.day_and_dusk:
        link_day_and_dusk(Path(args.camvid_path))
    root, folder = args.camvid_path, find_label_dir(args.camvid_path, args.label_dir)
    paths = [osp.join(folder, name) for name in find_files(osp.join(root, folder), '.png', 'label')]
    stats = run_all(partial(stats_of_label, root=root), paths, args.nproc, 'label maps')
    out_dir, ids = args.out_dir or root, ClassIds(tuple(CamVidDataset.CLASSES))
    print(f'class statistics of {save_stats(out_dir, stats, ids)} labels in {out_dir}')


if __name__ == '__main__':
    main()
