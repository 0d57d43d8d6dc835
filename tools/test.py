"""Test a network on a data set: scores, pictures, files for a benchmark's server.

    python tools/test.py CONFIG CHECKPOINT --eval mIoU --show-dir preds
    python tools/test.py CONFIG CHECKPOINT --format-only --test-set \
        --eval-options imgfile_prefix=labelTrainIds to_label_id=False

Runs on a GPU if there is one; on several with torchrun --nproc_per_node=N tools/test.py ...
"""
from __future__ import annotations

import argparse
import gc
import math
import os
import pickle
import re
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.apis.calibration import METRICS, as_json, measure_calibration, plot_calibration, target_of
from mmseg.apis.inference import choose_device, init_segmentor, num_classes_of
from mmseg.apis.panels import write_panels
from mmseg.apis.recorded_folder import refuse_own_folder
from mmseg.apis.submission import make_submission
from mmseg.checkpoint.weights import TEACHER_PREFIX
from mmseg.core.evaluation.calibration import Calibration
from mmseg.core.pictures import Style
from mmseg.core.pseudo_label_rules import check_weights
from mmseg.datasets import build_dataset, leaf_configs
from mmseg.datasets.loading.loader import Loader, translate_worker_errors
from mmseg.datasets.loading.size_groups import build_test_loader
from mmseg.datasets.submission import BENCHMARKS
from mmseg.engine.class_maps import PRECISIONS, reduced_precision
from mmseg.engine.evaluation import TestOutcome, device_of, gathered_predictions, run_test
from mmseg.engine.hooks.eval_hook import class_subsets, further_means
from mmseg.engine.precision import set_tf32
from mmseg.models.segmentors import AveragedSegmentor
from mmseg.utils import ArgumentParser, ConfigError, UserError, one_line_errors
from mmseg.utils.config import load_config, parse_options
from mmseg.utils.config_trust import PROJECT, warn_of_code
from mmseg.utils.distributed import LAUNCHERS, world
from mmseg.utils.files import unused_path, write_bytes, write_json
from mmseg.utils.peers import joined
from mmseg.utils.registry import check_keys

if TYPE_CHECKING:
    from mmseg.utils.config import Config

AUG_TEST_RATIOS = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
# of the project's folder, those that hold what programs write
OUTPUT_FOLDERS = ('work_dirs', 'data', 'pretrained')
VAL = re.compile(r'(?<![A-Za-z0-9])val(?![A-Za-z0-9])')
EVAL_OPTIONS = ('imgfile_prefix', 'to_label_id')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file of the training run or of the network')
    add_networks(parser)
    parser.add_argument('--eval', nargs='+', metavar='METRIC', help='mIoU (default), mDice, mFscore; '
                                                                    'calibration and entropy: how far the '
                                                                    'probabilities '
                        'can be trusted, with a plot')
    parser.add_argument('--show', action='store_true', help='show each picture in a window')
    parser.add_argument('--show-dir', metavar='DIR', help='write pictures of the predictions there')
    parser.add_argument('--legend', action='store_true', help='in them: name the classes, by area')
    parser.add_argument('--outlines', action='store_true', help='in them: draw the borders between classes')
    parser.add_argument('--panels', metavar='DIR',
                        help='write image, truth, prediction, error and entropy side by side there')
    parser.add_argument('--opacity', type=float, default=0.5,
                        help='of the colours in the pictures, 0 to 1 (default: %(default)s)')
    parser.add_argument('--format-only', action='store_true',
                        help="write the predictions as a benchmark's server wants them, no scores")
    parser.add_argument('--submission', choices=sorted(BENCHMARKS),
                        help="write the zip for this benchmark's server from the test split, no scores")
    parser.add_argument('--invalid-below', type=float, default=0.0, metavar='P',
                        help='of --submission darkzurich: in labelTrainIds_invalid, pixels of less '
                             'confidence (0 to 1) are invalid (default: none)')
    parser.add_argument('--test-set', action='store_true',
                        help='the test split in place of the validation split')
    parser.add_argument('--aug-test', action='store_true',
                        help='average over six scales, each of them mirrored too')
    parser.add_argument('--inference-mode', choices=['same', 'whole', 'slide'], default='same',
                        help='same: as the config says (default)')
    parser.add_argument('--out', metavar='FILE.pkl', help='write the list of predictions there')
    parser.add_argument('--options', '--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE',
                        dest='options',
                        help='change the config, e.g. data.test.data_root=/data/acdc')
    parser.add_argument('--eval-options', nargs='+', action='extend', metavar='KEY=VALUE',
                        help='imgfile_prefix=DIR and to_label_id=True|False, for --format-only')
    parser.add_argument('--work-dir', metavar='DIR',
                        help="for the file with the scores (default: the checkpoint's folder)")
    parser.add_argument('--batch-size', type=int, default=1, metavar='N',
                        help='images of one size that go through the network together (default: %(default)s)')
    parser.add_argument('--amp', choices=PRECISIONS, help='run the network in that precision')
    parser.add_argument('--trust', action='store_true',
                        help='do not warn before Python code of another folder is run (configs are code)')
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda:0, ...')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none',
                        help='needed for slurm only; torchrun is recognised')
    args = parser.parse_args(argv)
    args.eval_options = parse_options(args.eval_options)
    refuse_contradictions(args)
    return args


