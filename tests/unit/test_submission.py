"""Files for benchmark servers: what is written passes the check, and each fault is found."""
from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
import torch
from data_trees import LABEL_IDS, save
from PIL import Image

from mmseg.apis.submission import confident_predictions
from mmseg.datasets.submission import BENCHMARKS, check_submission, write_submission
from tools import check_submission as program

SIZE_HW = (8, 16)
NAMES = {'acdc': ['fog/test/GOPR1/GOPR1_frame_000001_rgb_anon.png',
                  'snow/test/GP2/GP2_frame_000002_rgb_anon.png'],
         'cityscapes': ['test/berlin/berlin_000000_000019_leftImg8bit.png'],
         'darkzurich': ['test/night/GP3/GP3_frame_000003_rgb_anon.png']}


@pytest.fixture
def images(tmp_path):
    for kind, names in NAMES.items():
        for name in names:
            save(tmp_path / kind / name, np.zeros((*SIZE_HW, 3), np.uint8))
    save(tmp_path / 'acdc/fog/train/GP/GP_frame_000009_rgb_anon.png', np.zeros((*SIZE_HW, 3), np.uint8))
    return tmp_path


def results(kind):
    ids = (np.arange(128, dtype=np.uint8).reshape(SIZE_HW) % 19)
    return [(name, ids, np.linspace(0, 1, 128).reshape(SIZE_HW)) for name in NAMES[kind]]


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, changed):
    """The zip with entries replaced, added, or (None) removed."""
    kept = {**entries(path), **changed}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in kept.items():
            if content is not None:
                archive.writestr(name, content)


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, 'PNG')
    return buffer.getvalue()


@pytest.mark.parametrize('kind', BENCHMARKS)
def test_what_is_written_is_accepted(kind, images, capsys):
    path = images / 'out.zip'
    assert write_submission(kind, str(path), results(kind)) == len(NAMES[kind])
    with pytest.raises(SystemExit) as end:
        program.main([kind, str(path), '--images', str(images / kind)])
    assert end.value.code == 0 and 'no fault found' in capsys.readouterr().out
    found = entries(path)
    name = NAMES[kind][0].split('/')[-1]
    ids, picture = results(kind)[0][1], {k: np.array(Image.open(io.BytesIO(v))) for k, v in found.items()}
    if kind == 'cityscapes':
        assert list(found) == [name]
        np.testing.assert_array_equal(picture[name], np.array(LABEL_IDS)[ids])
    else:
        np.testing.assert_array_equal(picture[f'labelTrainIds/{name}'], ids)
    if kind == 'darkzurich':
        assert {n.split('/')[0] for n in found} == {'labelTrainIds', 'confidence', 'labelTrainIds_invalid'}
        confidence = picture[f'confidence/{name}']
        assert (confidence.min(), confidence.max()) == (0, 65535)
        np.testing.assert_array_equal(confidence.ravel(), np.round(np.linspace(0, 1, 128) * 65535))


