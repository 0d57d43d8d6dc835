"""Weights of DeepLabV2 as the authors of ADVENT, BDL, FDA, DACS, DANNet and ProDA keep them, under the names
used here.

Their networks are flat: the encoder's layers 1 to 4 are followed by the classifier(s) ``layer5`` and
``layer6``. Of two, ``layer5`` is the auxiliary one, on the features of layer 3.
"""
from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

ENCODER = ('conv1.', 'bn1.', 'layer1.', 'layer2.', 'layer3.', 'layer4.', 'bn_pretrain.')
DECODE, AUXILIARY = 'decode_head.', 'auxiliary_head.'
BRANCH = re.compile(r'conv2d_list\.(\d+)\.(weight|bias)')
UNSUMMED = re.compile(r'(\w+\.aspp_modules)\.[23]\.conv\.(?:weight|bias)')
CAFFE = 'Scale.'  # the authors' ImageNet weights were converted from Caffe


def own_encoder_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries of the authors' ImageNet weights as those of ``DeepLabResNet``; others keep their names."""
    return {name.removeprefix(CAFFE): weight for name, weight in state.items()}


def own_segmentor_names(state: Mapping[str, Tensor], own: Collection[str]) -> dict[str, Tensor]:
    """The entries of an authors' network as those of an ``EncoderDecoder``; a file of any other origin comes
    back as it is.

    What the authors compute and never use is left out where the network does not have it: the auxiliary
    classifier at test (and DANNet's always), and the third and fourth convolution of the classifiers of DACS
    and DANNet, which sum two of four. Any other difference is left for loading to report.

    Args:
        own: names of the network's entries.
    """
    if 'conv1.weight' not in state or not any(name.startswith('layer5.') for name in state):
        return dict(state)
    two = any(name.startswith('layer6.') for name in state)
    heads = {'layer5.': AUXILIARY, 'layer6.': DECODE} if two else {'layer5.': DECODE}
    named = {_own_name(name, heads): weight for name, weight in state.items()}
    return {name: weight for name, weight in named.items() if name in own or not _unused(name, own)}


def _own_name(name: str, heads: Mapping[str, str]) -> str:
    if name.startswith(ENCODER):
        return f'backbone.{name}'
    head = heads.get(name[:len('layer5.')])
    if head is None:
        return name
    layer = name[len('layer5.'):].replace('head.1.', 'conv_seg.')
    return head + BRANCH.sub(r'aspp_modules.\1.conv.\2', layer)


def _unused(name: str, own: Collection[str]) -> bool:
    """Whether the authors do not need an entry that the network lacks."""
    if name.startswith(AUXILIARY) and not any(entry.startswith(AUXILIARY) for entry in own):
        return True
    found = UNSUMMED.fullmatch(name)
    return found is not None and [f'{found[1]}.{i}.conv.weight' in own for i in (1, 2)] == [True, False]
