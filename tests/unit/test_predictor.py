"""load and predict: from a checkpoint alone to maps, probabilities and entropies."""
from __future__ import annotations

import math
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import NAMES, SIZE_HW, config, make_run

from mmseg.apis import Predictor, inference_segmentor, init_segmentor, load
from mmseg.checkpoint.weights import load_file, save_file
from mmseg.core.visualization import draw_overlay
from mmseg.utils import CheckpointError, ConfigError, DataError, UserError
from mmseg.utils.config_text import text_of_config


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    """A run's folder whose checkpoint holds its config, as those of tools/train.py do."""
    run = make_run(tmp_path_factory.mktemp('tiny'))
    keep_config(run / 'latest.pth', text_of_config(config(run.parent / 'data')))
    return run


def keep_config(file, text, out=None, **weights):
    loaded = load_file(str(file))
    save_file({**loaded, 'meta': {**loaded['meta'], 'config': text}}, str(out or file))


@pytest.fixture(scope='module')
def model(run_dir):
    return load(run_dir, 'cpu')


@pytest.fixture(scope='module')
def path(run_dir):
    return str(run_dir.parent / 'data' / 'leftImg8bit' / 'val' / f'{NAMES[0]}_leftImg8bit.png')


def same(first, second):
    for name in ('classes', 'probabilities', 'entropy'):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


# ---- what is predicted


def test_maps_probabilities_and_entropies_belong_together(model, path):
    found = model.predict(path)
    assert (found.classes.dtype, found.classes.shape) == (np.uint8, SIZE_HW)
    assert (found.probabilities.dtype, found.probabilities.shape) == (np.float32, (19, *SIZE_HW))
    assert (found.entropy.dtype, found.entropy.shape) == (np.float32, SIZE_HW)
    np.testing.assert_allclose(found.probabilities.sum(0), 1, rtol=1e-5)
    np.testing.assert_array_equal(found.probabilities.argmax(0), found.classes)
    p = found.probabilities.astype(float)
    np.testing.assert_allclose(found.entropy, -(p * np.log(p)).sum(0), rtol=1e-4)
    assert found.entropy.min() > 0 and found.entropy.max() < math.log(19)


def test_the_class_maps_are_those_of_the_references_way(run_dir, model, path):
    peer = init_segmentor(str(run_dir / 'run.json'), str(run_dir / 'latest.pth'), 'cpu')
    np.testing.assert_array_equal(model.predict(path).classes, inference_segmentor(peer, path)[0])
    assert (model.classes, model.palette) == (peer.CLASSES, peer.PALETTE)


def test_augmentations_are_averaged(run_dir, path):
    cfg = config(run_dir.parent / 'data')
    cfg.data.test.pipeline[1].update(flip=True, img_ratios=[0.5, 1.0], img_scale=SIZE_HW[::-1])
    found = load(run_dir, 'cpu', config=cfg)
    peer = init_segmentor(cfg, str(run_dir / 'latest.pth'), 'cpu')
    np.testing.assert_array_equal(found.predict(path).classes, inference_segmentor(peer, path)[0])
    np.testing.assert_allclose(found.predict(path).probabilities.sum(0), 1, rtol=1e-5)


# ---- images in every form


def test_paths_pil_images_and_rgb_arrays_are_one_image(model, path):
    expected, bgr = model.predict(path), cv2.imread(path)
    with Image.open(path) as image:
        same(model.predict(image), expected)
        same(model.predict(np.asarray(image)), expected)
        same(model.predict(image.convert('RGBA')), expected)
    same(model.predict(bgr, bgr=True), expected)
    assert not np.array_equal(model.predict(bgr).probabilities, expected.probabilities), 'arrays are RGB'


def test_a_list_of_any_sizes_is_predicted_in_its_order(model, path):
    whole = np.asarray(Image.open(path))
    images = [whole, whole[:, :40], path, whole[:32]]
    found = model.predict(images, batch_size=3)
    assert [one.classes.shape for one in found] == [SIZE_HW, (64, 40), SIZE_HW, (32, 128)]
    for one, image in zip(found, images):
        np.testing.assert_allclose(one.probabilities, model.predict(image).probabilities, atol=1e-5)
    assert model.predict([]) == []


def test_images_of_one_size_go_through_the_network_together(model, path, monkeypatch):
    seen, forward = [], model.network.encode_decode
    monkeypatch.setattr(model.network, 'encode_decode',
                        lambda img, metas: seen.append(len(img)) or forward(img, metas))
    whole = np.asarray(Image.open(path))
    model.predict([whole, whole[:, :40], whole, whole, whole], batch_size=4)
    assert seen == [3, 1, 1]


@pytest.mark.parametrize('image, told', [
    (np.zeros((8, 8), np.uint8), r'uint8 \(H W 3\), got uint8 \(8, 8\)'),
    (np.zeros((8, 8, 3)), 'got float64'),
    (np.zeros((0, 8, 3), np.uint8), r'has no pixels, it is \(0, 8, 3\)'),
    (torch.zeros(3, 8, 8), 'not a Tensor'),
    (Image.new('F', (8, 8)), "mode 'F'"),
    ('none.png', 'does not exist'), ('/', 'is a folder')])
