"""Cityscapes in rendered weather: Foggy (Sakaridis et al. 2018) and Rain Cityscapes (Hu et al. 2019).

Their labels are those of the clear scene, so several pictures share one label map of gtFine.
"""
from __future__ import annotations

import os.path as osp
import re
from collections.abc import Sequence

from mmseg.utils import UserError
from mmseg.utils.reading import read_lines, without_repeats

from .builder import DATASETS
from .cityscapes import CityscapesDataset
from .files import find_files

SCENE = r'(?P<scene>(?P<city>[^_/]+)_\d{6}_\d{6})(?:_leftImg8bit)?'
NUMBER = r'\d+(?:\.\d+)?'
FOGGY_NAME = re.compile(rf'{SCENE}_foggy_beta_(?P<strength>{NUMBER})\.png')
RAIN_NAME = re.compile(rf'{SCENE}_rain_alpha_(?P<strength>{NUMBER})_beta_(?P<beta>{NUMBER})'
                       rf'_dropsize_(?P<drop>{NUMBER})_pattern_(?P<pattern>\d+)\.png')
LIST_LINE = re.compile(rf'(?:.*/)?{SCENE}(?:[_.].*)?')


def scene_of(name: str) -> str | None:
    """CITY_SEQUENCE_FRAME of a file name of Cityscapes or of one of its relatives; None of others."""
    found = LIST_LINE.fullmatch(name)
    return found['scene'] if found else None


class WeatherCityscapesDataset(CityscapesDataset):
    """Several pictures of one scene of Cityscapes, told apart by their file names.

    ``split`` is a text file that names *scenes*, one per line, with or without folders and endings:
    all their pictures are taken. Lines of scenes of another split are passed over, so that one list
    serves training and validation. Every img_info has the ``scene`` and, as ``condition``, the
    strength of the weather, by which evaluation gives means too.
    """

    NAME: re.Pattern
    DOMAIN: str         # what a pool of several data sets calls this one
    STRENGTH: str       # what the strength is called in file names
    EXAMPLE: str        # of a file name

    def __init__(self, img_suffix: str = '.png', seg_map_suffix: str = '_gtFine_labelTrainIds.png', **kwargs):
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)

    def _image_names(self) -> list[str]:
        names = find_files(self.img_dir, self.img_suffix, 'image')
        for name in names:
            if not self.NAME.fullmatch(osp.basename(name)):
                raise UserError(f'{osp.join(self.img_dir, name)} is not named like the images of this data '
                                f'set, such as {self.EXAMPLE}')
        if self.split is None:
            return names
        scenes = self._listed_scenes()
        found = {scene: [] for scene in scenes}
        for name in names:
            found.get(scene_of(name), []).append(name)
        here = osp.basename(self.img_dir.rstrip('/'))   # the split, which a line may name among its folders
        for scene, line in scenes.items():
            if not found[scene] and here in line.split('/')[:-1]:
                raise UserError(f"the split file {self.split} names the scene '{line}', of which there is "
                                f'no image in {self.img_dir}')
        chosen = sorted(name for group in found.values() for name in group)
        if not chosen:
            raise UserError(f'the split file {self.split} names no scene of {self.img_dir}')
        return chosen

    def _listed_scenes(self) -> dict[str, str]:
        """Scene → its line in the split file."""
        lines = without_repeats(read_lines(self.split, 'split file'), f'the split file {self.split}')
        for line in lines:
            if scene_of(line) is None:
                raise UserError(f"the split file {self.split} has the line '{line[:80]}', expected "
                                'scenes such as train/aachen/aachen_000000_000019')
        return {scene_of(line): line for line in lines}

    def _info(self, name: str) -> dict:
        found = self.NAME.fullmatch(osp.basename(name))
        info = {'filename': name, 'scene': found['scene'],
                'condition': f'{self.STRENGTH}_{found["strength"]}'}
        if self.ann_dir is not None:
            info['ann'] = {'seg_map': osp.join(osp.dirname(name), found['scene'] + self.seg_map_suffix)}
        return info


@DATASETS.register_module()
class FoggyCityscapesDataset(WeatherCityscapesDataset):
    """Foggy Cityscapes: leftImg8bit_foggy/SPLIT/CITY/*_leftImg8bit_foggy_beta_{0.005,0.01,0.02}.png.

    Labels: gtFine/SPLIT/CITY/CITY_SEQ_FRAME_gtFine_labelTrainIds.png. The refined list of the
    download (498 scenes of train and 52 of val) can be the ``split``.

    Args:
        betas: extinction coefficients in 1/m whose pictures are taken; None takes all.
    """

    NAME, DOMAIN, STRENGTH = FOGGY_NAME, 'foggy', 'beta'
    EXAMPLE = 'aachen_000000_000019_leftImg8bit_foggy_beta_0.02.png'
    CONVERTER = 'tools/convert_datasets/foggy.py'
    DOWNLOAD = ('leftImg8bit_trainvaltest_foggy.zip and gtFine_trainvaltest.zip of '
                'https://www.cityscapes-dataset.com')

    def __init__(self, betas: Sequence[float] | None = None, **kwargs):
        self.betas = betas
        super().__init__(**kwargs)

    def _image_names(self) -> list[str]:
        names = super()._image_names()
        if self.betas is None:
            return names
        wanted = {float(beta) for beta in self.betas}
        chosen = [name for name in names
                  if float(self.NAME.fullmatch(osp.basename(name))['strength']) in wanted]
        if not chosen:
            raise UserError(f'no image in {self.img_dir} has a beta of {sorted(wanted)}')
        return chosen


@DATASETS.register_module()
class RainCityscapesDataset(WeatherCityscapesDataset):
    """Rain Cityscapes: leftImg8bit_rain/SPLIT/CITY/*_rain_alpha_A_beta_B_dropsize_D_pattern_P.png.

    The part ``_leftImg8bit`` of the names may be missing. Labels as for Foggy Cityscapes.
    """

    NAME, DOMAIN, STRENGTH = RAIN_NAME, 'rain', 'alpha'
    EXAMPLE = 'aachen_000004_000019_leftImg8bit_rain_alpha_0.01_beta_0.005_dropsize_0.01_pattern_1.png'
    CONVERTER = 'tools/convert_datasets/rain.py'
    DOWNLOAD = ('leftImg8bit_trainval_rain.zip and gtFine_trainvaltest.zip of '
                'https://www.cityscapes-dataset.com')
