from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest
import torch
from tiny_run import NAMES, SIZE_HW, make_run
from torch import nn

from demo import image_demo
from mmseg.apis import inference_segmentor, init_segmentor, run_test, single_gpu_test
from mmseg.core.evaluation import eval_metrics, get_palette
from mmseg.core.pictures import GAP, LEGEND_WIDTH
from mmseg.core.visualization import colorize, draw_overlay, save_overlay
from mmseg.datasets import build_dataloader, build_dataset
from mmseg.engine.evaluation import evaluating
from mmseg.utils import UserError


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp('tiny'))


@pytest.fixture(scope='module')
def model(run_dir):
    return init_segmentor(str(run_dir / 'run.json'), str(run_dir / 'latest.pth'), 'cpu')


@pytest.fixture(scope='module')
def loader(model):
    return build_dataloader(build_dataset({**model.cfg.data.test, 'test_mode': True}), 1, 0,
                            dist=False, shuffle=False)


def image_file(run_dir, number=0):
    return run_dir.parent / 'data' / 'leftImg8bit' / 'val' / f'{NAMES[number]}_leftImg8bit.png'


# ---- networks from files


def test_the_student_or_the_teacher_is_loaded_in_eval_mode(run_dir, model):
    teacher = init_segmentor(str(run_dir / 'run.json'), str(run_dir / 'latest.pth'), 'cpu', 'ema_model.')
    saved = torch.load(run_dir / 'latest.pth', weights_only=True)['state_dict']
    name = 'decode_head.conv_seg.weight'
    assert torch.equal(model.state_dict()[name], saved[f'model.{name}'])
    assert torch.equal(teacher.state_dict()[name], saved[f'ema_model.{name}'])
    assert not torch.equal(saved[f'model.{name}'], saved[f'ema_model.{name}'])
    assert not model.training and model.CLASSES[13] == 'car' and model.PALETTE[13] == [0, 0, 142]


def test_classes_missing_in_the_checkpoint_are_guessed_with_one_warning(tmp_path, caplog, monkeypatch):
    run = make_run(tmp_path, with_classes=False)
    monkeypatch.setattr(logging.getLogger('mmseg'), 'propagate', True)
    model = init_segmentor(str(run / 'run.json'), str(run / 'latest.pth'), 'cpu')
    assert get_palette('cityscapes') == model.PALETTE
    assert [r.message for r in caplog.records if 'does not name its classes' in r.message] == [
        'the checkpoint does not name its classes: taking those of CityscapesDataset']


def test_a_device_that_is_not_there_is_a_users_mistake(run_dir):
    for device in ('cuda:99', 'gpu'):
        with pytest.raises(UserError, match=device):
            init_segmentor(str(run_dir / 'run.json'), None, device)


# ---- images


def test_paths_arrays_and_lists_of_any_size_give_maps_of_the_images_size(run_dir, model):
    path = str(image_file(run_dir))
    img = cv2.imread(path)
    from_path, from_array = inference_segmentor(model, path)[0], inference_segmentor(model, img)[0]
    assert from_path.shape == SIZE_HW
    np.testing.assert_array_equal(from_path, from_array)
    maps = inference_segmentor(model, [path, img[:, :40], img])
    assert [m.shape for m in maps] == [SIZE_HW, (64, 40), SIZE_HW]
    np.testing.assert_array_equal(maps[2], from_array)


@pytest.mark.parametrize('make, message', [
    (lambda d: str(d / 'missing.png'), 'does not exist'),
    (lambda d: (d / 'text.png').write_text('no image') and str(d / 'text.png'), 'cannot be read'),
    (lambda d: np.zeros((8, 8), np.uint8), r'the shape \(8, 8\)')])
def test_what_is_no_image_is_a_users_mistake(tmp_path, model, make, message):
    with pytest.raises(UserError, match=message):
        inference_segmentor(model, make(tmp_path))


# ---- data sets


def test_the_running_matrix_scores_what_the_predictions_score(model, loader):
    dataset = loader.dataset
    maps = single_gpu_test(model, loader)
    expected = eval_metrics(maps, list(dataset.get_gt_seg_maps()), 19, 255)
    found = run_test(model, loader, 'cpu', progress=False)
    assert found.predictions is None
    np.testing.assert_allclose(found.matrix.metrics()['IoU'], expected['IoU'])
    assert int(found.matrix.matrix.sum()) == len(dataset) * 60 * 128  # 4 of 64 rows are ignored


