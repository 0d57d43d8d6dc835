"""ImageNet weights that a Python package carries, and classifiers of timm's families beside the encoder."""
from __future__ import annotations

import re

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw

from mmseg.checkpoint.packages import PACKAGES, package_file
from mmseg.models.backbones.efficientnet_weights import from_lite_names
from mmseg.models.builder import build_backbone
from mmseg.utils import UserError

LITE = 'package:efficientnet_lite0'
# one of each family whose classifier timm names in its own way
FAMILIES = [
    'efficientnet_b0', 'mobilenetv2_050', 'mobilenetv3_small_050', 'mobilenetv4_conv_small_035', 'fastvit_t8',
    'hrnet_w18_small', 'ghostnet_050', 'xcit_nano_12_p16_224', 'resnet18', 'regnetx_002', 'densenet121',
]


def drawn_photograph() -> torch.Tensor:
    """A drawn scene as the network takes it: (1 3 224 224), −1 … 1."""
    image = Image.new('RGB', (224, 224), (110, 150, 210))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 140, 224, 224), fill=(70, 90, 50))
    draw.ellipse((60, 60, 160, 180), fill=(200, 120, 40), outline=(20, 20, 20), width=6)
    pixels = np.asarray(image, np.float32)
    return torch.from_numpy((pixels - 127.5) / 127.5).permute(2, 0, 1)[None]


def in_timms_order(state: dict) -> dict:
    """The file's values, in its order, under timm's names: both count layers from the input."""
    names = list(timm.create_model('tf_efficientnet_lite0').state_dict())
    assert len(names) == len(state)
    return dict(zip(names, state.values()))


def test_renamed_weights_give_the_logits_of_the_files_own_order():
    state = torch.load(package_file(LITE), weights_only=True)
    peer, renamed = (timm.create_model('tf_efficientnet_lite0').eval() for _ in range(2))
    peer.load_state_dict(in_timms_order(state))
    renamed.load_state_dict(from_lite_names(state, renamed))
    image = drawn_photograph()
    with torch.inference_mode():
        logits = renamed(image)
        assert torch.equal(logits, peer(image))
    # a network that knows photographs is far from undecided: 1/1000 for each class is ln 1000 = 6.9 nats
    assert torch.distributions.Categorical(logits=logits).entropy() < 5.5


def test_the_encoder_starts_from_the_package():
    net = build_backbone(dict(type='TIMMBackbone', model_name='tf_efficientnet_lite0',
                              out_indices=(1, 2, 3, 4), pretrained=LITE)).eval()
    net.init_weights()
    whole = timm.create_model('tf_efficientnet_lite0').eval()
    whole.load_state_dict(in_timms_order(torch.load(package_file(LITE), weights_only=True)))
    image = drawn_photograph()
    with torch.inference_mode():
        features = net(image)
        x = whole.blocks[0](whole.bn1(whole.conv_stem(image)))
        assert torch.equal(features[0], whole.blocks[1](x))
    assert [tuple(f.shape[1:]) for f in features] == [(24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 7, 7)]


def test_a_missing_package_is_told_with_its_name(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(UserError, match=re.escape(f'pip install {PACKAGES["efficientnet_lite0"]}')):
        package_file(LITE)


def test_an_unknown_package_is_told_with_its_nearest():
    with pytest.raises(UserError, match="did you mean 'efficientnet_lite0'"):
        package_file('package:efficientnet_lte0')


@pytest.mark.parametrize('name', FAMILIES)
def test_an_ordinary_checkpoint_of_timm_loads_beside_its_classifier(name, tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model(name, num_classes=3)
    torch.save(whole.state_dict(), tmp_path / 'model.pth')
    net = build_backbone(dict(type='TIMMBackbone', model_name=name, pretrained=str(tmp_path / 'model.pth')))
    net.init_weights()
    values = {tuple(v.shape): v for v in whole.state_dict().values() if v.ndim == 4}
    loaded = [v for v in net.state_dict().values() if v.ndim == 4]
    assert any(torch.equal(v, values[tuple(v.shape)]) for v in loaded)
