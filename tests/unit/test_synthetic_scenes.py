"""The street renderer: labels, instances, depth and determinism."""
from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmseg.synthetic import render_scene
from mmseg.synthetic.camera import Camera
from mmseg.synthetic.canvas import clip_polygon
from mmseg.synthetic.labels import BY_NAME, ID_TO_COLOUR, ID_TO_TRAIN, LABELS
from mmseg.synthetic.layout import sample_scene
from mmseg.synthetic.writer import polygons_json

ROOT = Path(__file__).resolve().parents[2]
SIZE = (256, 128)


@pytest.fixture(scope='module')
def scenes():
    return [render_scene(3, index, SIZE) for index in range(4)]


def test_maps_have_the_documented_types_and_shapes(scenes):
    scene = scenes[0]
    assert scene.image.shape == (128, 256, 3) and scene.image.dtype == np.uint8
    assert scene.label_ids.shape == (128, 256) and scene.label_ids.dtype == np.uint8
    assert scene.train_ids.dtype == np.uint8
    assert scene.depth.dtype == np.float32 and scene.distance.dtype == np.float32
    assert scene.instance_ids.dtype == np.uint16
    assert scene.glow.shape == (128, 256, 3)
    assert scene.glow.min() >= 0 and scene.glow.max() <= 1


def test_every_pixel_is_labelled_and_only_the_sky_is_infinitely_far(scenes):
    for scene in scenes:
        assert (scene.label_ids != 0).all()
        np.testing.assert_array_equal(np.isinf(scene.depth), scene.label_ids == 23)
        assert scene.depth.min() > 0.5


def test_label_map_is_the_rasterised_polygons(scenes):
    for scene in scenes:
        drawn = Image.new('L', SIZE, 0)
        for name, polygon in scene.objects:
            ImageDraw.Draw(drawn).polygon([tuple(p) for p in polygon.tolist()], fill=BY_NAME[name].id)
        np.testing.assert_array_equal(np.asarray(drawn), scene.label_ids)


def test_the_cityscapes_scripts_read_the_polygons_as_our_label_and_instance_maps(scenes):
    annotation = pytest.importorskip('cityscapesscripts.helpers.annotation')
    from cityscapesscripts.preparation.json2instanceImg import createInstanceImage
    from cityscapesscripts.preparation.json2labelImg import createLabelImage
    for scene in scenes:
        read = annotation.Annotation()
        read.fromJsonText(json.dumps(polygons_json(scene)))
        np.testing.assert_array_equal(np.asarray(createLabelImage(read, 'ids')), scene.label_ids)
        np.testing.assert_array_equal(np.asarray(createInstanceImage(read, 'ids')), scene.instance_ids)
        colour = np.asarray(createLabelImage(read, 'color'))[..., :3]
        valid = scene.train_ids != 255
        np.testing.assert_array_equal(colour[valid], ID_TO_COLOUR[scene.label_ids][valid])


def test_label_table_equals_that_of_the_cityscapes_scripts():
    labels = pytest.importorskip('cityscapesscripts.helpers.labels')
    for row in LABELS:
        official = labels.name2label[row.name]
        assert row.id == official.id
        assert row.train_id == official.trainId
        assert row.thing == official.hasInstances
        assert row.train_id == 255 or row.colour == official.color
        assert ID_TO_TRAIN[row.id] == official.trainId


def test_depth_of_the_road_is_that_of_a_flat_plane(scenes):
    for scene in scenes:
        camera = scene.camera
        rows = np.arange(camera.height)[:, None]
        below = np.arctan2(rows - (camera.height - 1) / 2, camera.focal)   # angle under the axis
        along_ray = camera.elevation / np.sin(below + camera.pitch)        # in the column of the axis
        expected = np.broadcast_to(along_ray * np.cos(below), scene.depth.shape)
        road = (scene.label_ids == 7) & (expected > 0) & (expected < 1000)
        assert road.sum() > 1000
        np.testing.assert_allclose(scene.depth[road], expected[road], rtol=1e-4)


def test_projection_and_depth_of_a_panel_agree():
    camera = Camera(200, 100, focal=180.0, elevation=1.4, pitch=0.04)
    corner, normal = (4.0, 0.0, 9.0), (0.8, 0.0, -0.6)
    on_panel = np.array(corner) + 2.5 * np.array([0.6, 0, 0.8]) + np.array([0, 3.0, 0])
    pixel, depth = camera.project(on_panel)
    found = camera.panel_depth(corner, normal, pixel[:1], pixel[1:])
    assert found[0, 0] == pytest.approx(depth, rel=1e-5)


def test_ray_distance_is_the_euclidean_distance():
    camera = Camera(200, 100, focal=150.0, elevation=1.4, pitch=0.1)
    for col, row in ((3, 2), (190, 95), (100, 0)):
        x, y, z = (float(part[0, 0]) for part in camera.rays(np.array([col]), np.array([row])))
        point = np.array([0, 1.4, 0]) + 7.5 * np.array([x, y, z])
        pixel, depth = camera.project(point)
        assert pixel == pytest.approx([col, row], abs=1e-3) and depth == pytest.approx(7.5, rel=1e-6)
        distance = camera.ray_distance(np.full((100, 200), 7.5, np.float32))[row, col]
        assert distance == pytest.approx(np.linalg.norm(point - (0, 1.4, 0)), rel=1e-5)
    assert np.isinf(camera.ray_distance(np.full((100, 200), np.inf))).all()


def test_polygons_are_clipped_to_the_rectangle():
    square = np.array([[-5.0, 2.0], [3.0, 2.0], [3.0, 12.0], [-5.0, 12.0]])
    clipped = clip_polygon(square, (0, 0), (10, 10))
    assert sorted(map(tuple, clipped.tolist())) == [(0, 2), (0, 10), (3, 2), (3, 10)]
    assert len(clip_polygon(square, (20, 20), (30, 30))) == 0


def test_same_seed_and_index_give_the_same_bits_in_another_process(scenes):
    code = ('import sys, zlib; from mmseg.synthetic import render_scene;'
            's = render_scene(3, 2, (256, 128));'
            'print([zlib.crc32(a.tobytes()) for a in (s.image, s.label_ids, s.depth)])')
    here = [zlib.crc32(a.tobytes()) for a in (scenes[2].image, scenes[2].label_ids, scenes[2].depth)]
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == here


def test_seed_index_and_domain_each_change_the_scene():
    images = [render_scene(*key, (64, 32), domain).image
              for key, domain in (((3, 0), 'clear'), ((4, 0), 'clear'), ((3, 1), 'clear'),
                                  ((3, 0), 'adverse'))]
    for i in range(4):
        for j in range(i):
            assert (images[i] != images[j]).mean() > 0.3


def test_a_variant_keeps_the_place_and_changes_what_moves():
    first, other = (sample_scene(5, 1, SIZE, 'adverse', variant) for variant in (0, 1))
    assert first.street == other.street and first.panels == other.panels
    moving = [{item for item in spec.items if item.kind in ('car', 'person', 'cyclist')}
              for spec in (first, other)]
    assert moving[0] != moving[1]


def test_all_classes_occur_often_enough_to_be_learnt():
    counts = np.array([np.bincount(render_scene(1, index, SIZE).train_ids.ravel(), minlength=256)
                       for index in range(24)])
    often = (counts[:, :19] > 50).mean(0)
    assert (often >= 0.1).all(), often
    share = counts.sum(0) / counts.sum()
    assert share[0] > 0.15 and share[2] > 0.1 and share[8] > 0.05 and share[10] > 0.03
    assert 0.001 < share[255] < 0.1
