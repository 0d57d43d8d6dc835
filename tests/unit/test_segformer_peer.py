"""An independent peer of the Mix Transformer: the SegFormer encoder of ``transformers``."""
from __future__ import annotations

import re

import pytest
import torch
from golden import fill, image, relative_error

from mmseg.models.builder import build_backbone

transformers = pytest.importorskip('transformers')

# Names of transformers 5, and those of transformers 4 where they differ.
PARTS = {
    'layernorm_before': 'norm1', 'layernorm_after': 'norm2', 'attention.q_proj': 'attn.q',
    'attention.o_proj': 'attn.proj', 'attention.sequence_reduction.sequence_reduction': 'attn.sr',
    'attention.sequence_reduction.layer_norm': 'attn.norm', 'mlp.fc1': 'mlp.fc1', 'mlp.fc2': 'mlp.fc2',
    'mlp.dwconv.dwconv': 'mlp.dwconv.dwconv',
    'layer_norm_1': 'norm1', 'layer_norm_2': 'norm2', 'attention.self.query': 'attn.q',
    'attention.output.dense': 'attn.proj', 'attention.self.sr': 'attn.sr',
    'attention.self.layer_norm': 'attn.norm', 'mlp.dense1': 'mlp.fc1', 'mlp.dense2': 'mlp.fc2'}
KEYS = ('attention.k_proj', 'attention.self.key')
VALUES = ('attention.v_proj', 'attention.self.value')


def weight_of(name: str, ours: dict[str, torch.Tensor]) -> torch.Tensor:
    """The value of an entry of the peer in our network."""
    name = re.sub(r'^encoder\.(\w+)\.(\d)\.', r'stages.\2.\1.', name).replace('.block.', '.blocks.')
    _, stage, where, *part, kind = name.split('.')
    stage = int(stage) + 1
    if where == 'patch_embeddings':
        return ours[f'patch_embed{stage}.{part[0].replace("layer_norm", "norm")}.{kind}']
    if where == 'layer_norm':
        return ours[f'norm{stage}.{kind}']
    block, part = f'block{stage}.{part[0]}', '.'.join(part[1:])
    if part in KEYS + VALUES:  # one layer of ours
        return ours[f'{block}.attn.kv.{kind}'].chunk(2)[part in VALUES]
    return ours[f'{block}.{PARTS[part]}.{kind}']


# In float64, where the epsilons of the norms show and rounding does not.
@torch.inference_mode()
def test_stages_against_transformers():
    ours = fill(build_backbone(dict(type='mit_b0'))).double().eval()
    peer = transformers.SegformerModel(transformers.SegformerConfig()).double().eval()
    # the peer has one epsilon; the original has another in embeddings and behind the reduction
    for name, module in peer.named_modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-5 if 'patch_embeddings' in name or 'attention' in name else 1e-6
    weights = ours.state_dict()
    peer.load_state_dict({name: weight_of(name, weights) for name in peer.state_dict()})
    x = image(7, 1, 64, 96).double()
    expected = peer(x, output_hidden_states=True).hidden_states
    for i, stage in enumerate(ours(x)):
        assert stage.shape == expected[i].shape
        assert relative_error(stage, expected[i].numpy()) < 1e-10, f'stage {i}'