def add_networks(parser: ArgumentParser) -> None:
    parser.add_argument('checkpoint', nargs='+',
                        help='weights, .pth files; the probabilities of several networks are averaged')
    parser.add_argument('--weights', type=float, nargs='+', metavar='W',
                        help='of several networks in the average, e.g. 0.3333 0.3333 0.3334 (default: all '
                             'alike)')
    parser.add_argument('--upsample', choices=['logits', 'softmax'], default='logits',
                        help="what is enlarged to the image's size; logits (default), or softmax, as FDA "
                             'does at test')
    parser.add_argument('--teacher', action='store_true',
                        help="test the teacher of a UDA checkpoint in the student's place")


def refuse_contradictions(args: argparse.Namespace) -> None:
    """Raises:
        UserError: arguments that exclude each other, or have no meaning.
    """
    if args.eval and args.format_only:
        raise UserError('--eval and --format-only exclude each other: one needs labels, the other is '
                        'for images without')
    if args.submission and (args.eval or args.format_only):
        raise UserError('--submission excludes --eval and --format-only: it writes a file for a server, '
                        'which has the labels')
    if args.invalid_below and args.submission != 'darkzurich':
        raise UserError('--invalid-below goes with --submission darkzurich: other servers want a class for '
                        'every pixel')
    if not 0 <= args.invalid_below <= 1:
        raise UserError(f'--invalid-below {args.invalid_below} is no probability (0 to 1)')
    if not 0 <= args.opacity <= 1:
        raise UserError(f'--opacity {args.opacity} must lie between 0 and 1')
    if args.weights is not None:
        check_weights(args.weights, len(args.checkpoint))
    if args.batch_size < 1:
        raise UserError(f'--batch-size {args.batch_size}: expected at least 1')
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        raise UserError(f"--out '{args.out}' must end in .pkl")
    if args.out and Path(args.out).exists():
        raise UserError(f"--out '{args.out}' exists already: choose another name")


def eval_options(args: argparse.Namespace) -> dict[str, Any]:
    """What to do with formatted predictions.

    Raises:
        UserError: an option that does not exist.
    """
    options = dict(args.eval_options)
    check_keys(options, EVAL_OPTIONS, '--eval-options')
    folder = options.get('imgfile_prefix', os.path.join(result_dir(args), 'format_results'))
    return {'format_dir': str(folder), 'to_label_id': bool(options.get('to_label_id', True))}


def score_metrics(args: argparse.Namespace) -> list[str]:
    """The metrics of the class maps; calibration and entropy are of the probabilities."""
    return [metric for metric in args.eval or () if metric not in METRICS] or ['mIoU']


def result_dir(args: argparse.Namespace) -> str:
    """Where the scores go: beside the checkpoint, but not among the files of the project, nor, of several
    networks, in the folder of a run, whose own they are not."""
    if args.work_dir:
        return args.work_dir
    if len(args.checkpoint) > 1:
        return os.path.join('work_dirs', 'tests', result_name(args))
    folder = Path(args.checkpoint[0]).resolve().parent
    within = folder.relative_to(PROJECT).parts if folder.is_relative_to(PROJECT) else ('work_dirs',)
    if within and within[0] in OUTPUT_FOLDERS:
        return str(folder)
    return os.path.join('work_dirs', 'tests', result_name(args))


def result_name(args: argparse.Namespace) -> str:
    return '+'.join(Path(path).stem for path in args.checkpoint)


