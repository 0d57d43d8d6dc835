"""DeepLabV2-R101 of the compared methods: values of the authors' code, their checkpoints, what is trained."""
from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
import torch
from golden import DATA, _values, image, load
from mmcv import Config
from torch import Tensor, nn

from mmseg.apis import init_segmentor
from mmseg.checkpoint.deeplabv2 import own_segmentor_names
from mmseg.checkpoint.weights import load_segmentor_weights
from mmseg.models.builder import build_backbone, build_segmentor
from mmseg.utils import CheckpointError, ConfigError

GOLDEN = load('golden_deeplabv2.npz')
# measured from the authors' network with the same weights and image, in float64
DOUBLE = load('golden_deeplabv2_train_float64.npz')
NAMES = json.loads(gzip.decompress((DATA / 'deeplabv2_state_dicts.json.gz').read_bytes()))
NORM = {f'bn_pretrain.{name}': [2048] for name in ('weight', 'bias', 'running_mean', 'running_var')}
NAMES['proda_bn_clr'] = {**NAMES['proda'], **NORM, 'bn_pretrain.num_batches_tracked': []}
# method: (config, the authors' names, all and trained parameters, scales and shifts of norms not trained)
METHODS = {
    'advent': ('advent', 'deeplabv2_multi', 44601560, 44496216, 208),
    'fda': ('', 'deeplabv2_single', 43901068, 43795724, 208),
    'dacs': ('dacs', 'deeplabv2_single', 43901068, 43795724, 208),
    'dannet': ('dannet', 'deeplabv2_multi', 44601560, 44496344, 206),
    'proda': ('proda', 'proda', 65063568, 65063568, 0),
    'proda_bn_clr': ('proda_bn', 'proda_bn_clr', 65067664, 65067664, 0)}
every_method = pytest.mark.parametrize('method', METHODS)
TINY = dict(type='DeepLabResNet', depth=50, base_channels=4, stem_channels=4)
SIZES = {(512, 1024): (65, 129), (720, 1280): (91, 161), (512, 512): (65, 65), (540, 960): (68, 121),
         (1080, 1920): (136, 241), (576, 1344): (73, 169), (64, 96): (9, 13), (72, 104): (10, 14),
         (65, 97): (9, 13)}


def config_of(method: str, root) -> dict:
    name = '_'.join(filter(None, ('deeplabv2_r101', METHODS[method][0])))
    return {**Config.fromfile(str(root / f'configs/_base_/models/{name}.py')).model, 'pretrained': None}


def on_conv4(cfg: dict) -> dict:
    """With the auxiliary classifier that DANNet computes and does not use."""
    return {**cfg, 'auxiliary_head': {**cfg['decode_head'], 'in_channels': 1024, 'in_index': 2}}


@pytest.fixture(scope='module')
def authors_weights():
    """Method → its authors' state dict with the deterministic values; the encoder's are drawn once."""
    drawn: dict[tuple, Tensor] = {}

    def draw(name: str, shape: list[int]) -> Tensor:
        if name.endswith('num_batches_tracked'):
            return torch.tensor(0)
        key = (name, *shape)
        if key not in drawn:
            drawn[key] = torch.from_numpy(np.asarray(_values(name, tuple(shape)))).float()
        return drawn[key]

    return lambda method: {name: draw(name, shape) for name, shape in NAMES[METHODS[method][1]].items()}


@pytest.fixture
def network(request, method, authors_weights):
    cfg = config_of(method, request.config.rootpath)
    with torch.device('meta'):
        model = build_segmentor(on_conv4(cfg) if method == 'dannet' else cfg)
    model.to_empty(device='cpu')
    load_segmentor_weights(model, authors_weights(method))
    return model.eval()


def assert_golden(value: Tensor, key: str, tolerance: float = 1e-4) -> None:
    expected = GOLDEN[key]
    assert value.shape == expected.shape
    atol = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=atol, err_msg=key)


@every_method
@torch.inference_mode()
def test_values_of_the_authors_code(method, network):
    features = network.extract_feat(image(1, 1, 64, 96))
    assert_golden(network.decode_head(features), f'{method}/eval/main')
    if network.auxiliary_head is not None:
        assert_golden(network.auxiliary_head(features), f'{method}/eval/aux')
    if method.startswith('proda'):
        feature = network.decode_head.features(features)
        assert_golden(feature.flatten()[::29], f'{method}/eval/feat')
        assert torch.equal(network.decode_head.classify(feature), network.decode_head(features))
    if method == 'advent':
        # Norms over one image magnify rounding. In float64 nothing of it is left; in float32 the authors' own
        # network is 2.1e-4 from that, and ours up to 1.9e-4 from theirs.
        network.double().train()
        features = network.extract_feat(image(1, 1, 64, 96).double())
        main, aux = network.decode_head(features), network.auxiliary_head(features)
        np.testing.assert_allclose(main, DOUBLE['main'], rtol=1e-9, atol=1e-9 * np.abs(DOUBLE['main']).max())
        np.testing.assert_allclose(aux, DOUBLE['aux'], rtol=1e-9, atol=1e-9 * np.abs(DOUBLE['aux']).max())
        assert_golden(main, 'advent/train/main', 2.5e-4)
        assert_golden(aux, 'advent/train/aux')
        assert_golden(network.backbone.bn1.running_mean, 'advent/train/bn1.running_mean_after')


