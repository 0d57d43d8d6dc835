"""Checkpoints as the reference published them are read, and give what today's give; others are refused."""
from __future__ import annotations

import copy
import gzip
import json
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv import Config
from tiny_run import NAMES, Student, config, make_run

from demo import image_demo
from mmseg.apis.inference import inference_segmentor, init_segmentor
from mmseg.checkpoint.weights import load_file, load_segmentor_weights, save_file
from mmseg.core.evaluation import get_classes, get_palette
from mmseg.core.visualization import draw_overlay
from mmseg.models import build_segmentor
from mmseg.utils import UserError
from mmseg.utils.config import load_config
from mmseg.utils.legacy import without_pretrained
from tools import test as test_program

GOLDEN = Path(__file__).resolve().parents[1] / 'data' / 'golden_state_dicts.json.gz'


def legacy_model(model: dict) -> dict:
    """A network's config as early runs of the reference implementation wrote it to json."""
    model = copy.deepcopy(dict(model))
    model['backbone'] = {**model['backbone'], 'style': 'pytorch', 'ema_drop_path_rate': 0.1}
    head = model['decode_head'] = {**model['decode_head'], 'type': 'UniHead'}
    head['decoder_params']['fusion_cfg']['fusion'] = 'cat'
    head['loss_decode'] = [head['loss_decode'], {'type': 'LogitConstraintLoss', 'loss_weight': 0.1}]
    return {**model, 'train_cfg': {'work_dir': 'work_dirs/of_its_training'}}


def legacy_meta() -> dict:
    """numpy's types as they come from a training's scores."""
    return dict(env_info='PyTorch: 1.7.1', seed=0, exp_name='x.json', mmseg_version='0.16.0',
                config='model = {}', CLASSES=get_classes('cityscapes'), PALETTE=get_palette('cityscapes'),
                epoch=1, iter=40000,
                hook_msgs=dict(best_score=np.float64(0.68), last_ckpt='iter_40000.pth',
                               history=np.array([0.5, 0.68]), flags=np.array([1], dtype=np.uint8),
                               steps=np.int64(3), done=np.bool_(True)))


class LegacyStudent(Student):
    """Names as in a training of the reference implementation, which kept its frozen encoder too."""

    def __init__(self, cfg: Config):
        super().__init__(cfg)
        self.imnet_model = build_segmentor({**cfg.model, 'pretrained': None})


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    """The native run, and beside it the same as the reference's: legacy.json and legacy*.pth."""
    run = make_run(tmp_path_factory.mktemp('legacy'))
    cfg = Config.fromfile(str(run / 'run.json'))
    old = {**json.loads((run / 'run.json').read_text()), 'model': legacy_model(cfg.model)}
    (run / 'legacy.json').write_text(json.dumps(old))
    weights = LegacyStudent(cfg).state_dict()  # the same seed as the native one's
    for name, state in load_file(str(run / 'latest.pth'))['state_dict'].items():
        weights[name] = state
    optimizer = dict(state={0: dict(step=3, exp_avg=torch.ones(2))}, param_groups=[dict(lr=6e-5, params=[0])])
    checkpoint = dict(meta=legacy_meta(), state_dict=weights, optimizer=optimizer)
    torch.save(checkpoint, run / 'legacy.pth')
    torch.save(checkpoint, run / 'legacy_pickle.pth', _use_new_zipfile_serialization=False)
    student = OrderedDict((k[6:], v) for k, v in weights.items() if k.startswith('model.'))
    torch.save(dict(meta=legacy_meta(), state_dict=student), run / 'legacy_plain.pth')
    parallel = OrderedDict((f'module.{k}', v) for k, v in weights.items())
    torch.save(dict(meta=legacy_meta(), state_dict=parallel), run / 'legacy_parallel.pth')
    torch.save(student, run / 'legacy_weights.pth')
    rename_in_pickle(run / 'legacy.pth', run / 'legacy_numpy1.pth', b'numpy._core.', b'numpy.core.')
    rename_in_pickle(run / 'legacy.pth', run / 'legacy_numpy2.pth', b'numpy.core.', b'numpy._core.')
    return run


