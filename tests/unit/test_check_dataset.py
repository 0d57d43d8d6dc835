"""tools/check_dataset.py finds what would stop a training, and says what there is."""
from __future__ import annotations

import shutil

import numpy as np
import pytest
from data_trees import acdc, acdc_cfg, cityscapes, cityscapes_cfg, save, test_pipeline
from mmcv import Config
from PIL import Image

from mmseg.datasets.preparation.inspection import quick_errors, validation_faults
from tools import check_dataset as program
from tools.convert_datasets import cityscapes as converter

SAMPLING = dict(min_pixels=0, class_temp=0.01, min_crop_ratio=0.5)
LABEL = 'gtFine/train/town/town_000001_000019_gtFine_labelTrainIds.png'
IMAGE = 'leftImg8bit/train/town/town_000001_000019_leftImg8bit.png'


@pytest.fixture
def data(tmp_path):
    cityscapes(tmp_path / 'cityscapes')
    acdc(tmp_path / 'acdc')
    with pytest.raises(SystemExit):
        converter.main([str(tmp_path / 'cityscapes'), '--nproc', '1'])
    return tmp_path


@pytest.fixture
def check(data, capsys):
    def call(*args, code=0):
        source = cityscapes_cfg(data / 'cityscapes')
        target = acdc_cfg(data / 'acdc')
        val = acdc_cfg(data / 'acdc', 'val', pipeline=test_pipeline())
        config = Config(dict(data=dict(train=dict(
            type='UDADataset', source=source, target=target, rare_class_sampling=SAMPLING),
            val=val, test=val)))
        config.dump(str(data / 'config.json'))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            program.main([str(data / 'config.json'), '--nproc', '1', *map(str, args)])
        out = capsys.readouterr().out
        assert end.value.code == code, out
        assert bool(quick_errors(config)) == (code == 1)
        return out
    return call


def test_a_sound_data_set_is_described(check, data):
    out = check('--plot', data / 'plot.png')
    assert 'train source CityscapesDataset: 3 images, 3 labels; sizes: 64x32 (3)' in out
    assert 'train target ACDCDataset: 4 images, 0 labels' in out
    assert out.count('val ACDCDataset: 4 images, 4 labels') == 1 and 'test ACDCDataset' not in out
    labels = [np.array(Image.open(p)) for p in (data / 'cityscapes/gtFine/train').rglob('*TrainIds.png')]
    share = 100 * np.mean([label == 13 for label in labels])
    assert f'car              {share:8.4f} % of the pixels' in out
    assert 'rare class sampling' in out and 'ready for training' in out
    assert Image.open(data / 'plot.png').format == 'PNG'


def damage(data, what):
    root = data / 'cityscapes'
    if what == 'corrupt image':
        (root / IMAGE).write_bytes((root / IMAGE).read_bytes()[:100])
        return [f'cannot decode the image {root / IMAGE}']
    if what == 'label ids':
        save(root / LABEL, np.full((32, 64), 26, np.uint8))
        return ['label value 26', LABEL]
    if what == 'other size':
        save(root / LABEL, np.zeros((16, 64), np.uint8))
        return ['is 64x32 but its label', '64x16']
    if what == 'no label':
        (root / LABEL).unlink()
        return ['has no label', LABEL]
    if what == 'no statistics':
        (root / 'sample_class_stats.json').unlink()
        return ['needs the statistics file']
    if what == 'stale statistics':
        for kind in ('leftImg8bit', 'gtFine'):
            for path in list((root / kind / 'train').rglob('town_000001*')):
                path.unlink()
        return ['which is not in the data set: they are stale']
    shutil.move(data / 'acdc/rgb_anon', data / 'acdc/rgb')
    return ['rgb_anon/train does not exist']


@pytest.mark.parametrize('what', ['corrupt image', 'label ids', 'other size', 'no label', 'no statistics',
                                  'stale statistics', 'renamed folder'])
def test_what_would_stop_a_training_is_told(check, data, what):
    words = damage(data, what)
    out = check(code=1)
    [line] = [line for line in out.splitlines() if all(word in line for word in words)][:1]
    assert 'error: ' in line
    assert 'training would fail' in out


def test_pictures_in_training_and_validation_are_told(check, data):
    [image] = (data / 'acdc/rgb_anon/fog/val').rglob('*.png')
    shutil.copy(data / 'cityscapes' / IMAGE, image)
    save(data / 'cityscapes' / LABEL, np.array(Image.open(data / 'cityscapes' / LABEL)))
    out = check()
    assert f'{image} (val ACDCDataset) is the same picture as' in out
    assert 'may be stale' in out  # a label map is newer than the statistics


def test_there_is_nothing_to_plot_without_sampling(check, data, tmp_path):
    out = check('--plot', str(tmp_path / 'a.png'), '--options', 'data.train.rare_class_sampling=None')
    assert 'no plot: this config has no rare class sampling' in out and 'ready for training' in out
    assert not (tmp_path / 'a.png').exists()


def test_the_header_of_every_validation_file_is_looked_at(check, data):
    check()
    config = Config.fromfile(str(data / 'config.json'))
    assert validation_faults(config) == []
    labels = sorted((data / 'acdc/gt').rglob('val/**/*labelTrainIds.png'))
    save(labels[1], np.zeros((16, 64), np.uint8))
    image = sorted((data / 'acdc/rgb_anon').rglob('val/**/*.png'))[2]
    image.write_bytes(b'no picture')
    sizes, unreadable = validation_faults(config)
    assert 'is 64x32 but its label' in sizes and str(labels[1]) in sizes and '64x16' in sizes
    assert f'cannot read the image {image}' in unreadable
