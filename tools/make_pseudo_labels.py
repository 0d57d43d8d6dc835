"""Label the target images of a config with trained networks, for a training on these labels.

    python tools/make_pseudo_labels.py CONFIG CHECKPOINT --rule bdl --out work_dirs/pseudo
    python tools/train.py CONFIG --options data.train.target.pseudo_labels=work_dirs/pseudo

DIR/labels and DIR/confidence get one PNG an image, in the sub-folders of the images: train ids, 255 where a
pixel is ignored, and round(65535 p). DIR/pseudo_labels.json holds the thresholds of the classes. A run that
was cut off goes on where it stopped. The networks are averaged; each image goes through data.test.pipeline.
"""
from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.apis.guided_labels import Guide, pair_up
from mmseg.apis.inference import choose_device, init_segmentor, num_classes_of, test_pipeline
from mmseg.apis.pseudo_labels import make_pseudo_labels
from mmseg.apis.recorded_folder import digest, images_digest, refuse_own_folder
from mmseg.apis.target_images import target_configs
from mmseg.checkpoint.weights import TEACHER_PREFIX
from mmseg.core.pseudo_label_rules import RULES, build_rule, check_weights
from mmseg.datasets import CustomDataset, build_dataset
from mmseg.datasets.loading.loader import translate_worker_errors
from mmseg.models.segmentors import AveragedSegmentor
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.config import load_config, parse_options
from mmseg.utils.config_trust import warn_of_code
from mmseg.utils.files import file_digest

if TYPE_CHECKING:
    from mmseg.utils.config import Config


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file of the training run')
    parser.add_argument('checkpoint', nargs='+', help='weights, .pth files of one network')
    parser.add_argument('--rule', choices=RULES, required=True,
                        help='which pixels stay; bdl: above the median of their class or 0.9; fda: above '
                             'its 66 percent quantile or 0.9; proda: above 0.95, of the average with the '
                             'mirrored image; threshold: from --threshold on; mgcda: all, corrected by the '
                             'predictions of --references')
    parser.add_argument('--out', metavar='DIR', required=True, help='where to')
    parser.add_argument('--threshold', type=float, metavar='P', help='of --rule threshold and proda, 0 to 1')
    parser.add_argument('--weights', type=float, nargs='+', metavar='W',
                        help='of the networks in the average, e.g. 0.3333 0.3333 0.3334 (default: all alike)')
    parser.add_argument('--flip', action='store_true',
                        help='average with the prediction of the mirrored image')
    parser.add_argument('--upsample', choices=['logits', 'softmax'], default='logits',
                        help="what is enlarged to the image's size; logits, as in evaluation (default), or "
                             'softmax, as BDL and FDA do for pseudo-labels')
    parser.add_argument('--teacher', action='store_true',
                        help="take the teachers of UDA checkpoints in the students' place")
    parser.add_argument('--references', metavar='CONFIG',
                        help='of --rule mgcda: the config whose training has the pictures of the same places '
                             'in good light as its target')
    parser.add_argument('--pairs', metavar='FILE',
                        help='lines IMAGE<tab>REFERENCE, names below the folders of images (default: the '
                             'n-th image goes with the n-th reference)')
    parser.add_argument('--geometry', metavar='DIR',
                        help="depth and matched points, DIR/NAME.npz for the image NAME: with 'depth' of the "
                             "reference (H, W), metres, and 'points' (N, 4), x and y in the reference and in "
                             'the image')
    parser.add_argument('--options', '--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE',
                        dest='options',
                        help='change the config, e.g. data.train.target.data_root=/data/acdc')
    parser.add_argument('--trust', action='store_true',
                        help='do not warn before Python code of another folder is run (configs are code)')
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda:0, ...')
    return parser.parse_args(argv)


def build_targets(configs: Sequence[dict], cfg: Config, out: str) -> list[CustomDataset]:
    """Raises:
        UserError: data sets of other classes than the network's, or whose images ``out`` lies among.
    """
    datasets = [build_dataset(config) for config in configs]
    for dataset in datasets:
        if not isinstance(dataset, CustomDataset):
            raise UserError(f'{type(dataset).__name__} cannot have pseudo-labels: it is no CustomDataset')
        if len(dataset.CLASSES or ()) != num_classes_of(cfg) or dataset.CLASSES != datasets[0].CLASSES:
            raise UserError(f'the network tells {num_classes_of(cfg)} classes apart but the data set of '
                            f'{dataset.img_dir} has {len(dataset.CLASSES or ())}, or others than the first')
        refuse_own_folder(dataset, out)
    return datasets


def build_guide(args: argparse.Namespace, cfg: Config, datasets: Sequence[CustomDataset]) -> Guide | None:
    """What corrects predictions, of --rule mgcda.

    Raises:
        UserError: its arguments with another rule, or none; references that do not fit.
    """
    given = [f'--{name}' for name in ('references', 'pairs', 'geometry') if getattr(args, name) is not None]
    if args.rule != 'mgcda':
        if given:
            raise UserError(f'{given[0]} goes with --rule mgcda alone')
        return None
    if args.references is None:
        raise UserError('--rule mgcda needs --references CONFIG, whose training has the pictures in good '
                        'light as its target')
    warn_of_code(args.references, args.trust)
    references = build_targets(target_configs(cfg, args.flip, load_config(args.references)), cfg, args.out)
    return Guide(references, pair_up(datasets, references, args.pairs), args.geometry)


def settings_of(args: argparse.Namespace, cfg: Config, datasets: Sequence[CustomDataset]) -> dict[str, Any]:
    """What the labels depend on."""
    return dict(rule=args.rule, threshold=args.threshold, weights=args.weights, flip=args.flip,
                upsample=args.upsample, teacher=args.teacher, images=images_digest(datasets),
                network=digest([cfg.model, test_pipeline(cfg)]),
                checkpoints=[file_digest(path) for path in args.checkpoint])


def print_thresholds(record: Mapping[str, Any]) -> None:
    for name, threshold in record['thresholds'].items():
        pixels = record['pixels'][name]
        print(f'{name}: {pixels} pixels predicted' + (f', threshold {threshold:.4f}' if pixels else ''))


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    rule = build_rule(args.rule, args.threshold)
    if args.weights is not None:
        check_weights(args.weights, len(args.checkpoint))
    args.flip = args.flip or args.rule == 'proda'
    warn_of_code(args.config, args.trust)
    cfg = load_config(args.config, parse_options(args.options))
    datasets = build_targets(target_configs(cfg, args.flip), cfg, args.out)
    guide = build_guide(args, cfg, datasets)
    device = choose_device(args.device)
    models = [init_segmentor(cfg, path, device, TEACHER_PREFIX if args.teacher else 'auto')
              for path in args.checkpoint]
    count, settings = sum(map(len, datasets)), settings_of(args, cfg, datasets)
    if guide is not None:
        settings.update(guide.settings(args.pairs))
    networks = AveragedSegmentor(models, args.weights, softmax_first=args.upsample == 'softmax')
    with translate_worker_errors():
        record = make_pseudo_labels(networks, datasets, device, args.out, rule, settings,
                                    cfg.data.get('workers_per_gpu', 2), guide)
    print_thresholds(record)
    print(f'{count} images labelled in {args.out}')
    print(f'train with them: --options data.train.target.pseudo_labels={args.out}')


if __name__ == '__main__':
    main()
