"""Weights of Mix Transformers as Hugging Face's ``transformers`` keeps them, under the names used here.

``nvidia/mit-bN`` on the hub holds the weights of the authors' ``mit_bN.pth``; there keys and values are two
linear layers, here (and in the authors' files) they are one. timm has no Mix Transformer.
"""
from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# Layers of a block: the names in files of transformers 4 and of the hub, and those of transformers 5.
BLOCK_LAYERS = {
    'layer_norm_1': 'norm1', 'layernorm_before': 'norm1', 'layer_norm_2': 'norm2', 'layernorm_after': 'norm2',
    'attention.self.query': 'attn.q', 'attention.q_proj': 'attn.q',
    'attention.self.key': 'attn.k', 'attention.k_proj': 'attn.k',
    'attention.self.value': 'attn.v', 'attention.v_proj': 'attn.v',
    'attention.output.dense': 'attn.proj', 'attention.o_proj': 'attn.proj',
    'attention.self.sr': 'attn.sr', 'attention.sequence_reduction.sequence_reduction': 'attn.sr',
    'attention.self.layer_norm': 'attn.norm', 'attention.sequence_reduction.layer_norm': 'attn.norm',
    'mlp.dense1': 'mlp.fc1', 'mlp.fc1': 'mlp.fc1', 'mlp.dense2': 'mlp.fc2', 'mlp.fc2': 'mlp.fc2',
    'mlp.dwconv.dwconv': 'mlp.dwconv.dwconv'}
# transformers 5 has no 'encoder.'
PREFIX = re.compile(r'^(?:segformer\.)?(?:encoder\.|(?=stages\.))')


def convert_hf_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries of a SegFormer file of ``transformers`` that belong to the encoder, as those of
    ``MixVisionTransformer``; a file of any other origin comes back as it is.

    An entry of the encoder that is not known keeps its name, so that loading reports it.
    """
    if not any(PREFIX.match(name) and 'patch_embeddings' in name for name in state):
        return dict(state)
    named = {_own_name(PREFIX.sub('', name)): weight for name, weight in state.items() if PREFIX.match(name)}
    for name in [n for n in named if '.attn.k.' in n]:
        value = name.replace('.attn.k.', '.attn.v.')
        if value in named:
            named[name.replace('.attn.k.', '.attn.kv.')] = torch.cat([named.pop(name), named.pop(value)])
    return named


def _own_name(name: str) -> str:
    # transformers 5 says stages.1.blocks.0, the others block.1.0
    name = re.sub(r'^stages\.(\d)\.(\w+)', r'\2.\1', name)
    found = re.fullmatch(r'(patch_embeddings|blocks?|layer_norm)\.(\d)\.(?:(.+)\.)?(weight|bias)', name)
    if not found:
        return name
    part, stage, layer, kind = found[1], int(found[2]) + 1, found[3] or '', found[4]
    if part == 'layer_norm':
        return f'norm{stage}.{kind}'
    if part == 'patch_embeddings':
        return f'patch_embed{stage}.{layer.replace("layer_norm", "norm")}.{kind}'
    number, _, layer = layer.partition('.')
    return f'block{stage}.{number}.{BLOCK_LAYERS.get(layer, layer)}.{kind}'