def test_what_is_no_image_is_a_users_mistake(model, image, told):
    with pytest.raises(UserError, match=told):
        model.predict([image])


def test_the_picture_is_the_overlay_in_rgb(model, path):
    found = model.predict(path)
    expected = draw_overlay(cv2.imread(path), found.classes, model.palette, 0.3)[..., ::-1]
    np.testing.assert_array_equal(model.picture(path, found, 0.3), expected)


# ---- which file


def test_the_newest_and_the_best_checkpoint_of_a_folder(tmp_path, run_dir):
    loaded = load_file(str(run_dir / 'latest.pth'))
    bias = 'model.decode_head.conv_seg.bias'
    for number, name in enumerate(['iter_9.pth', 'iter_10.pth', 'best_mIoU_iter_9.pth'], 1):
        weights = {**loaded['state_dict'], bias: torch.full((19,), float(number))}
        meta = {**loaded['meta'], 'iter': int(name.split('_')[-1][:-4])}
        save_file({**loaded, 'state_dict': weights, 'meta': meta}, str(tmp_path / name))
    value = [load(tmp_path, 'cpu', best=best).network.decode_head.conv_seg.bias[0].item()
             for best in (False, True)]
    assert value == [2, 3]
    (tmp_path / 'iter_11.pth').write_bytes(b'cut off')
    assert load(tmp_path, 'cpu').network.decode_head.conv_seg.bias[0] == 2
    with pytest.raises(CheckpointError, match=r'holds no best_\*'):
        load(run_dir, best=True)
    with pytest.raises(CheckpointError, match='give the folder of a run'):
        load(run_dir.parent)
    with pytest.raises(CheckpointError, match='does not exist'):
        load(tmp_path / 'none.pth')
    with pytest.raises(CheckpointError, match='is a folder: give a file in it, of a training latest.pth'):
        load_file(str(run_dir))


def test_the_teacher(run_dir, model):
    saved = load_file(str(run_dir / 'latest.pth'))['state_dict']
    for predictor, prefix in ((model, 'model.'), (load(run_dir, 'cpu', teacher=True), 'ema_model.')):
        name = 'decode_head.conv_seg.weight'
        assert torch.equal(predictor.network.state_dict()[name], saved[prefix + name])


def test_a_published_file_is_enough(tmp_path, run_dir, path, model):
    from tools import publish_model
    with pytest.raises(SystemExit):
        publish_model.main([str(run_dir / 'latest.pth'), str(tmp_path / 'net.safetensors')])
    [file] = tmp_path.glob('*.safetensors')
    same(load(file, 'cpu').predict(path), model.predict(path))


# ---- the config in the file


def test_without_a_config_it_is_asked_for(tmp_path, run_dir):
    keep_config(run_dir / 'latest.pth', None, tmp_path / 'bare.pth')
    with pytest.raises(ConfigError, match='does not hold its config: pass config='):
        load(tmp_path / 'bare.pth')
    assert len(load(tmp_path / 'bare.pth', 'cpu', config=str(run_dir / 'run.json')).classes) == 19


def test_modules_that_a_file_names_are_not_imported_unasked(tmp_path, run_dir, monkeypatch):
    text = text_of_config(config(run_dir.parent / 'data'))
    keep_config(run_dir / 'latest.pth', f"custom_imports = dict(imports=['own_parts_of_a_test'])\n{text}",
                tmp_path / 'own.pth')
    (tmp_path / 'own_parts_of_a_test.py').write_text('')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match='the modules own_parts_of_a_test'):
        load(tmp_path / 'own.pth', 'cpu')
    load(tmp_path / 'own.pth', 'cpu', trust=True)
    load(tmp_path / 'own.pth', 'cpu')  # now that it is imported
    monkeypatch.delitem(sys.modules, 'own_parts_of_a_test')
    (tmp_path / 'own_parts_of_a_test.py').write_text('raise ImportError')
    with pytest.raises(ConfigError, match='cannot be imported'):
        load(tmp_path / 'own.pth', 'cpu', trust=True)


@pytest.mark.parametrize('imports', ['[7]', '7', "'7'"])
def test_modules_that_are_none_are_told(tmp_path, run_dir, imports):
    keep_config(run_dir / 'latest.pth', f'custom_imports = dict(imports={imports})', tmp_path / 'own.pth')
    for trust, told in ((False, 'the modules 7'), (True, 'cannot be imported')):
        with pytest.raises(ConfigError, match=told):
            load(tmp_path / 'own.pth', 'cpu', trust=trust)


def test_a_network_without_probabilities_is_told(model):
    with pytest.raises(ConfigError, match='no EncoderDecoder'):
        Predictor(torch.nn.Identity(), model.cfg, model.classes, model.palette)


def test_bad_arrays_are_data_errors(model):
    with pytest.raises(DataError):
        model.predict(np.zeros((3, 8, 8), np.uint8))
