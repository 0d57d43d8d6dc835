"""Pictures that explain themselves."""
from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest

from mmseg.core.evaluation import get_palette
from mmseg.core.evaluation.accessible_palette import COLOURS, accessible_palette
from mmseg.core.pictures import (
    LEGEND_WIDTH,
    WHITE,
    Style,
    areas,
    entropy_picture,
    error_picture,
    explained,
    outlined,
    panels,
    shortened,
    text_width,
    with_legend,
    written,
)
from mmseg.utils import UserError

PALETTE = [[128, 64, 128], [0, 200, 0], [0, 0, 250]]
NAMES = ['road', 'tree', 'Fußgänger']
SEG = np.zeros((80, 60), np.uint8)
SEG[:20] = 2
SEG[:5, :5] = 1


def test_areas_are_shares_of_the_picture():
    assert areas(SEG, 3) == [(0, 60 / 80), (2, (20 * 60 - 25) / 4800), (1, 25 / 4800)]
    assert areas(np.full((2, 2), 255, np.uint8), 3) == []


def test_a_legend_names_what_is_there_by_area():
    """Colours of the largest first; nothing of a class that is not there."""
    picture = np.full((80, 60, 3), 7, np.uint8)
    found = with_legend(picture, SEG, NAMES, PALETTE)
    assert found.shape == (82, 60 + LEGEND_WIDTH, 3)  # three rows are a little higher than the picture
    assert (found[:80, :60] == 7).all()
    boxes = [found[8 + 22 * row + 10, 60 + 8 + 9].tolist() for row in range(3)]
    assert boxes == [PALETTE[index][::-1] for index in (0, 2, 1)]
    alone = with_legend(picture, np.zeros_like(SEG), NAMES, PALETTE)
    colours = {tuple(pixel) for pixel in alone[:, 60:60 + 30].reshape(-1, 3).tolist()}
    assert tuple(PALETTE[0][::-1]) in colours and tuple(PALETTE[1][::-1]) not in colours


def test_letters_of_other_languages_are_drawn():
    blank = np.full((20, 100, 3), 255, np.uint8)
    drawn = [written(blank, [(0, 0, text)]) for text in ('ä', 'a', 'ß', '')]
    assert len({picture.tobytes() for picture in drawn}) == 4


def test_text_beside_a_large_picture_is_large():
    seg = np.zeros((1024, 2048), np.uint8)
    large, small = (with_legend(np.zeros((*one.shape, 3), np.uint8), one, NAMES, PALETTE)
                    for one in (seg, SEG))
    assert large.shape[1] - 2048 == 4 * (small.shape[1] - 60)


def test_outlines_separate_classes_of_one_colour():
    grey = np.full((80, 60, 3), 128, np.uint8)
    found = outlined(grey, SEG)
    assert (found[20, 10] == WHITE).all() and (found[18:23, 10] != 128).any(axis=1).sum() == 3
    assert (found[40:] == 128).all(), 'nothing within a class'
    assert (outlined(grey, np.zeros_like(SEG)) == grey).all()


def test_errors_are_red_right_is_green_unlabelled_dark():
    truth = SEG.copy()
    truth[70:] = 255
    truth[0, 10] = 0
    found = error_picture(SEG, truth)
    blue, green, red = found[0, 10].tolist()
    assert red > 2 * green and red > 2 * blue
    blue, green, red = found[30, 10].tolist()
    assert green > red and green > blue
    assert found[75].max() < 80


def test_entropy_runs_from_dark_to_bright_with_a_bar():
    entropy = np.linspace(0, math.log(3), 60)[None].repeat(40, axis=0)
    found = entropy_picture(entropy, 3)
    assert found.shape[0] > 40 and found.shape[1] == 60
    grey = cv2.cvtColor(found, cv2.COLOR_BGR2GRAY)
    assert (np.diff(grey[20].astype(int)) >= -2).all() and int(grey[20, -1]) - int(grey[20, 0]) > 150
    np.testing.assert_array_equal(found[42], found[20], 'the bar has the colours of its values')
    assert entropy_picture(entropy, 3, bar=False).shape == (40, 60, 3)


def test_panels_stand_side_by_side_with_titles():
    pictures = [(str(n), np.full((10 + n, 20, 3), 40 * n, np.uint8)) for n in range(4)]
    found = panels(pictures, columns=3)
    assert found.shape == (2 * (22 + 13 + 8), 3 * 28, 3)
    assert (found[22:32, 28:48] == 40).all() and (found[43 + 22:43 + 22 + 13, :20] == 120).all()


def test_of_a_long_title_the_end_is_shown():
    assert shortened('short', 200) == 'short'
    found = shortened('261126_1520_streets_ebda_mitb0_s0/iter_800', 120)
    assert found.startswith('…') and found.endswith('iter_800') and text_width(found) <= 120
    assert shortened('long', 1) == '…'


def test_everything_of_an_image_in_one_picture():
    img = np.full((80, 60, 3), 90, np.uint8)
    style = Style(PALETTE, NAMES, outlines=True, legend=True)
    entropy = np.full((80, 60), 0.5)
    full = explained(img, SEG, style, truth=np.zeros_like(SEG), entropy=entropy)
    assert full.shape[1] == 3 * 68 + LEGEND_WIDTH
    assert explained(img, SEG, style).shape[1] == 2 * 68 + LEGEND_WIDTH, 'image and prediction alone'


def test_a_style_draws_what_it_says():
    img = np.full((80, 60, 3), 90, np.uint8)
    plain, lined, named = (Style(PALETTE, NAMES, 0.5, **more).draw(img, SEG)
                           for more in ({}, dict(outlines=True), dict(legend=True)))
    assert plain.shape == lined.shape == img.shape and not (plain == lined).all()
    assert named.shape[1] == 60 + LEGEND_WIDTH


# Machado et al., TVCG 2009, severity 1, of linear RGB
SIGHTS = {
    'normal': np.eye(3),
    'no red': [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    'no green': [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                 [-0.011820, 0.042940, 0.968881]],
    'no blue': [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900]]}


def nearest(palette, sight: str) -> float:
    """CIE 1976 distance of the two most similar colours, in the eyes of a person."""
    value = np.asarray(palette, float) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.asarray(SIGHTS[sight]).T, 0, 1)
    curved = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * np.clip(seen, 1e-9, None) ** (1 / 2.4) - 0.055)
    lab = cv2.cvtColor(curved.astype(np.float32)[None], cv2.COLOR_RGB2LAB)[0]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(lab, 2))


@pytest.mark.parametrize('sight', SIGHTS)
def test_the_accessible_colours_can_be_told_apart_in_every_sight(sight):
    assert nearest(COLOURS, sight) > 18
    assert nearest(get_palette('cityscapes'), sight) < 18


def test_classes_get_a_colour_near_their_own():
    own = get_palette('cityscapes')
    found = accessible_palette(own)
    assert sorted(map(tuple, found)) == sorted(COLOURS)
    distances = np.linalg.norm(np.subtract(found, own), axis=1).mean()
    assert distances < np.linalg.norm(np.subtract(found[::-1], own), axis=1).mean()
    assert accessible_palette([COLOURS[3], COLOURS[0]]) == [list(COLOURS[3]), list(COLOURS[0])]
    with pytest.raises(UserError, match='19 colours'):
        accessible_palette([[0, 0, 0]] * 20)