FIRST = 'labelTrainIds/GOPR1_frame_000001_rgb_anon.png'
GOOD = np.zeros(SIZE_HW, np.uint8)
FAULTS = {
    'missing': ({FIRST: None}, [f'{FIRST}: is missing']),
    'extra': ({'labelTrainIds/x.png': png(GOOD)}, ['labelTrainIds/x.png: does not belong there']),
    'size': ({FIRST: png(np.zeros((8, 15), np.uint8))}, [f'{FIRST}: is 15x8, its image 16x8']),
    'colour': ({FIRST: png(np.zeros((*SIZE_HW, 3), np.uint8))}, [f'{FIRST}: is a picture of mode RGB']),
    'label ids': ({FIRST: png(np.full(SIZE_HW, 26, np.uint8))},
                  [f'{FIRST}: holds [26], which are no train ids']),
    '255': ({FIRST: png(np.full(SIZE_HW, 255, np.uint8))}, [f'{FIRST}: holds 255 (ignored)']),
    'nested': ({FIRST: None, 'out/' + FIRST: png(GOOD)},
               [f'out/{FIRST}: lies in the wrong folder, expected {FIRST}', f'{FIRST}: is missing']),
    'truncated': ({FIRST: png(GOOD)[:-10]}, [f'{FIRST}: is no whole PNG file']),
    'cut early': ({FIRST: png(GOOD)[:40]}, [f'{FIRST}: is no whole PNG file']),
    'jpeg': ({FIRST: b'\xff\xd8\xff\xe0'}, [f'{FIRST}: is no whole PNG file']),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_each_fault_is_found_and_named(fault, images, capsys):
    path = images / 'out.zip'
    write_submission('acdc', str(path), results('acdc'))
    changed, expected = FAULTS[fault]
    rewrite(path, changed)
    faults = check_submission('acdc', str(path), str(images / 'acdc'), progress=False)
    assert len(faults) == len(expected)
    assert all(found.startswith(words) for found, words in zip(faults, expected)), faults
    with pytest.raises(SystemExit) as end:
        program.main(['acdc', str(path), '--images', str(images / 'acdc')])
    assert end.value.code == 1 and expected[0] in capsys.readouterr().out


def test_train_ids_are_refused_where_label_ids_are_wanted(images):
    path = images / 'out.zip'
    write_submission('cityscapes', str(path), results('cityscapes'))
    name = NAMES['cityscapes'][0].split('/')[-1]
    rewrite(path, {name: png(np.full(SIZE_HW, 2, np.uint8))})
    [fault] = check_submission('cityscapes', str(path), str(images / 'cityscapes'), progress=False)
    assert fault == f'{name}: holds [2], which are no label ids: are these train ids?'


def test_confidence_has_sixteen_bits_and_only_the_invalid_map_may_hold_255(images):
    path, name = images / 'out.zip', NAMES['darkzurich'][0].split('/')[-1]
    write_submission('darkzurich', str(path), results('darkzurich'))
    ignored = png(np.full(SIZE_HW, 255, np.uint8))
    rewrite(path, {f'labelTrainIds_invalid/{name}': ignored, f'confidence/{name}': png(GOOD)})
    [fault] = check_submission('darkzurich', str(path), str(images / 'darkzurich'), progress=False)
    assert fault.startswith(f'confidence/{name}: is a picture of mode L, expected one channel of 16 bits')


def test_official_images_have_to_be_complete(images):
    size = struct.pack('>II', 1920, 1080)
    for path in (images / 'acdc').rglob('*.png'):
        content = path.read_bytes()
        path.write_bytes(content[:16] + size + content[24:])
    write_submission('acdc', str(images / 'out.zip'), [])
    faults = check_submission('acdc', str(images / 'out.zip'), str(images / 'acdc'), progress=False)
    assert '2 test images, the benchmark has 2000' in faults[0]


def test_bad_arguments_end_in_one_line(images, capsys):
    (images / 'no.zip').write_bytes(b'PK')
    for path, folder, words in (('no.zip', 'acdc', 'no readable zip'), ('none.zip', 'acdc', 'does not exist'),
                                ('no.zip', 'nowhere', 'does not exist'),
                                ('no.zip', 'cityscapes', 'no test image')):
        with pytest.raises(SystemExit) as end:
            program.main(['acdc', str(images / path), '--images', str(images / folder)])
        err = capsys.readouterr().err
        assert end.value.code == 1 and err.startswith('error: ') and words in err


def test_confidence_is_the_mean_probability_of_the_chosen_class():
    probabilities = [torch.tensor([0.9, 0.1]), torch.tensor([0.2, 0.8])]

    class Model:
        def inference(self, img, metas, rescale):
            return probabilities[int(img)].view(1, 2, 1, 1).expand(1, 2, 2, 3)

    class Loader:
        batch_sampler = [[5]]

        def __iter__(self):
            return iter([dict(img=[torch.tensor(0), torch.tensor(1)], img_metas=[[{}], [{}]])])

        def __len__(self):
            return 1

    [(index, ids, confidence)] = confident_predictions(Model(), Loader(), 'cpu')
    assert index == 5 and ids.dtype == np.uint8 and not ids.any() and ids.shape == (2, 3)
    np.testing.assert_allclose(confidence, 0.55)