def rename_in_pickle(source: Path, target: Path, old: bytes, new: bytes) -> None:
    """A copy as the other major version of numpy writes it."""
    with zipfile.ZipFile(source) as given, zipfile.ZipFile(target, 'w', zipfile.ZIP_STORED) as made:
        for entry in given.infolist():
            content = given.read(entry)
            if entry.filename.endswith('data.pkl'):
                content = content.replace(b'c' + old, b'c' + new)
                assert b'c' + new in content
            made.writestr(entry.filename, content)


def image_of(run_dir: Path) -> str:
    return str(run_dir.parent / f'data/leftImg8bit/val/{NAMES[0]}_leftImg8bit.png')


def segment(run_dir: Path, cfg: str, checkpoint: str, prefix: str = 'auto'):
    model = init_segmentor(str(run_dir / cfg), str(run_dir / checkpoint), 'cpu', prefix)
    return inference_segmentor(model, image_of(run_dir))[0], model


@pytest.mark.parametrize('checkpoint', ['legacy', 'legacy_pickle', 'legacy_plain', 'legacy_parallel',
                                        'legacy_weights', 'legacy_numpy1', 'legacy_numpy2'])
def test_each_legacy_form_gives_the_native_class_map(run_dir, checkpoint):
    expected, _ = segment(run_dir, 'run.json', 'latest.pth')
    seg, model = segment(run_dir, 'legacy.json', f'{checkpoint}.pth')
    np.testing.assert_array_equal(seg, expected)
    assert len(np.unique(seg)) > 1
    assert model.PALETTE[13] == [0, 0, 142] and model.CLASSES[13] == 'car'


def test_a_legacy_teacher_is_the_native_teacher(run_dir):
    expected, _ = segment(run_dir, 'run.json', 'latest.pth', 'ema_model.')
    seg, _ = segment(run_dir, 'legacy.json', 'legacy.pth', 'ema_model.')
    np.testing.assert_array_equal(seg, expected)
    assert (seg != segment(run_dir, 'legacy.json', 'legacy.pth')[0]).any()


@pytest.mark.parametrize('teacher', [[], ['--teacher']])
def test_the_programs_take_legacy_files(run_dir, tmp_path, capsys, teacher):
    expected, model = segment(run_dir, 'run.json', 'latest.pth', 'ema_model.' if teacher else 'auto')
    files = [str(run_dir / 'legacy.json'), str(run_dir / 'legacy_numpy1.pth')]
    for program, arguments in ((test_program, [*files, '--out', str(tmp_path / 'p.pkl')]),
                               (image_demo, [image_of(run_dir), *files, '--out', str(tmp_path / 'o.png')])):
        with pytest.raises(SystemExit) as ended:
            program.main([*arguments, *teacher])
        assert ended.value.code == 0, capsys.readouterr().err
    np.testing.assert_array_equal(pickle.loads((tmp_path / 'p.pkl').read_bytes())[0], expected)
    overlay = draw_overlay(cv2.imread(image_of(run_dir)), expected, model.PALETTE, 0.5)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'o.png')), overlay)


def test_the_names_of_the_published_daformer_fit(tmp_path):
    names = json.loads(gzip.decompress(GOLDEN.read_bytes()))['daformer_sepaspp_mitb5']
    fusion = dict(type='aspp', sep=True, dilations=(1, 6, 12, 18), pool=False, act_cfg=dict(type='ReLU'),
                  norm_cfg=dict(type='BN', requires_grad=True))
    mlp = dict(type='mlp', act_cfg=None, norm_cfg=None)
    model = copy.deepcopy(dict(config(tmp_path).model))
    model['backbone'] = dict(type='mit_b5')
    model['decode_head'] = {**model['decode_head'], 'in_channels': [64, 128, 320, 512], 'channels': 256,
                            'decoder_params': dict(embed_dims=256, embed_cfg=mlp, embed_neck_cfg=mlp,
                                                   fusion_cfg=fusion)}
    (tmp_path / 'old.json').write_text(json.dumps(dict(model=legacy_model(model))))
    with torch.device('meta'):
        network = build_segmentor(without_pretrained(load_config(tmp_path / 'old.json').model))
        state = {prefix + name: torch.empty(shape) for prefix in ('model.', 'ema_model.', 'imnet_model.')
                 for name, shape in names.items()}
    assert len(names) > 1000
    for prefix in ('auto', 'ema_model.'):
        load_segmentor_weights(network, dict(state_dict=state), prefix)
    lost = state.pop('model.backbone.norm4.weight')
    with pytest.raises(UserError, match='1 missing .first: backbone.norm4.weight'):
        load_segmentor_weights(network, dict(state_dict=state))
    state['model.backbone.norm4.weight'] = lost[1:]
    with pytest.raises(UserError, match=r'is \(511,\), expected \(512,\)'):
        load_segmentor_weights(network, dict(state_dict=state))


