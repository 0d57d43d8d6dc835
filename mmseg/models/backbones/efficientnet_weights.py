"""EfficientNet's weights under the names of timm, from ports that count blocks flat."""
from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

BLOCK = re.compile(r'_blocks\.(\d+)\.(\w+?)\.(.+)')
STEM_AND_HEAD = {'_conv_stem': 'conv_stem', '_bn0': 'bn1', '_conv_head': 'conv_head', '_bn1': 'bn2',
                 '_fc': 'classifier'}
LAYERS = {'_expand_conv': 'conv_pw', '_bn0': 'bn1', '_depthwise_conv': 'conv_dw', '_bn1': 'bn2',
          '_project_conv': 'conv_pwl', '_bn2': 'bn3'}
# a block without expansion begins with the depthwise convolution
LAYERS_WITHOUT_EXPANSION = {'_depthwise_conv': 'conv_dw', '_bn1': 'bn1', '_project_conv': 'conv_pw',
                            '_bn2': 'bn2'}


def from_lite_names(state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, Tensor]:
    """``state`` under timm's names; as it is if it has them already.

    Args:
        state: weights; `_blocks.7.…` is the eighth block from the input.
        model: of timm, whose ``blocks`` hold the blocks of each stage.
    """
    if not any(name.startswith('_blocks.') for name in state):
        return state
    places = [f'blocks.{s}.{b}' for s, stage in enumerate(model.blocks) for b in range(len(stage))]
    expanded = {match[1] for name in state if (match := BLOCK.fullmatch(name)) and match[2] == '_expand_conv'}
    return {_renamed(name, places, expanded): value for name, value in state.items()}


def _renamed(name: str, places: list[str], expanded: set[str]) -> str:
    match = BLOCK.fullmatch(name)
    if match is None:
        layer, _, rest = name.partition('.')
        return f'{STEM_AND_HEAD.get(layer, layer)}.{rest}'
    number, layer, rest = match.groups()
    layers = LAYERS if number in expanded else LAYERS_WITHOUT_EXPANSION
    if int(number) >= len(places) or layer not in layers:
        return name
    return f'{places[int(number)]}.{layers[layer]}.{rest}'