def test_every_golden_value_is_held():
    ours = {f'{method}/eval/{kind}' for method in METHODS for kind in ('main', 'aux', 'feat')}
    ours |= {f'advent/train/{kind}' for kind in ('main', 'aux', 'bn1.running_mean_after')}
    assert set(GOLDEN) <= ours


@every_method
def test_names_shapes_and_what_is_trained(method, request):
    """The authors' parameters, but for the classifiers that they compute and do not use."""
    cfg = config_of(method, request.config.rootpath)
    _, names, count, trained, kept = METHODS[method]
    with torch.device('meta'):
        model = build_segmentor(cfg)
        theirs = {name: torch.empty(shape) for name, shape in NAMES[names].items()}
    own = {name: value.shape for name, value in model.state_dict().items()}
    assert {name: value.shape for name, value in own_segmentor_names(theirs, own).items()} == own
    norms = {name for module_name, module in model.backbone.named_modules()
             for name in (f'{module_name}.weight', f'{module_name}.bias')
             if isinstance(module, nn.modules.batchnorm._BatchNorm)}
    fixed = {name for name, p in model.backbone.named_parameters() if not p.requires_grad}
    assert fixed == (norms if kept == 208 else norms - {'bn1.weight', 'bn1.bias'} if kept else set())
    assert len(fixed) == kept
    left_out = 0
    if method in ('dacs', 'dannet'):
        left_out = 2 * (19 * 9 * 2048 + 19)
    if method == 'dannet':
        left_out += 4 * (19 * 9 * 1024 + 19)
    parameters = list(model.parameters())
    assert sum(p.numel() for p in parameters) == count - left_out
    assert sum(p.numel() for p in parameters if p.requires_grad) == trained - left_out


def tiny_config(**changes) -> dict:
    head = dict(type='DLV2Head', in_channels=128, in_index=3, num_classes=5, align_corners=True)
    return {**dict(type='EncoderDecoder', backbone=TINY, decode_head=head), **changes}


def tiny_conv4(**changes) -> dict:
    return dict(type='DLV2Head', in_channels=64, in_index=2, num_classes=5, align_corners=True, **changes)


def as_the_authors(model: nn.Module) -> dict[str, Tensor]:
    """The weights under the authors' names."""
    layers = ('layer5', 'layer6') if model.auxiliary_head is not None else ('layer5', 'layer5')
    for_head = dict(zip(('auxiliary_head', 'decode_head'), layers))
    named = {}
    for name, value in model.state_dict().items():
        part, _, rest = name.partition('.')
        rest = rest.replace('aspp_modules', 'conv2d_list').replace('.conv.', '.')
        named[rest if part == 'backbone' else f'{for_head[part]}.{rest}'] = value
    return named


def predictions(model: nn.Module) -> Tensor:
    with torch.inference_mode():
        return model.eval().encode_decode(image(2, 1, 32, 48))


@pytest.mark.parametrize('wrap', [
    dict, lambda weights: {'state_dict': weights}, lambda weights: {'model': weights, 'iteration': 7},
    lambda weights: {f'module.{name}': value for name, value in weights.items()},
    lambda weights: {'ResNet101': {'model_state': weights}, 'iter': 7}],
    ids=['plain', 'state_dict', 'DACS', 'parallel', 'ProDA'])
def test_checkpoint_of_the_authors_is_a_start_for_inference(wrap, tmp_path):
    source = build_segmentor(tiny_config(auxiliary_head=tiny_conv4()))
    torch.save(wrap(as_the_authors(source)), tmp_path / 'theirs.pth')
    loaded = init_segmentor(Config(dict(model=tiny_config())), str(tmp_path / 'theirs.pth'), device='cpu')
    assert torch.allclose(predictions(loaded), predictions(source), atol=1e-6)


def test_two_of_four_classifiers_are_taken():
    source = build_segmentor(tiny_config())
    two = tiny_config()
    two['decode_head'] = dict(two['decode_head'], dilations=(6, 12))
    reduced = build_segmentor(two)
    load_segmentor_weights(reduced, as_the_authors(source))
    for branch, theirs in zip(reduced.decode_head.aspp_modules, source.decode_head.aspp_modules):
        assert torch.equal(branch.conv.weight, theirs.conv.weight)
    assert len(reduced.decode_head.aspp_modules) == 2


