"""How many training images a second one worker loads: rare-class crops of a labelled source.

    OMP_NUM_THREADS=1 python -m benchmarks.data_loading [--scenes 6] [--samples 40] [--json FILE]
    OMP_NUM_THREADS=1 python -m benchmarks.data_loading --data-root data/cityscapes    (real pictures)

Three ways to the same samples, alternating in one process, and checked to be the same samples:

reference  decode image (OpenCV) and label (Pillow) anew for every crop, as the released code does, without
           this package's checks of sizes and label values
ours       decode once for all crops of a sample, with the fast decoder
cached     crops out of the files of tools/cache_dataset.py

The pipeline is that of Cityscapes -> ACDC: 2048x1024 to 1024x512, crop 512x512, cat_max_ratio 0.75. Without
--data-root the pictures are rendered streets; their PNGs are somewhat bigger (2.7-3.4 MB) than those of
Cityscapes (2.3 MB). Times are CPU times of the process, so that other programs do not count.
"""
from __future__ import annotations

import argparse
import os.path as osp
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import torch

from mmseg.datasets import build_dataset
from mmseg.datasets.cityscapes import train_ids_table
from mmseg.datasets.pipelines import Compose
from mmseg.datasets.preparation.class_stats import label_stats, write_class_stats
from mmseg.datasets.rare_class_sampling import RECROPS
from mmseg.synthetic import render_scene
from mmseg.utils.files import write_json

SIZE = (2048, 1024)
NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
PIPELINE = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='Resize', img_scale=(1024, 512)),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75), dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **NORM), dict(type='Pad', size=(512, 512), pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img', 'gt_semantic_seg'])]
RCS = dict(min_pixels=3000, class_temp=0.01)
WAYS = ('reference', 'ours', 'cached')


def load_image_as_reference(results: dict) -> dict:
    """Read and decode with mmcv and OpenCV."""
    path = osp.join(results['img_prefix'], results['img_info']['filename'])
    img = mmcv.imfrombytes(mmcv.FileClient('disk').get(path), flag='color', backend='cv2')
    results.update(filename=path, ori_filename=results['img_info']['filename'], img=img, img_shape=img.shape,
                   ori_shape=img.shape, pad_shape=img.shape, scale_factor=1.0)
    return results


def load_label_as_reference(results: dict) -> dict:
    """Read and decode with mmcv and Pillow."""
    path = osp.join(results['seg_prefix'], results['ann_info']['seg_map'])
    label = mmcv.imfrombytes(mmcv.FileClient('disk').get(path), flag='unchanged', backend='pillow')
    results['gt_semantic_seg'] = label.squeeze().astype(np.uint8)
    results['seg_fields'].append('gt_semantic_seg')
    return results


def render(root: Path, scenes: int) -> None:
    """Streets in the layout of Cityscapes, with the statistics of their classes."""
    stats = []
    for number in range(scenes):
        scene, name = render_scene(0, number, SIZE), f'train/town/town_{number:06d}_000019'
        label = train_ids_table()[scene.label_ids]
        for folder, suffix, picture in (
                ('leftImg8bit', 'leftImg8bit', cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)),
                ('gtFine', 'gtFine_labelTrainIds', label)):
            path = root / folder / f'{name}_{suffix}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)
        stats.append(label_stats(label, f'gtFine/{name}_gtFine_labelTrainIds.png'))
    write_class_stats(str(root), stats)


def pairs_of(root: str, ratio: float, **source: Any):
    """Source and target; the target is not loaded here."""
    part = dict(type='CityscapesDataset', data_root=root, img_dir='leftImg8bit/train', ann_dir='gtFine/train',
                pipeline=PIPELINE)
    return build_dataset(dict(type='UDADataset', source={**part, **source}, target=part,
                              rare_class_sampling=dict(**RCS, min_crop_ratio=ratio)))


def fill_cache(root: str, folder: str, used: set[int]) -> None:
    """What tools/cache_dataset.py does, for the images that the samples are from."""
    source = pairs_of(root, 0).source
    start = source.cached_start(folder)
    for index in used:
        start.write(source._raw(index))