def adapt_config(cfg: Config, args: argparse.Namespace) -> None:
    """Change the test part of ``cfg`` as the command line asks."""
    test = (cfg.get('data') or {}).get('test')
    if not isinstance(test, Mapping):
        raise UserError(f"the config '{args.config}' has no data.test")
    test['test_mode'] = True
    if args.test_set or args.submission:
        for leaf in leaf_configs(test):
            use_test_split(leaf, cfg.data.get('test_split'))
    if args.aug_test:
        use_augmentation(test)
    if args.inference_mode != 'same':
        use_inference_mode(cfg, args.inference_mode)


def use_test_split(test: dict, named: Mapping | None = None) -> None:
    """Let a data set read its test split.

    Args:
        test: its config, changed in place.
        named: ``data.test_split``: the keys that differ there, such as img_dir. None: in the folders and the
            list of files below the root, 'test' stands for the word 'val'.

    Raises:
        ConfigError: nothing named, and no folder or list of 'val'.
    """
    found = dict(named) if named is not None else {
        key: VAL.sub('test', test[key]) for key in ('img_dir', 'ann_dir', 'split')
        if isinstance(test.get(key), str) and VAL.search(test[key])}
    if not {'img_dir', 'split'} & found.keys():
        raise ConfigError(f"--test-set, --submission: where is the test split of the {test.get('type')} in "
                          f"'{test.get('img_dir')}'? Name it in the config: "
                          "data.test_split=dict(img_dir='...')")
    test.update(found)


def use_augmentation(test: dict) -> None:
    for leaf in leaf_configs(test):
        found = [t for t in leaf['pipeline'] if t['type'] == 'MultiScaleFlipAug']
        if not found:
            raise UserError('--aug-test: data.test.pipeline has no MultiScaleFlipAug to change')
        found[0].update(img_ratios=AUG_TEST_RATIOS, flip=True)