def test_predictions_are_those_of_single_images_in_the_data_sets_order(run_dir, model, loader):
    for number, seg in enumerate(single_gpu_test(model, loader)):
        assert seg.dtype == np.uint8
        np.testing.assert_array_equal(
            seg, inference_segmentor(model, str(image_file(run_dir, number)))[0])


def test_pictures_keep_the_images_folders(tmp_path, model, loader):
    found = run_test(model, loader, 'cpu', evaluate=False, out_dir=str(tmp_path), opacity=1,
                     keep_predictions=True, progress=False)
    assert found.matrix is None
    for name, seg in zip(NAMES, found.predictions):
        picture = cv2.imread(str(tmp_path / f'{name}_leftImg8bit.png'))
        np.testing.assert_array_equal(picture, colorize(seg, model.PALETTE))


def test_predictions_on_a_tensor_device_are_counted_there(loader):
    class Tensors(nn.Module):
        def forward(self, img, img_metas, return_loss):
            assert not return_loss and not self.training and not torch.is_grad_enabled()
            return [torch.zeros(SIZE_HW, dtype=torch.int64) for _ in img_metas[0]]

    found = run_test(Tensors(), loader, 'cpu', progress=False)
    assert found.matrix.matrix[:, 1:].sum() == 0


def test_modes_of_all_modules_are_as_before_even_after_an_error():
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(1), nn.Sequential(nn.Dropout()))
    net.train()
    net[1].eval()
    modes = [m.training for m in net.modules()]
    with pytest.raises(RuntimeError), evaluating(net):
        assert not any(m.training for m in net.modules())
        raise RuntimeError
    assert [m.training for m in net.modules()] == modes


# ---- pictures


def test_colours_are_bgr_and_ids_without_one_black():
    palette = [[10, 20, 30], [1, 2, 3]]
    np.testing.assert_array_equal(
        colorize(np.array([[0, 1, 2, 255]]), palette), [[[30, 20, 10], [3, 2, 1], [0] * 3, [0] * 3]])


def test_opacity_blends_between_image_and_colours():
    img = np.full((1, 1, 3), 100, np.uint8)
    for opacity, value in ((0, 100), (0.5, 150), (1, 200)):
        assert (draw_overlay(img, np.zeros((1, 1), int), [[200] * 3], opacity) == value).all()
    with pytest.raises(UserError, match='between 0 and 1'):
        draw_overlay(img, np.zeros((1, 1), int), [[200] * 3], 1.5)


def test_the_image_itself_is_never_overwritten(run_dir):
    path = image_file(run_dir)
    before = path.read_bytes()
    with pytest.raises(UserError, match='would be overwritten'):
        save_overlay(str(path), np.zeros(SIZE_HW, int), [[0] * 3], 0.5, str(path))
    assert path.read_bytes() == before


# ---- the demo


def demo(run_dir, img, *args):
    with pytest.raises(SystemExit) as ended:
        image_demo.main([str(img), str(run_dir / 'run.json'), str(run_dir / 'latest.pth'), *args])
    return ended.value.code