class Hostile:
    """Unpickling it makes the file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (exec, (f'open({str(self.path)!r}, "w").close()',))


@pytest.mark.parametrize('write', [
    torch.save, lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
    lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, write):
    write(dict(state_dict=dict(a=torch.ones(1)), meta=Hostile(tmp_path / 'made')), tmp_path / 'evil.pth')
    refusals = "evil.pth' (was refused: .*exec.*weights_only=False|is damaged, or no)"
    with pytest.raises(UserError, match=refusals):
        load_file(str(tmp_path / 'evil.pth'))
    assert not (tmp_path / 'made').exists()
    if write is torch.save:  # the same file does it where it is trusted
        torch.load(tmp_path / 'evil.pth', weights_only=False)
        assert (tmp_path / 'made').exists()


class HistoryBuffer:
    """As another framework's training leaves it in meta."""


def test_an_objects_class_is_named_with_the_way_to_convert(tmp_path):
    path = tmp_path / 'objects.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(2)), meta=dict(loss=HistoryBuffer())), path)
    with pytest.raises(UserError) as refused:
        load_file(str(path))
    message = str(refused.value)
    assert 'HistoryBuffer' in message and '\n' not in message
    command = message[message.index('import torch'):message.rindex('"')]
    exec(command.replace("'converted.pth'", repr(str(tmp_path / 'converted.pth'))))  # what it says works
    assert torch.equal(load_file(str(tmp_path / 'converted.pth'))['state_dict']['a'], torch.ones(2))


@pytest.mark.parametrize('suffix, zipped', [('.pth', True), ('.pth', False), ('.safetensors', None)])
@pytest.mark.parametrize('part', [0.0, 0.002, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_reported_as_such(tmp_path, suffix, zipped, part):
    path = tmp_path / f'cut{suffix}'
    weights = {f'layer{i}.weight': torch.ones(50, 50) for i in range(10)}
    if zipped is None:
        from safetensors.torch import save_file as save
        save(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    assert len(load_file(str(path))) in (2, 10)
    content = path.read_bytes()
    path.write_bytes(content[:int(part * len(content))])
    with pytest.raises(UserError, match=f"cut{suffix}' is damaged.*download it again"):
        load_file(str(path))


@pytest.mark.parametrize('content', [b'<!DOCTYPE html><html>Not found', b'version https://git-lfs.github.com/'])
def test_what_a_failed_download_leaves_is_no_checkpoint(tmp_path, content):
    (tmp_path / 'page.pth').write_bytes(content)
    with pytest.raises(UserError, match='no file of PyTorch.*(DOCTYPE|version)'):
        load_file(str(tmp_path / 'page.pth'))


def test_half_precision_loads_into_the_modules_own(tmp_path):
    save_file({'state_dict': {'weight': torch.full((2, 3), 0.1).half(), 'bias': torch.ones(2).bfloat16()}},
              str(tmp_path / 'half.pth'))
    linear = torch.nn.Linear(3, 2)
    load_segmentor_weights(linear, load_file(str(tmp_path / 'half.pth')))
    assert {p.dtype for p in linear.parameters()} == {torch.float32}
    torch.testing.assert_close(linear.weight.detach(), torch.full((2, 3), 0.1), rtol=1e-3, atol=0)
