"""MGCDA: the correction of labels, by hand and through tools/make_pseudo_labels.py, and a stage of its
training."""
from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from data_trees import save
from mmcv import Config
from test_depth_warp import H, K, W, rotation, scene
from tiny_run import NAMES, NORM, SIZE_HW, make_run
from uda_models import batch, seed_all, tiny

from mmseg.apis.inference import init_segmentor
from mmseg.models.builder import build_train_model
from mmseg.models.losses.cross_entropy_loss import CrossEntropyLoss
from mmseg.models.uda.mgcda import Correspondence, aligned, refined
from mmseg.models.uda.parts.camera_motion import Motion, motion_from_matches
from mmseg.models.uda.parts.cross_bilateral import BilateralFilter, lab_reference
from mmseg.models.uda.parts.depth_warp import warp_by_depth
from mmseg.models.uda.parts.guided_fusion import guided_fusion
from mmseg.utils import DataError
from tools import make_pseudo_labels as program

DARK, LIT = 'leftImg8bit/val', 'leftImg8bit/lit'


def prob_of(seed: int, classes: int = 12, height: int = H, width: int = W) -> torch.Tensor:
    logits = torch.randn(1, classes, height, width, generator=torch.Generator().manual_seed(seed))
    return (3 * logits).softmax(dim=1)


# ------------------------------------------------------------------- a pair of pictures

def test_where_the_motion_is_found_the_prediction_is_warped():
    """Pixels of the sky are 540 m away, whatever the file says."""
    lit, image = prob_of(0), torch.rand(1, 3, H, W)
    depth, first, second = scene(Motion(rotation(1, -3, 0.5), np.array([0.6, -0.1, 0.9])))
    sky = (lit.argmax(1)[0] == 10).numpy()
    assert 0.02 < sky.mean() < 0.5
    far = np.where(sky, 540.0, depth)
    motion = motion_from_matches(first, second, far, (K, K), sky)
    expected = warp_by_depth(lit, torch.from_numpy(far), motion, (K, K))
    found = Correspondence(depth, first, second)
    assert torch.equal(aligned(lit, image, found), expected)
    assert not torch.equal(aligned(lit, image, found, sky=None), expected)


def test_otherwise_it_follows_the_edges_of_the_dark_image():
    lit, image = prob_of(0), torch.rand(1, 1, H, W).expand(-1, 3, -1, -1)
    expected = BilateralFilter()(lit, lab_reference(image))
    assert torch.equal(aligned(lit, image), expected)
    depth, first, second = scene(Motion(np.eye(3), np.array([0.6, 0, 0.9])))
    assert torch.equal(aligned(lit, image, Correspondence(depth, first[:13], second[:13])), expected)
    dark = prob_of(1)
    assert torch.equal(refined(dark, lit, image, dynamic=[3]), guided_fusion(dark, expected, [3]))


