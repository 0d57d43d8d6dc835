"""Files for benchmark servers: what is written passes the check, and each fault is found."""
from __future__ import annotations

import io
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from data_trees import LABEL_IDS, save
from PIL import Image

from mmseg.apis.submission import confident_predictions
from mmseg.datasets.submission import (
    BENCHMARKS,
    check_submission,
    submission_names,
    write_maps,
    zip_maps,
)
from mmseg.utils import UserError
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


def write_submission(kind, path, found, invalid_below=0.0):
    names = submission_names(name for name, _, _ in found)
    for name, (_, ids, confidence) in zip(names, found):
        write_maps(kind, f'{path}.parts', name, ids, confidence, invalid_below)
    zip_maps(kind, str(path), f'{path}.parts', names)
    shutil.rmtree(f'{path}.parts', ignore_errors=True)


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
    write_submission(kind, path, results(kind))
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


def maps_of(kind):
    """Paths of the first image's maps of ids in the zip, and what their ids are called."""
    name = NAMES[kind][0].split('/')[-1]
    folders = {'acdc': ['labelTrainIds/'], 'cityscapes': [''],
               'darkzurich': ['labelTrainIds/', 'labelTrainIds_invalid/']}[kind]
    return [folder + name for folder in folders], 'label ids' if kind == 'cityscapes' else 'train ids'


GOOD, WRONG_SIZE = np.zeros(SIZE_HW, np.uint8), np.zeros((8, 15), np.uint8)
COLOUR = np.zeros((*SIZE_HW, 3), np.uint8)
# fault: (path, kind of ids) -> (entries to change, (file, what is said of it) of each fault)
FAULTS = {
    'missing file': lambda path, ids: ({path: None}, [(path, 'is missing')]),
    'extra file': lambda path, ids: ({path + '.png': png(GOOD)}, [(path + '.png', 'does not belong there')]),
    'text file': lambda path, ids: ({'read.me': b'hello'}, [('read.me', 'does not belong there')]),
    'wrong size': lambda path, ids: ({path: png(WRONG_SIZE)}, [(path, 'is 15x8, its image 16x8')]),
    'colour': lambda path, ids: ({path: png(COLOUR)}, [(path, 'is a picture of mode RGB')]),
    '16 bit': lambda path, ids: ({path: png(GOOD.astype(np.uint16))}, [(path, 'is a picture of mode I;16')]),
    'other ids': lambda path, ids: (
        {path: png(np.full(SIZE_HW, 2 if ids == 'label ids' else 26, np.uint8))},
        [(path, f'holds [{2 if ids == "label ids" else 26}], which are no {ids}')]),
    'nested folder': lambda path, ids: (
        {path: None, 'out/' + path: png(GOOD)},
        [('out/' + path, 'lies in the wrong folder, expected '), (path, 'is missing')]),
    'truncated': lambda path, ids: ({path: png(GOOD)[:-10]}, [(path, 'is no whole PNG file')]),
    'cut early': lambda path, ids: ({path: png(GOOD)[:40]}, [(path, 'is no whole PNG file')]),
    'empty': lambda path, ids: ({path: b''}, [(path, 'is no whole PNG file')]),
    'jpeg': lambda path, ids: ({path: b'\xff\xd8\xff\xe0'}, [(path, 'is no whole PNG file')]),
    '255': lambda path, ids: (
        {path: png(np.full(SIZE_HW, 255, np.uint8))},
        [] if 'invalid' in path else [(path, 'holds 255 (ignored): every pixel needs a class')]),
}


@pytest.mark.parametrize('kind', BENCHMARKS)
@pytest.mark.parametrize('fault', FAULTS)
def test_each_fault_is_found_and_named(fault, kind, images, capsys):
    paths, ids = maps_of(kind)
    for path in paths:
        write_submission(kind, images / 'out.zip', results(kind))
        changed, expected = FAULTS[fault](path, ids)
        rewrite(images / 'out.zip', changed)
        with pytest.raises(SystemExit) as end:
            program.main([kind, str(images / 'out.zip'), '--images', str(images / kind)])
        lines = capsys.readouterr().out.splitlines()
        assert end.value.code == (1 if expected else 0)
        found = [line for line in lines if ': ' in line and 'no fault' not in line]
        assert len(found) == len(expected), found
        for line, (file, words) in zip(sorted(found), sorted(expected)):
            assert line.startswith(f'{file}: {words}')


def test_a_file_that_is_there_twice_is_found(images):
    path = images / 'out.zip'
    write_submission('acdc', path, results('acdc'))
    [first] = maps_of('acdc')[0]
    with zipfile.ZipFile(path, 'a') as archive, pytest.warns(UserWarning, match='Duplicate'):
        archive.writestr(first, png(GOOD))
    faults = check_submission('acdc', str(path), str(images / 'acdc'), progress=False)
    assert faults == [f'{first}: is there 2 times']


def test_two_images_of_one_name_are_refused():
    with pytest.raises(UserError, match='two images are called a.png'):
        submission_names(['one/a.png', 'two/a.png'])


def test_a_map_that_another_process_did_not_write_is_told(images):
    with pytest.raises(UserError, match=r'labelTrainIds/b.png is not in .* same disk'):
        zip_maps('acdc', str(images / 'out.zip'), str(images), ['b.png'])
    assert not (images / 'out.zip').exists()


@pytest.mark.parametrize('below', [0, 0.25, 1])
def test_pixels_of_little_confidence_are_invalid_on_request(below, images):
    path, name = images / 'out.zip', NAMES['darkzurich'][0].split('/')[-1]
    write_submission('darkzurich', path, results('darkzurich'), invalid_below=below)
    assert not check_submission('darkzurich', str(path), str(images / 'darkzurich'), progress=False)
    found = {k: np.array(Image.open(io.BytesIO(v))) for k, v in entries(path).items()}
    valid = found[f'confidence/{name}'] / 65535 >= below
    assert valid.sum() == {0: 128, 0.25: 96, 1: 1}[below]
    np.testing.assert_array_equal(found[f'labelTrainIds_invalid/{name}'],
                                  np.where(valid, found[f'labelTrainIds/{name}'], 255))


def test_confidence_has_sixteen_bits_and_only_the_invalid_map_may_hold_255(images):
    path, name = images / 'out.zip', NAMES['darkzurich'][0].split('/')[-1]
    write_submission('darkzurich', path, results('darkzurich'))
    ignored = png(np.full(SIZE_HW, 255, np.uint8))
    rewrite(path, {f'labelTrainIds_invalid/{name}': ignored, f'confidence/{name}': png(GOOD)})
    [fault] = check_submission('darkzurich', str(path), str(images / 'darkzurich'), progress=False)
    assert fault.startswith(f'confidence/{name}: is a picture of mode L, expected one channel of 16 bits')


def test_official_images_have_to_be_complete(images):
    size = struct.pack('>II', 1920, 1080)
    for path in (images / 'acdc').rglob('*.png'):
        content = path.read_bytes()
        head = content[12:16] + size + content[24:29]
        path.write_bytes(content[:12] + head + struct.pack('>I', zlib.crc32(head)) + content[33:])
    write_submission('acdc', images / 'out.zip', [])
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