def use_inference_mode(cfg: Config, mode: str) -> None:
    test_cfg = {**(cfg.model.get('test_cfg') or {}), 'mode': mode}
    if mode == 'slide' and not {'crop_size', 'stride'} <= test_cfg.keys():
        crop = test_cfg.get('crop_size') or cfg.get('crop_size')
        if crop is None:
            raise UserError('--inference-mode slide: the config has no crop_size: give --options '
                            'model.test_cfg.crop_size=512,512 model.test_cfg.stride=256,256')
        test_cfg.update(crop_size=tuple(crop), stride=tuple(side // 2 for side in crop))
    cfg.model['test_cfg'] = test_cfg


def build_loader(cfg: Config, args: argparse.Namespace):
    dataset = build_dataset(cfg.data.test)
    network_classes = num_classes_of(cfg)
    if len(dataset.CLASSES) != network_classes:
        raise UserError(f'the network tells {network_classes} classes apart but the data set '
                        f"{cfg.data.test.get('type')} has {len(dataset.CLASSES)}: "
                        'set data.test or model.decode_head.num_classes accordingly')
    return build_test_loader(dataset, args.batch_size, cfg.data.get('workers_per_gpu', 2))


def pairing_note(cfg: Config) -> str | None:
    """How a network adapted to Cityscapes in rendered weather was trained; None for others."""
    train = cfg.data.get('train') or {}
    target = train.get('target') if isinstance(train, Mapping) else None
    kinds = {leaf.get('type') for leaf in leaf_configs(target)} if target else set()
    if not kinds & {'FoggyCityscapesDataset', 'RainCityscapesDataset'}:
        return None
    excluded = train.get('exclude_paired_source', False)
    return f'training: source images of the scenes of the target {"left out" if excluded else "kept"}'


def print_calibration(meter: Calibration) -> None:
    scores = meter.scores()
    for name, text in (('ECE', 'expected calibration error'), ('wrong_certain', f'wrong with H < '
                                                                                f'{meter.certain:g}'),
                       ('right_undecided', f'right with H >= {meter.undecided:g}'), ('AUROC', 'AUROC of H '
                                                                                              'for errors')):
        print(f'{text}: {100 * scores[name]:.2f} %')
    print(f"mean entropy: {scores['entropy']:.4f} nats; negative log-likelihood: {scores['NLL']:.4f} nats")


def report(outcome: TestOutcome, dataset, cfg: Config, args: argparse.Namespace,
           meter: Calibration | None = None) -> None:
    """Print the scores and write them to a file; the last line is the main score."""
    scores = dataset.evaluate(outcome.matrix, metric=score_metrics(args))
    further = further_means(outcome.matrix, outcome.groups, class_subsets(cfg))
    for name, value in further.items():
        print(f'{name}: {100 * value:.2f} %')
    note = pairing_note(cfg)
    if note:
        print(note)
    if meter is not None:
        print_calibration(meter)
    result = {
        'config': args.config, 'note': note,
        'checkpoint': args.checkpoint if len(args.checkpoint) > 1 else args.checkpoint[0],
        'weights': args.weights, 'upsample': args.upsample, 'teacher': args.teacher,
        'test_set': args.test_set, 'aug_test': args.aug_test, 'inference_mode': args.inference_mode,
        'options': args.options, 'images': len(dataset), 'classes': list(dataset.CLASSES),
        'scores': {k: None if math.isnan(v) else v for k, v in {**scores, **further}.items()},
        'confusion_matrix': outcome.matrix.matrix.tolist()}
    if meter is not None:
        result['calibration'] = as_json(meter, list(dataset.CLASSES))
    name = f'eval_{result_name(args)}_{time.strftime("%Y%m%d_%H%M%S")}.json'
    path = unused_path(os.path.join(result_dir(args), name))
    write_json(path, result)
    print(f'scores written to {path}')
    if meter is not None:
        picture = Path(path).with_suffix('.png')
        write_bytes(picture, plot_calibration(meter, target_of(cfg)))
        print(f'entropies and calibration drawn in {picture}')
    for name, value in scores.items():
        if name.startswith('m') and name not in ('mAcc', 'mPrecision', 'mRecall') and '.' not in name:
            print(f'{name}: {100 * value:.2f} %')


def prepared(args: argparse.Namespace, local_rank: int | None) -> tuple[Config, nn.Module, Loader]:
    """(config, network on its device, loader of what it is tested on)."""
    warn_of_code(args.config, args.trust)
    cfg = load_config(args.config, parse_options(args.options))
    adapt_config(cfg, args)
    distributed_gpu = local_rank is not None and torch.cuda.is_available()
    device = choose_device(f'cuda:{local_rank}' if distributed_gpu else args.device)
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = bool(cfg.get('cudnn_benchmark'))
    set_tf32(bool(cfg.get('tf32')))
    models = [init_segmentor(cfg, path, device, TEACHER_PREFIX if args.teacher else 'auto')
              for path in args.checkpoint]
    alone = len(models) == 1 and args.upsample == 'logits'
    model = models[0] if alone else AveragedSegmentor(models, args.weights, args.upsample == 'softmax')
    return cfg, model, build_loader(cfg, args)


def run(cfg: Config, model: nn.Module, loader: Loader, args: argparse.Namespace, formatting: dict) -> None:
    """Write and print what the arguments ask for."""
    device = device_of(model)
    folders = [folder for folder in (args.show_dir, args.panels, formatting.get('format_dir')) if folder]
    for folder in folders:
        refuse_own_folder(loader.dataset, folder)
    if args.submission:
        path = unused_path(os.path.join(result_dir(args), f'submission_{args.submission}.zip'))
        with reduced_precision(model, device, args.amp):
            count = make_submission(model, loader, device, args.submission, path, args.invalid_below)
        if world()[0] == 0:
            print(f'{count} images written to {path}')
        return
    other_work = args.format_only or args.out or args.show or args.show_dir
    evaluate = bool(args.eval) or not (other_work or args.panels)
    outcome = run_test(
        model, loader, device, evaluate=evaluate, out_dir=args.show_dir, opacity=args.opacity,
        legend=args.legend, outlines=args.outlines, keep_predictions=bool(args.out), show=args.show,
        amp=args.amp, **formatting) if evaluate or other_work else None
    if args.panels:
        style = Style(loader.dataset.PALETTE, loader.dataset.CLASSES, args.opacity, args.outlines)
        write_panels(model, loader, device, args.panels, style)
    asked = evaluate and set(args.eval or ()) & set(METRICS)
    meter = measure_calibration(model, loader, device) if asked else None
    predictions = gathered_predictions(outcome) if args.out else None
    if world()[0] != 0:
        return
    if args.out:
        write_bytes(args.out, pickle.dumps(predictions))
        print(f'predictions written to {args.out}')
    for folder in folders:
        print(f'{len(loader.dataset)} files written to {folder}')
    if evaluate:
        report(outcome, loader.dataset, cfg, args, meter)


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    formatting = eval_options(args) if args.format_only else {}
    with joined(args.launcher) as local_rank:
        cfg, model, loader = prepared(args, local_rank)
        with closing(loader), translate_worker_errors():
            run(cfg, model, loader, args, formatting)


if __name__ == '__main__':
    main()