class Ways:
    """The three ways to make sample number ``seed``."""

    def __init__(self, root: str, ratio: float):
        self.pairs, self.ratio = pairs_of(root, ratio), ratio
        self.plain = Compose([load_image_as_reference, load_label_as_reference, *PIPELINE[2:]])
        self.crops = 0

    def draw(self, seed: int) -> tuple[int, int]:
        """Class and image of a sample."""
        np.random.seed(seed)
        return self.pairs.sampler.draw()

    def reference(self, seed: int) -> dict:
        """Every crop from the start."""
        class_id, index = self.draw(seed)
        sample, again = self.plain(self.pairs.source._raw(index)), 0
        while self.ratio > 0 and again < RECROPS and not (
                torch.sum(sample['gt_semantic_seg'].data == class_id) > RCS['min_pixels'] * self.ratio):
            sample, again = self.plain(self.pairs.source._raw(index)), again + 1
        self.crops += again + 1
        return sample

    def ours(self, seed: int) -> dict:
        """As UDADataset makes it."""
        class_id, index = self.draw(seed)
        return self.pairs.sampler.crop(class_id, index)

    def use_cache(self, folder: str) -> None:
        """Put the cache's reader before the pipeline of ``cached``."""
        self.cached_pairs = pairs_of(self.pairs.source.data_root, self.ratio)
        source = self.cached_pairs.source
        start = source.cached_start(folder)
        source.pipeline.transforms[:len(start.transforms.transforms)] = [start]

    def from_cache(self, seed: int) -> dict:
        """As UDADataset makes it from a cache."""
        class_id, index = self.draw(seed)
        return self.cached_pairs.sampler.crop(class_id, index)


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the CPU time of the block."""
    start = time.process_time()
    yield
    seconds[name] = seconds.get(name, 0.) + time.process_time() - start


def compare(ways: Ways, samples: int) -> dict[str, Any]:
    """Images a second of each way; all take turns, sample by sample."""
    makers: dict[str, Callable] = dict(zip(WAYS, (ways.reference, ways.ours, ways.from_cache)))
    for make in makers.values():
        make(0)
    ways.crops, seconds = 0, {}
    for seed in range(1, samples + 1):
        made = {}
        for name, make in makers.items():
            with timed(seconds, name):
                made[name] = make(seed)
        for name in WAYS[1:]:
            for key in ('img', 'gt_semantic_seg'):
                if not torch.equal(made[name][key].data, made['reference'][key].data):
                    raise AssertionError(f'sample {seed}: {key} of {name} is not that of the reference')
    rates = {name: samples / value for name, value in seconds.items()}
    return dict(crops_per_sample=ways.crops / samples, images_per_second=rates,
                ratio={name: rates[name] / rates['reference'] for name in WAYS})


def stages(ways: Ways, samples: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each transform for one crop, each way, with the colour jitter of the plain
    training pipelines between flip and normalisation."""
    jitter = Compose([dict(type='PhotoMetricDistortion')]).transforms
    steps = {'reference': ways.plain.transforms, 'ours': ways.pairs.source.pipeline.transforms,
             'cached': ways.cached_pairs.source.pipeline.transforms}
    found: dict[str, dict[str, float]] = {name: {} for name in steps}
    for seed in range(samples):
        _, index = ways.draw(seed)
        for name, transforms in steps.items():
            np.random.seed(seed)
            results = ways.pairs.source._raw(index)
            for transform in (*transforms[:-4], *jitter, *transforms[-4:]):
                with timed(found[name], getattr(transform, '__name__', type(transform).__name__)):
                    results = transform(results)
    return {name: {step: 1000 * value / samples for step, value in times.items()}
            for name, times in found.items()}


def show(report: dict[str, Any]) -> None:
    """The tables."""
    print(f"{report['images']}, mean size of a PNG {report['png_megabytes']:.2f} MB; CPU time of one worker")
    for title, result in report['sampling'].items():
        print(f"\n{title}: {result['crops_per_sample']:.1f} crops a sample")
        for name in WAYS:
            print(f"  {name:8} {result['images_per_second'][name]:8.1f} images/s"
                  f"   {result['ratio'][name]:6.2f} x")
    print('\nmilliseconds of one crop, by stage')
    for name, times in report['stages_ms'].items():
        print(f'  {name:8} ' + '  '.join(f'{step} {value:.2f}' for step, value in times.items())
              + f'  = {sum(times.values()):.2f}')


def measure(root: str, samples: int, cache: str) -> dict[str, Any]:
    """All figures for the pictures in ``root``."""
    report: dict[str, Any] = dict(sampling={})
    for title, ratio in (('rare class sampling, min_crop_ratio 0.5', 0.5), ('one crop a sample', 0.)):
        ways = Ways(root, ratio)
        fill_cache(root, cache, {ways.draw(seed)[1] for seed in range(samples + 1)})
        ways.use_cache(cache)
        report['sampling'][title] = compare(ways, samples)
    report['stages_ms'] = stages(ways, min(samples, 20))
    source = ways.pairs.source
    sizes = [osp.getsize(osp.join(source.img_dir, info['filename'])) for info in source.img_infos]
    return dict(images=f'{len(source)} images in {root}', png_megabytes=np.mean(sizes) / 1e6,
                opencv=cv2.__version__, **report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--scenes', type=int, default=6, help='rendered pictures (default: %(default)s)')
    parser.add_argument('--samples', type=int, default=40, help='of each way (default: %(default)s)')
    parser.add_argument('--data-root', help='a converted Cityscapes in place of rendered pictures')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures here')
    args = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = args.data_root or osp.join(folder, 'streets')
        if not args.data_root:
            render(Path(root), args.scenes)
        report = measure(root, args.samples, osp.join(folder, 'cache'))
    show(report)
    if args.json:
        write_json(args.json, report)


if __name__ == '__main__':
    main()
