"""Weights of Mix Transformers from the authors' files, from transformers, and from the hub."""
from __future__ import annotations

import sys

import pytest
import torch

from mmseg.checkpoint.pretrained import find_pretrained
from mmseg.models.builder import build_backbone
from mmseg.utils import UserError

transformers = pytest.importorskip('transformers')

SIZES = dict(hidden_sizes=[8, 16, 24, 32], depths=[1, 2, 1, 1])
# What files of the hub say for the names that transformers 5 has in memory.
HUB_NAMES = {
    'layernorm_before': 'layer_norm_1', 'layernorm_after': 'layer_norm_2', 'q_proj': 'self.query',
    'k_proj': 'self.key', 'v_proj': 'self.value', 'o_proj': 'output.dense',
    'sequence_reduction.sequence_reduction': 'self.sr', 'sequence_reduction.layer_norm': 'self.layer_norm',
    'mlp.fc1': 'mlp.dense1', 'mlp.fc2': 'mlp.dense2'}


def peer_network() -> torch.nn.Module:
    """An ImageNet classifier of transformers with random weights, norms included."""
    torch.manual_seed(0)
    config = transformers.SegformerConfig(num_attention_heads=[1, 2, 3, 4], num_labels=10, **SIZES)
    peer = transformers.SegformerForImageClassification(config).eval()
    for name, module in peer.named_modules():
        if isinstance(module, torch.nn.LayerNorm):
            torch.nn.init.normal_(module.weight, 1, 0.1)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            # the authors' epsilons: the peer uses PyTorch's everywhere
            embedding = 'patch_embeddings' in name or 'sequence_reduction' in name or 'attention' in name
            module.eps = 1e-5 if embedding else 1e-6
    return peer


def hub_state(peer: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The peer's weights under the names that files of the hub have."""
    state = {}
    for name, weight in peer.state_dict().items():
        if '.stages.' in name:
            before, after = name.split('.stages.')
            stage, part, rest = after.split('.', 2)
            before, part = before.removesuffix('.encoder'), part.replace('blocks', 'block')
            name = f'{before}.encoder.{part}.{stage}.{rest}'
        for new, old in HUB_NAMES.items():
            name = name.replace(f'.{new}.', f'.{old}.')
        state[name] = weight
    assert 'segformer.encoder.block.1.1.attention.self.key.bias' in state and 'classifier.weight' in state
    return state


def own(path) -> torch.nn.Module:
    backbone = build_backbone(dict(
        type='MixVisionTransformer', embed_dims=SIZES['hidden_sizes'], depths=SIZES['depths'],
        num_heads=[1, 2, 3, 4], pretrained=str(path)))
    backbone.init_weights()
    return backbone.eval()


@torch.inference_mode()
def assert_same_features(ours: torch.nn.Module, peer: torch.nn.Module) -> None:
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    expected = peer.segformer(image, output_hidden_states=True).hidden_states
    for stage, theirs in zip(ours(image), expected, strict=True):
        torch.testing.assert_close(stage, theirs, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope='module')
def peer():
    return peer_network()


@pytest.mark.parametrize('name', ['model.safetensors', 'pytorch_model.bin', 'mit_b9.pth'])
def test_a_file_of_the_hub_gives_the_peers_features(peer, tmp_path, name):
    if name.endswith('.safetensors'):
        from safetensors.torch import save_file
        save_file({k: v.contiguous() for k, v in hub_state(peer).items()}, tmp_path / name)
    else:
        torch.save(hub_state(peer), tmp_path / name)
    assert_same_features(own(tmp_path / name), peer)
    if name != 'mit_b9.pth':
        assert_same_features(own(tmp_path), peer)  # a clone of the repository


def test_a_folder_written_by_transformers_gives_the_peers_features(peer, tmp_path):
    peer.save_pretrained(tmp_path / 'classifier')
    peer.segformer.save_pretrained(tmp_path / 'encoder')
    assert_same_features(own(tmp_path / 'classifier'), peer)
    assert_same_features(own(tmp_path / 'encoder'), peer)


def test_names_in_memory_of_transformers_are_known(peer, tmp_path):
    torch.save(peer.state_dict(), tmp_path / 'memory.pth')
    assert_same_features(own(tmp_path / 'memory.pth'), peer)


def test_the_authors_file_has_a_classifier_that_is_left_out(peer, tmp_path):
    torch.save(hub_state(peer), tmp_path / 'hub.pth')
    weights = own(tmp_path / 'hub.pth').state_dict()
    classifier = {'head.weight': torch.ones(10, 32), 'head.bias': torch.ones(10)}
    torch.save({**weights, **classifier}, tmp_path / 'mit_b9.pth', _use_new_zipfile_serialization=False)
    assert_same_features(own(tmp_path / 'mit_b9.pth'), peer)


@pytest.mark.parametrize('change, message', [
    (lambda s: s.pop('segformer.encoder.block.0.0.attention.self.key.weight'),
     'missing .first: block1.0.attn.kv'),
    (lambda s: s.update({'segformer.encoder.block.0.0.gate.weight': torch.ones(1)}),
     'unexpected .first: block1.0.gate.weight'),
    (lambda s: s.update({'segformer.encoder.new.weight': torch.ones(1)}), 'unexpected .first: new.weight'),
    (lambda s: s.pop('segformer.encoder.layer_norm.3.bias'), 'missing .first: norm4.bias')])
def test_a_file_that_does_not_fit_is_refused(peer, tmp_path, change, message):
    state = hub_state(peer)
    change(state)
    torch.save(state, tmp_path / 'other.pth')
    with pytest.raises(UserError, match=message):
        own(tmp_path / 'other.pth')


def test_the_hub_is_asked_for_either_file(monkeypatch, tmp_path):
    hub = pytest.importorskip('huggingface_hub')
    from huggingface_hub.errors import EntryNotFoundError
    asked = []

    def stand_in(repository, name):
        asked.append((repository, name))
        if name == 'model.safetensors':
            raise type('NotThere', (EntryNotFoundError,), {'__init__': lambda self: None})()
        return str(tmp_path / name)

    monkeypatch.setattr(hub, 'hf_hub_download', stand_in)
    assert find_pretrained('nvidia/mit-b5') == str(tmp_path / 'pytorch_model.bin')
    assert asked == [('nvidia/mit-b5', 'model.safetensors'), ('nvidia/mit-b5', 'pytorch_model.bin')]


def test_a_hub_out_of_reach_is_told_with_what_to_do(monkeypatch, tmp_path):
    hub = pytest.importorskip('huggingface_hub')

    def unreachable(*args):
        raise ConnectionError('no network')

    monkeypatch.setattr(hub, 'hf_hub_download', unreachable)
    with pytest.raises(UserError, match='no network.*https://huggingface.co/nvidia/mit-b5 and give its path'):
        find_pretrained('nvidia/mit-b5')
    monkeypatch.undo()
    from huggingface_hub import constants
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(UserError, match='cannot be had from the hub'):
        find_pretrained('nvidia/mit-b5')


def test_without_huggingface_hub_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(UserError, match='pip install huggingface_hub, or download pytorch_model.bin'):
        find_pretrained('nvidia/mit-b5')


def test_other_names_are_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for path in ('nvidia/other', 'pretrained/mit_b5.pth'):
        with pytest.raises(UserError, match=f"'{path}' do not exist"):
            find_pretrained(path)
    (tmp_path / 'nvidia' / 'mit-b5').mkdir(parents=True)
    with pytest.raises(UserError, match='holds neither model.safetensors nor'):
        find_pretrained('nvidia/mit-b5')
