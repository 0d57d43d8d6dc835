"""tools/publish_model.py: what is given away is the network alone, and works like the run's."""
from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from mmcv import Config
from tiny_run import NAMES, Student, config, make_run

from mmseg.apis.inference import inference_segmentor, init_segmentor
from mmseg.checkpoint.weights import load_file, save_checkpoint
from mmseg.core.evaluation import get_classes
from tools import publish_model


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
    folder = make_run(tmp_path_factory.mktemp('publish'))
    cfg = Config.fromfile(str(folder / 'run.json'))
    model = Student(cfg)
    meta = dict(CLASSES=get_classes('cityscapes'), PALETTE=np.arange(57).reshape(19, 3), iter=40,
                config=cfg.pretty_text, env_info='host of somebody', time=np.float64(1.5),
                hook_msgs={'best_ckpt': '/home/somebody/best.pth'})
    save_checkpoint(str(folder / 'latest.pth'), model, torch.optim.SGD(model.parameters(), 0.1), meta)
    return folder


@pytest.fixture
def publish(run_dir, capsys):
    def call(out, *args, code=0, checkpoint=run_dir / 'latest.pth'):
        with pytest.raises(SystemExit) as ended:
            publish_model.main([str(checkpoint), str(out), *args])
        text = capsys.readouterr()
        assert ended.value.code == code, text.err
        return text.out if code == 0 else text.err
    return call


def published(folder, suffix):
    [path] = folder.glob(f'net-*{suffix}')
    return path


def segment(run_dir, checkpoint, prefix='auto'):
    model = init_segmentor(str(run_dir / 'run.json'), str(checkpoint), 'cpu', prefix)
    image = run_dir.parent / f'data/leftImg8bit/val/{NAMES[0]}_leftImg8bit.png'
    return inference_segmentor(model, str(image))[0], model


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('teacher', [False, True])
def test_the_published_network_predicts_as_in_its_run(publish, run_dir, tmp_path, suffix, teacher):
    publish(tmp_path / f'net{suffix}', *(['--teacher'] if teacher else []))
    seg, model = segment(run_dir, published(tmp_path, suffix))
    expected, _ = segment(run_dir, run_dir / 'latest.pth', 'ema_model.' if teacher else 'auto')
    np.testing.assert_array_equal(seg, expected)
    assert list(model.CLASSES) == get_classes('cityscapes') and model.PALETTE[1] == [3, 4, 5]


def test_nothing_but_the_network_is_given_away(publish, run_dir, tmp_path):
    publish(tmp_path / 'net.pth')
    checkpoint = torch.load(published(tmp_path, '.pth'), weights_only=True)  # plain types alone
    assert set(checkpoint) == {'meta', 'state_dict'}
    assert not any(k.startswith(('model.', 'ema_model.')) for k in checkpoint['state_dict'])
    everything = repr(checkpoint['meta']) + (published(tmp_path, '.md').read_text())
    assert 'somebody' not in everything and checkpoint['meta']['network'] == 'student'
    # that of a student and its twin is about half the size
    assert published(tmp_path, '.pth').stat().st_size < 0.6 * (run_dir / 'latest.pth').stat().st_size


def test_name_and_card_hold_the_files_hash(publish, tmp_path):
    publish(tmp_path / 'net.pth')
    path = published(tmp_path, '.pth')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f'net-{digest[:8]}.pth'
    card = path.with_suffix('.md').read_text()
    learned = sum(p.numel() for p in Student(config(tmp_path)).model.parameters())
    for text in (digest, f'| parameters | {learned:,} |', '40 iterations', "type='EncoderDecoder'",
                 '19: road, sidewalk'):
        assert text in card


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_half_precision_halves_the_file_and_loads_into_float32(publish, run_dir, tmp_path, suffix):
    publish(tmp_path / f'net{suffix}')
    publish(tmp_path / f'half/net{suffix}', '--half')
    whole, half = published(tmp_path, suffix), published(tmp_path / 'half', suffix)
    state = load_file(str(half))['state_dict']
    saved = 2 * sum(v.numel() for v in state.values() if v.dtype is torch.float16)
    # beside the values a file has its names, and the zip of a .pth a padding for each tensor
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(saved, abs=64 * len(state)) != 0
    assert {v.dtype for v in state.values() if v.ndim > 1} == {torch.float16}
    assert {v.dtype for v in state.values() if v.ndim == 1} == {torch.float32}
    (seg, model), (expected, other) = segment(run_dir, half), segment(run_dir, whole)
    for (name, ours), theirs in zip(model.named_parameters(), other.parameters()):
        assert ours.dtype is torch.float32
        torch.testing.assert_close(ours, theirs, rtol=2 ** -11, atol=2 ** -24, msg=name)
    assert (seg == expected).mean() > 0.98


def test_a_weight_too_large_for_half_precision_is_named(publish, tmp_path):
    torch.save({'state_dict': {'big.weight': torch.full((2, 2), 7e4)}}, tmp_path / 'big.pth')
    message = publish(tmp_path / 'net.pth', '--half', code=1, checkpoint=tmp_path / 'big.pth')
    assert 'big.weight' in message and '70000' in message


def test_weights_sharing_memory_are_written_to_safetensors(publish, tmp_path):
    shared = torch.arange(12.0).view(3, 4)
    torch.save({'module.a': shared, 'module.b': shared.t(), 'module.c': shared}, tmp_path / 'shared.pth')
    publish(tmp_path / 'net.safetensors', checkpoint=tmp_path / 'shared.pth')
    state = load_file(str(published(tmp_path, '.safetensors')))['state_dict']
    assert torch.equal(state['a'], shared) and torch.equal(state['c'], shared)
    assert torch.equal(state['b'], shared.t())


def test_files_that_are_there_stay_as_they_are(publish, tmp_path):
    publish(tmp_path / 'net.pth')
    path = published(tmp_path, '.pth')
    card = path.with_suffix('.md')
    card.write_text('with what I added')
    assert 'stays as it is' in publish(tmp_path / 'net.pth')
    assert card.read_text() == 'with what I added'
    path.write_bytes(b'mine')
    assert 'is another file' in publish(tmp_path / 'net.pth', code=1)
    assert path.read_bytes() == b'mine'
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, card.name])


def test_mistakes_end_in_one_line(publish, run_dir, tmp_path):
    assert 'must end in .pth or .safetensors' in publish(tmp_path / 'net.zip', code=1)
    assert 'does not exist' in publish(tmp_path / 'n.pth', code=1, checkpoint=tmp_path / 'none.pth')
    publish(tmp_path / 'net.pth')
    message = publish(tmp_path / 'again.pth', '--teacher', code=1, checkpoint=published(tmp_path, '.pth'))
    assert 'holds a single network' in message and 'Traceback' not in message
    (tmp_path / 'file').write_text('')
    assert 'cannot write' in publish(tmp_path / 'file' / 'net.pth', code=1)


def test_a_header_of_another_program_is_no_obstacle(tmp_path):
    from safetensors.torch import save_file
    for number, header in enumerate([None, {'format': 'pt'}, {'meta': 'not json'}, {'meta': '[1]'}]):
        path = str(tmp_path / f'{number}.safetensors')
        save_file({'a': torch.ones(1)}, path, metadata=header)
        assert load_file(path)['meta'] == {}
    save_file({'a': torch.ones(1)}, path, metadata={'meta': json.dumps({'iter': 3})})
    assert load_file(path)['meta'] == {'iter': 3}
