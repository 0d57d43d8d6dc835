"""tools/export_onnx.py, checked by running the file in onnxruntime here too."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from mmcv import Config
from tiny_run import Student, config

from mmseg.apis.inference import init_segmentor
from mmseg.checkpoint.weights import save_checkpoint
from mmseg.core.evaluation import get_classes, get_palette
from mmseg.models.builder import build_segmentor
from tools import export_onnx

onnxruntime = pytest.importorskip('onnxruntime', reason='pip install -e .[export]')
pytest.importorskip('onnxscript', reason='pip install -e .[export]')


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    """Of the smallest network: the exporter's time grows with its layers."""
    folder = tmp_path_factory.mktemp('onnx')
    cfg = config(folder)
    cfg.model.backbone = dict(type='MixVisionTransformer', embed_dims=[8, 16, 24, 32],
                              num_heads=[1, 2, 3, 4], depths=[1, 1, 1, 1])
    cfg.model.decode_head.in_channels = [8, 16, 24, 32]
    cfg.dump(str(folder / 'run.json'))
    meta = dict(CLASSES=get_classes('cityscapes'), PALETTE=get_palette('cityscapes'))
    save_checkpoint(str(folder / 'latest.pth'), Student(cfg), meta=meta)
    return folder


@pytest.fixture
def call(run_dir, capsys):
    def run(out, *args, code=0):
        with pytest.raises(SystemExit) as ended:
            export_onnx.main([str(run_dir / 'run.json'), str(run_dir / 'latest.pth'), str(out),
                              '--size', '96x64', *args])
        text = capsys.readouterr()
        assert ended.value.code == code, text.err
        return text.out if code == 0 else text.err
    return run


@pytest.mark.filterwarnings('ignore')  # of the exporter about itself
def test_the_exported_teacher_gives_its_class_map(call, run_dir, tmp_path):
    assert 'the same class map' in call(tmp_path / 'net.onnx', '--teacher')
    assert [p.name for p in tmp_path.iterdir()] == ['net.onnx']  # weights are inside
    session = onnxruntime.InferenceSession(str(tmp_path / 'net.onnx'), providers=['CPUExecutionProvider'])
    image = torch.randn(1, 3, 64, 96)
    [logits] = session.run(['logits'], {'image': image.numpy()})
    maps = {}
    for prefix in ('ema_model.', 'auto'):
        model = init_segmentor(str(run_dir / 'run.json'), str(run_dir / 'latest.pth'), 'cpu', prefix)
        with torch.inference_mode():
            maps[prefix] = model.encode_decode(image).argmax(1).numpy()
    assert (logits.argmax(1) == maps['ema_model.']).mean() > 0.999
    assert (logits.argmax(1) != maps['auto']).any()
    assert 'exists' in call(tmp_path / 'net.onnx', code=1)


@pytest.mark.filterwarnings('ignore')
def test_a_network_of_windows_is_exported(run_dir):
    """HRDA's, whose windows of details and their mean are in the graph."""
    model = Config.fromfile(str(run_dir / 'run.json')).model
    head = dict(model.decode_head, type='HRDAHead', single_scale_head='DAFormerHead', attention_embed_dim=8)
    torch.manual_seed(0)
    network = export_onnx.Logits(build_segmentor(dict(
        model, type='HRDAEncoderDecoder', pretrained=None, decode_head=head, hr_crop_size=(32, 32),
        hr_slide_overlapping=False))).eval()
    images = torch.randn(2, 1, 3, 64, 64)
    exported = export_onnx.export(network, images[0], 18)
    difference, pixels = export_onnx.largest_difference(exported, network, images[1])
    assert difference < 1e-5 and pixels == 0


def test_an_export_that_differs_is_not_written(call, tmp_path, monkeypatch):
    def other_network(network, image, opset):
        import onnx
        from onnx import TensorProto, helper
        shape = [1, 3, 64, 96]
        graph = helper.make_graph(
            [helper.make_node('Identity', ['image'], ['logits'])], 'other',
            [helper.make_tensor_value_info('image', TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info('logits', TensorProto.FLOAT, shape)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
        onnx.checker.check_model(model)
        return model.SerializeToString()

    monkeypatch.setattr(export_onnx, 'export', other_network)
    monkeypatch.setattr(export_onnx.Logits, 'forward', lambda self, image: image * 1.01)
    message = call(tmp_path / 'net.onnx', code=1)
    assert 'other logits' in message and ' 0 pixels' in message and not list(tmp_path.iterdir())
    monkeypatch.setattr(export_onnx.Logits, 'forward', lambda self, image: image.flip(1))
    assert ' 0 pixels' not in call(tmp_path / 'net.onnx', code=1)


def test_classes_as_close_as_rounding_do_not_count():
    class Constant(torch.nn.Module):
        def forward(self, image):
            return image

    image = torch.zeros(1, 3, 2, 2)
    image[0, 0] = 1.0
    image[0, 1, 0, 0] = 1.0 - 1e-6  # a tie up to rounding
    swapped = image[:, [1, 0, 2]].numpy()

    class Session:
        def run(self, names, inputs):
            logits = inputs['image'].copy()
            logits[0, :, 0, 0] = swapped[0, :, 0, 0]
            return [logits]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, 'InferenceSession', lambda *args, **kwargs: Session())
        difference, pixels = export_onnx.largest_difference(b'', Constant(), image)
    assert pixels == 0 and 0 < difference < 1e-5
    assert np.argmax(swapped[0, :, 0, 0]) == 1


@pytest.mark.parametrize('args, message', [
    (['net.pth'], 'must end in .onnx'), (['net.onnx', '--size', '512'], 'WIDTHxHEIGHT'),
    (['net.onnx', '--size', '0x5'], 'WIDTHxHEIGHT')])
def test_mistakes_end_in_one_line(call, args, message):
    assert message in call(*args, code=1)


@pytest.mark.parametrize('package', ['onnx', 'onnxscript', 'onnxruntime'])
def test_a_missing_package_is_named(call, tmp_path, monkeypatch, package):
    import sys
    monkeypatch.setitem(sys.modules, package, None)
    if package == 'onnxruntime':
        monkeypatch.setattr(export_onnx, 'export', lambda *args: b'')
    assert f'needs the package {package}' in call(tmp_path / 'net.onnx', code=1)