def test_the_demo_writes_an_image_a_folder_and_a_video(tmp_path, run_dir, model, capsys):
    img = image_file(run_dir)
    assert demo(run_dir, img, '--out', str(tmp_path / 'o.png'), '--opacity', '1') == 0
    assert f"overlay written to {tmp_path / 'o.png'}" in capsys.readouterr().out
    expected = colorize(inference_segmentor(model, str(img))[0], model.PALETTE)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'o.png')), expected)

    assert demo(run_dir, img.parents[1], '--out-file', str(tmp_path / 'all')) == 0
    written = {p.relative_to(tmp_path / 'all').as_posix() for p in tmp_path.glob('all/*/*')}
    assert written == {f'{name}_leftImg8bit.png' for name in NAMES}

    video = cv2.VideoWriter(str(tmp_path / 'v.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, SIZE_HW[::-1])
    for _ in range(3):
        video.write(cv2.imread(str(img)))
    video.release()
    assert demo(run_dir, tmp_path / 'v.avi') == 0
    result = cv2.VideoCapture(str(tmp_path / 'v_seg.mp4'))
    frames = list(image_demo.frames_of(result))
    result.release()  # its threads are no forked process's to end
    assert len(frames) == 3 and frames[0].shape == (*SIZE_HW, 3)
    assert not list(tmp_path.glob('.*'))


def test_the_demo_shows_what_is_asked(tmp_path, run_dir, model):
    """A legend, the entropy, two networks side by side in colours for all, class ids."""
    img, size = image_file(run_dir), SIZE_HW[1]
    out = {name: tmp_path / f'{name}.png' for name in ('legend', 'entropy', 'two')}
    assert demo(run_dir, img, '--out', str(out['legend']), '--legend', '--outlines', '--save-labels') == 0
    assert cv2.imread(str(out['legend'])).shape[1] == size + LEGEND_WIDTH
    labels = cv2.imread(str(tmp_path / 'legend_labels.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(labels, inference_segmentor(model, str(img))[0])
    assert demo(run_dir, img, '--out', str(out['entropy']), '--entropy') == 0
    assert demo(run_dir, img, str(run_dir / 'latest.pth'), '--out', str(out['two']), '--palette',
                'colour-blind') == 0
    shapes = {name: cv2.imread(str(path)).shape[1] for name, path in out.items() if name != 'legend'}
    assert shapes == dict.fromkeys(('entropy', 'two'), 3 * (size + GAP))


@pytest.mark.parametrize('files, titles', [
    (['a/net.pth', 'b/latest.pth'], ['net', 'b']),
    (['w/261127_0333_streets_ebda_s0_2fd6b/latest.pth', 'w/261126_0333_streets_source_s0_aaaaa/iter_40.pth'],
     ['streets_ebda_s0', 'streets_source_s0']),
    (['261127_0333_one_2fd6b/iter_20.pth', '261127_0333_one_2fd6b/iter_40.pth'],
     ['one, iter_20', 'one, iter_40']),
    (['a/net.pth', 'b/net.pth'], ['a, net', 'b, net']),
    (['x/a/net.pth', 'y/a/net.pth'], ['1: a, net', '2: a, net'])])
def test_titles_are_names_that_tell_networks_apart(files, titles):
    assert image_demo.titles_of(files) == titles


def test_frames_of_a_video_with_a_legend_have_one_size(tmp_path, run_dir):
    video = cv2.VideoWriter(str(tmp_path / 'v.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 5, SIZE_HW[::-1])
    for seed in range(3):
        video.write(np.random.default_rng(seed).integers(0, 256, (*SIZE_HW, 3), np.uint8))
    video.release()
    assert demo(run_dir, tmp_path / 'v.avi', '--legend', '--save-labels') == 1, 'a video would blur ids'
    assert demo(run_dir, tmp_path / 'v.avi', '--legend') == 0
    result = cv2.VideoCapture(str(tmp_path / 'v_seg.mp4'))
    frames = list(image_demo.frames_of(result))
    result.release()
    assert len(frames) == 3 and frames[0].shape[1] == SIZE_HW[1] + LEGEND_WIDTH


def test_the_demos_own_names_never_replace_a_file(tmp_path, run_dir):
    img = tmp_path / 'a.png'
    img.write_bytes(image_file(run_dir).read_bytes())
    (tmp_path / 'a_seg.png').write_text('mine')
    assert demo(run_dir, img) == 0
    assert (tmp_path / 'a_seg.png').read_text() == 'mine' and (tmp_path / 'a_seg_2.png').is_file()


@pytest.mark.parametrize('name, content, message', [
    ('none.png', None, 'does not exist'), ('x.txt', b'', 'neither an image'),
    ('x.mp4', b'junk', 'cannot be read'), ('empty', 'folder', 'holds no image')])
def test_wrong_input_of_the_demo_ends_in_one_line(tmp_path, run_dir, capsys, name, content, message):
    if content == 'folder':
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    assert demo(run_dir, tmp_path / name) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(error) == 1 and message in error[0]