@pytest.mark.parametrize('change, word', [
    (lambda theirs: theirs.pop('layer3.1.conv2.weight'), '1 missing.*backbone.layer3.1.conv2.weight'),
    (lambda theirs: theirs.update({'layer5.conv2d_list.4.weight': torch.zeros(1)}), '1 unexpected'),
    (lambda theirs: theirs.update({'layer7.weight': torch.zeros(1)}), 'layer7.weight'),
    (lambda theirs: theirs.update({'layer5.conv2d_list.0.bias': torch.zeros(7)}), 'of another shape')])
def test_other_differences_are_told(change, word):
    model = build_segmentor(tiny_config())
    theirs = as_the_authors(model)
    change(theirs)
    with pytest.raises(CheckpointError, match=word):
        load_segmentor_weights(model, theirs)


def test_an_auxiliary_classifier_cannot_come_from_one_without():
    theirs = as_the_authors(build_segmentor(tiny_config()))
    with pytest.raises(CheckpointError, match='8 missing .first: auxiliary_head'):
        load_segmentor_weights(build_segmentor(tiny_config(auxiliary_head=tiny_conv4())), theirs)


@pytest.mark.parametrize('prefix', ['', 'Scale.'])
def test_encoder_starts_from_imagenet_weights(prefix, tmp_path):
    """Of torchvision (a classifier ``fc``) or of the authors (21 classes); ProDA's further norm is fresh."""
    theirs = {k: torch.rand_like(v) for k, v in build_backbone(TINY).state_dict().items()
              if not k.endswith('num_batches_tracked')}
    classifier = {'layer5.conv2d_list.0.weight' if prefix else 'fc.weight': torch.zeros(21, 3)}
    torch.save({prefix + k: v for k, v in {**theirs, **classifier}.items()}, tmp_path / 'start.pth')
    ours = build_backbone(dict(TINY, out_norm=True, pretrained=str(tmp_path / 'start.pth')))
    ours.init_weights()
    state = ours.state_dict()
    assert all(torch.equal(state[k], v) for k, v in theirs.items())
    assert torch.equal(state['bn_pretrain.weight'], torch.ones(128))


def test_size_of_the_features():
    with torch.device('meta'):
        net = build_backbone(TINY).eval()
        for size, expected in SIZES.items():
            assert net(torch.empty(1, 3, *size))[-1].shape == (1, 128, *expected)


def test_strides_and_dilations():
    net = build_backbone(TINY)
    first = {name: getattr(net, name)[0] for name in net.stage_names}
    assert [block.conv1.stride[0] for block in first.values()] == [1, 2, 1, 1]
    assert {block.conv2.stride[0] for block in first.values()} == {1}
    assert [[b.conv2.dilation[0] for b in getattr(net, name)] for name in net.stage_names] == [
        [1] * 3, [1] * 4, [2] * 6, [4] * 3]


@pytest.mark.parametrize('trained, scales', [('none', set()), ('stem', {'bn1.weight', 'bn1.bias'})])
def test_a_step_moves_statistics_and_no_scales(trained, scales):
    torch.manual_seed(0)
    model = build_segmentor(tiny_config(backbone=dict(TINY, trained_norms=trained),
                                        auxiliary_head=tiny_conv4())).train()
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), 0.1, weight_decay=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    label = torch.randint(0, 5, (2, 1, 32, 48))
    outputs = model.train_step(dict(img=image(3, 2, 32, 48), img_metas=[{}, {}], gt_semantic_seg=label))
    outputs['loss'].backward()
    optimizer.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    norms = {f'{name}.{kind}' for name, module in model.named_modules()
             if isinstance(module, nn.BatchNorm2d) for kind in ('weight', 'bias')}
    assert set(before) - moved == norms - {f'backbone.{name}' for name in scales}


def test_norms_of_proda_are_all_trained():
    net = build_backbone(dict(TINY, trained_norms='all', out_norm=True))
    assert all(p.requires_grad for p in net.parameters())
    features = net.train()(image(3, 2, 32, 48))
    assert torch.allclose(features[-1].mean((0, 2, 3)), torch.zeros(128), atol=1e-5)
    assert torch.allclose(features[-1].var((0, 2, 3), unbiased=False), torch.ones(128), atol=0.05)


@pytest.mark.parametrize('settings, word', [
    (dict(out_norm=True, out_indices=(0, 1, 2)), 'out_norm'), (dict(trained_norms='some'), 'trained_norms')])
def test_mistakes_of_the_encoder_name_the_key(settings, word):
    with pytest.raises(ConfigError, match=word):
        build_backbone(dict(TINY, **settings))