def test_pictures_of_two_sizes_are_told():
    with pytest.raises(DataError, match=f'is {W}x{H} but .* is {W}x{H // 2}'):
        refined(prob_of(0), prob_of(0, height=H // 2), torch.rand(1, 3, H, W))


# ------------------------------------------------------------------- the program

@pytest.fixture(scope='module')
def made(tmp_path_factory) -> Path:
    """A run, whose training has dark images as its target, and the config of one with lit ones."""
    run = make_run(tmp_path_factory.mktemp('run'))
    rng = np.random.default_rng(5)
    for folder in (DARK, LIT):
        for name in NAMES:  # nearly grey: the filter's grid grows with the range of colours
            grey = np.kron(rng.integers(0, 256, (8, 16, 1), np.uint8), np.ones((8, 8, 1), np.uint8))
            save(run.parent / f'data/{folder}/{name}_leftImg8bit.png', np.tile(grey, (1, 1, 3)))
    cfg = Config.fromfile(str(run / 'run.json'))
    pipeline = [dict(type='LoadImageFromFile'), dict(type='Collect', keys=['img'])]
    for file, folder in (('run', DARK), ('lit', LIT)):
        leaf = {**{k: v for k, v in cfg.data.test.items() if k != 'ann_dir'}, 'img_dir': folder,
                'pipeline': pipeline}
        cfg.data.train = dict(type='UDADataset', source=leaf, target=leaf)
        cfg.dump(str(run / f'{file}.json'))
    return run


@pytest.fixture
def call(made, tmp_path, capsys):
    def run(*args, code=0, references='lit.json', out=tmp_path / 'out'):
        given = [] if references is None else ['--references', str(made / references)]
        with pytest.raises(SystemExit) as ended:
            program.main([str(made / 'run.json'), str(made / 'latest.pth'), '--device', 'cpu', '--rule',
                          'mgcda', '--out', str(out), *given, *map(str, args)])
        printed, err = capsys.readouterr()
        assert ended.value.code == code, err
        return printed if code == 0 else [line for line in err.splitlines() if line.startswith('error: ')]
    return run


def rgb(run: Path, folder: str, name: str) -> np.ndarray:
    return cv2.imread(str(run.parent / f'data/{folder}/{name}_leftImg8bit.png'))[..., ::-1].copy()


def predicted(run: Path, folder: str, name: str) -> torch.Tensor:
    model = init_segmentor(str(run / 'run.json'), str(run / 'latest.pth'), 'cpu')
    x = (rgb(run, folder, name) - np.float32(NORM['mean'])) / np.float32(NORM['std'])
    with torch.no_grad():
        return model.encode_decode(torch.from_numpy(x).permute(2, 0, 1)[None]).softmax(dim=1)


def check_label(run: Path, out: Path, name: str, partner: str, found: Correspondence | None = None) -> None:
    image = torch.from_numpy(rgb(run, DARK, name)).permute(2, 0, 1)[None] / 255
    expected = refined(predicted(run, DARK, name), predicted(run, LIT, partner), image, found)[0].numpy()
    label, level = (cv2.imread(str(out / kind / f'{name}.png'), cv2.IMREAD_UNCHANGED)
                    for kind in ('labels', 'confidence'))
    np.testing.assert_allclose(level / 65535, expected.max(axis=0), atol=2e-5)
    assert np.mean(label != expected.argmax(axis=0)) < 1e-3


def test_labels_are_corrected_by_the_pictures_in_good_light(call, made, tmp_path):
    call()
    for name in NAMES:
        check_label(made, tmp_path / 'out', name, name)


def test_pairs_and_geometry_of_files(call, made, tmp_path):
    depth, first, second = (np.random.RandomState(0).uniform(5, 30, SIZE_HW),
                            *np.random.RandomState(1).uniform(0, 64, (2, 40, 2)))
    second = first + [3.0, 0.0]  # a step aside
    (tmp_path / 'geometry/aachen').mkdir(parents=True)
    np.savez(tmp_path / f'geometry/{NAMES[1]}.npz', depth=depth, points=np.hstack([first, second]))
    partners = dict(zip(NAMES, (NAMES[2], NAMES[2], NAMES[0])))
    lines = [f'{a}_leftImg8bit.png\t{b}_leftImg8bit.png' for a, b in partners.items()]
    (tmp_path / 'pairs.txt').write_text('\n'.join(lines))
    call('--pairs', tmp_path / 'pairs.txt', '--geometry', tmp_path / 'geometry')
    for name, partner in partners.items():
        found = Correspondence(depth, first, second) if name == NAMES[1] else None
        check_label(made, tmp_path / 'out', name, partner, found)
    [line] = call(code=1)
    assert 'were made with other' in line


@pytest.mark.parametrize('content, told', [
    (b'text', 'is damaged'), (dict(depth=np.ones(SIZE_HW)), "has no 'depth' or 'points'"),
    (dict(depth=np.ones((4, 4)), points=np.ones((20, 4))), 'depth of the shape (4, 4), expected (64, 128)'),
    (dict(depth=np.zeros(SIZE_HW), points=np.ones((20, 4))), 'metres above 0'),
    (dict(depth=np.ones(SIZE_HW), points=np.ones((20, 3))), 'points of the shape (20, 3)'),
    (dict(depth=np.ones(SIZE_HW), points=np.array([['a']], dtype=object)), 'is damaged')])
def test_geometry_that_cannot_be_used_is_told(call, tmp_path, content, told):
    path = tmp_path / f'geometry/{NAMES[0]}.npz'
    path.parent.mkdir(parents=True)
    path.write_bytes(content) if isinstance(content, bytes) else np.savez(path, **content)
    [line] = call('--geometry', tmp_path / 'geometry', code=1)
    assert told in line and f'{NAMES[0]}.npz' in line


@pytest.mark.parametrize('text, told', [
    ('a b', "has the line 'a b', expected two names with a tab"),
    (f'{NAMES[0]}_leftImg8bit.png\tgone.png', f'names no image of .*lit for {NAMES[0]}'),
    (None, "pairs.txt")])
def test_pairs_that_cannot_be_used_are_told(call, tmp_path, text, told):
    if text is not None:
        (tmp_path / 'pairs.txt').write_text(text)
    [line] = call('--pairs', tmp_path / 'pairs.txt', code=1)
    assert re.search(told, line)
    assert not (tmp_path / 'out').exists()


def test_references_that_do_not_fit_are_told(call, made, tmp_path):
    [line] = call(code=1, references=None)
    assert '--rule mgcda needs --references CONFIG' in line
    [line] = call('--rule', 'bdl', code=1)
    assert '--references goes with --rule mgcda alone' in line
    cfg = Config.fromfile(str(made / 'lit.json'))
    cfg.data.train.target.split = str(tmp_path / 'two.txt')
    (tmp_path / 'two.txt').write_text('\n'.join(NAMES[:2]))
    cfg.dump(str(made / 'two.json'))
    [line] = call(code=1, references='two.json')
    assert 'has 3 images and' in line and 'their references, 2: list which go together with --pairs' in line
    [line] = call('--geometry', tmp_path / 'gone', code=1)
    assert 'gone does not exist' in line
    assert not (tmp_path / 'out').exists()


# ------------------------------------------------------------------- training

def built(**settings) -> torch.nn.Module:
    seed_all(0)
    uda = dict(type='MGCDA', **settings)
    return build_train_model(dict(model=tiny(), uda=uda, runner=dict(max_iters=4))).train()


def test_the_losses_of_a_step():
    model, found = built(target_weight=0.5), batch(0, size=32, cell=8)
    found['target_pseudo_semantic_seg'] = found['gt_semantic_seg'].flip(-1)
    source, target = (one.compute() for one in model.passes(found))
    loss = CrossEntropyLoss()
    for terms, images, labels, weight in ((source, 'img', 'gt_semantic_seg', 1),
                                          (target, 'target_img', 'target_pseudo_semantic_seg', 0.5)):
        logits = model.encode_decode(found[images])
        expected = weight * loss(logits, found[labels].squeeze(1), ignore_index=255)
        torch.testing.assert_close(terms.total(), expected)


def test_a_target_without_labels_is_refused():
    with pytest.raises(DataError, match='has no labels: make them with tools/make_pseudo_labels.py'):
        built().passes(batch(0, size=32))
