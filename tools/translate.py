"""Translate the source images of a config into the target's looks, for a training on them.

    python tools/translate.py CONFIG CHECKPOINT --out work_dirs/translated
    python tools/train.py OTHER_CONFIG --options data.train.source.translated=work_dirs/translated

CONFIG and CHECKPOINT are those of a training with uda.type='CycleGAN'. DIR gets one PNG an image, in the
sub-folders and under the names of the images; labels stay where they are. A run that was cut off goes on
where it stopped.
"""
from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.apis.inference import choose_device, load_step
from mmseg.apis.recorded_folder import OF_TRAINING, digest, images_digest, refuse_own_folder
from mmseg.apis.translation import Translator, init_generator, translate_images
from mmseg.datasets import CustomDataset, build_dataset, leaf_configs
from mmseg.datasets.pipelines import Resize
from mmseg.models.translation import JointUpsampling
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.arguments import parse_size
from mmseg.utils.config import load_config, parse_options
from mmseg.utils.config_trust import warn_of_code
from mmseg.utils.files import file_digest

if TYPE_CHECKING:
    from mmseg.utils.config import Config


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file of the training of the translation')
    parser.add_argument('checkpoint', help='its weights, a .pth file; or those of the generator alone')
    parser.add_argument('--out', metavar='DIR', required=True, help='where to')
    parser.add_argument('--size', metavar='WxH',
                        help='of the images that are translated (default: that of the training, the Resize '
                             "of the source's pipeline; without one, as they are)")
    parser.add_argument('--enlarge', action='store_true',
                        help="bring translations back to their images' size, by joint bilateral up-sampling "
                             'as MGCDA does')
    parser.add_argument('--options', '--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE',
                        dest='options',
                        help='change the config, e.g. data.train.source.data_root=/data/gta')
    parser.add_argument('--trust', action='store_true',
                        help='do not warn before Python code of another folder is run (configs are code)')
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda:0, ...')
    return parser.parse_args(argv)


def source_configs(cfg: Config) -> list[dict]:
    """The data sets of the training's source.

    Raises:
        UserError: the config has none.
    """
    train = (cfg.get('data') or {}).get('train')
    if not isinstance(train, Mapping) or 'source' not in train:
        raise UserError('the config has no data.train.source, whose images are to be translated')
    return leaf_configs(train['source'])


def training_size(configs: Sequence[dict], size: str | None) -> Resize | None:
    """How images are resized before they are translated; None: not at all.

    Raises:
        UserError: a size that is none; or none is given and the training draws its sizes.
    """
    if size is not None:
        return Resize(parse_size(size), keep_ratio=False)
    found = [[t for t in config['pipeline'] if t['type'] == 'Resize'] for config in configs]
    if any(resizes != found[0] for resizes in found[1:]):
        raise UserError('the source data sets have other Resize transforms each: give --size')
    if not found[0]:
        return None
    resize = Resize(**{key: value for key, value in found[0][0].items() if key != 'type'})
    if not resize.deterministic:
        raise UserError("the Resize of the source's pipeline draws sizes at random: give --size")
    return resize


def build_sources(configs: Sequence[dict], out: str) -> list[CustomDataset]:
    """The data sets; their items have images as they were read.

    Raises:
        UserError: those of another kind, or whose files ``out`` lies among.
    """
    datasets = []
    for config in configs:
        reading = [t for t in config['pipeline'] if t['type'] == 'LoadImageFromFile'][:1]
        kept = {key: value for key, value in config.items() if key not in OF_TRAINING}
        datasets.append(build_dataset({**kept, 'pipeline': reading, 'test_mode': True}))
        dataset = datasets[-1]
        if not isinstance(dataset, CustomDataset) or load_step(reading).color_type != 'color':
            raise UserError(f'{type(dataset).__name__}: only colour images of a CustomDataset can be '
                            'translated')
        refuse_own_folder(dataset, out)
    return datasets


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    warn_of_code(args.config, args.trust)
    cfg = load_config(args.config, parse_options(args.options))
    configs = source_configs(cfg)
    resize, datasets = training_size(configs, args.size), build_sources(configs, args.out)
    generator = init_generator(cfg, args.checkpoint, choose_device(args.device))
    settings = dict(size=repr(resize), enlarge=args.enlarge, images=images_digest(datasets),
                    network=digest(cfg.uda), checkpoint=file_digest(args.checkpoint))
    translator = Translator(generator, resize, JointUpsampling() if args.enlarge else None)
    made = translate_images(translator, datasets, args.out, settings)
    print(f'{sum(map(len, datasets))} images in {args.out}, {made} translated now')
    print(f'train on them: --options data.train.source.translated={args.out}')


if __name__ == '__main__':
    main()
