"""Export a network to ONNX and check that onnxruntime gives the same class map.

    python -m tools.export_onnx CONFIG CHECKPOINT streets.onnx --size 512x1024

The exported graph takes normalised images (1 3 H W), float32, and gives logits (1 C H W). It needs
pip install -e .[export].
"""
from __future__ import annotations

import argparse
import contextlib
import gc
import io
import sys
import tempfile
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.apis.inference import init_segmentor, input_bands
from mmseg.checkpoint.weights import TEACHER_PREFIX
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.arguments import parse_size
from mmseg.utils.config import load_config, parse_options
from mmseg.utils.files import write_bytes

OLDEST_OPSET = 18  # torch writes no older one
# Of the largest logit; float32 in another order of operations stays far below.
TOLERANCE = 1e-3


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('out', help='file to write, .onnx')
    parser.add_argument('--size', default='1024x512', metavar='WIDTHxHEIGHT',
                        help='of the images, in pixels, fixed in the graph (default: %(default)s)')
    parser.add_argument('--teacher', action='store_true',
                        help="the teacher of a UDA checkpoint in the student's place")
    parser.add_argument('--opset', type=int, default=18, help='of ONNX (default: %(default)s)')
    parser.add_argument('--options', '--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE',
                        dest='options',
                        help='change the config')
    args = parser.parse_args(argv)
    width, height = parse_size(args.size)
    args.size = height, width
    if not args.out.endswith('.onnx'):
        raise UserError(f"'{args.out}' must end in .onnx")
    if args.opset < OLDEST_OPSET:
        raise UserError(f'--opset {args.opset}: at least {OLDEST_OPSET}')
    if Path(args.out).exists():
        raise UserError(f"'{args.out}' exists: name another file")
    return args


class Logits(nn.Module):
    """What is exported of a segmentor: ``encode_decode``."""

    def __init__(self, segmentor: nn.Module):
        super().__init__()
        self.segmentor = segmentor

    def forward(self, image: Tensor) -> Tensor:
        return self.segmentor.encode_decode(image, None)


def export(network: nn.Module, image: Tensor, opset: int) -> bytes:
    """The ONNX file of a network for images of that shape.

    Raises:
        UserError: the exporter is not installed, or the network is too large for one file (2 GB).
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f'exporting needs the package {error.name}: pip install onnx onnxruntime '
                        'onnxscript') from error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'network.onnx'
        with contextlib.redirect_stdout(io.StringIO()):  # of its progress
            torch.onnx.export(network, (image,), str(path), input_names=['image'], output_names=['logits'],
                              opset_version=opset, dynamo=True, external_data=False, verbose=False)
        return path.read_bytes()


def largest_difference(exported: bytes, network: nn.Module, image: Tensor) -> tuple[float, int]:
    """How onnxruntime differs from PyTorch on an image (1 C H W).

    Returns:
        the largest difference of a logit, relative to the largest logit, and the number of pixels of
        another class, not counting those whose two best classes are as close as rounding.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError('checking needs the package onnxruntime: pip install onnxruntime') from error
    session = onnxruntime.InferenceSession(exported, providers=['CPUExecutionProvider'])
    [theirs] = session.run(None, {'image': image.numpy()})
    with torch.inference_mode():
        ours = network(image).numpy()
    scale = float(np.abs(ours).max())
    first, second = np.sort(ours, axis=1)[:, :-3:-1].swapaxes(0, 1)
    clear = first - second > 2 * TOLERANCE * scale
    differs = (ours.argmax(1) != theirs.argmax(1)) & clear
    return float(np.abs(ours - theirs).max()) / scale, int(differs.sum())


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args.config, parse_options(args.options))
    segmentor = init_segmentor(cfg, args.checkpoint, 'cpu', TEACHER_PREFIX if args.teacher else 'auto')
    network = Logits(segmentor).eval()
    image = torch.randn(1, input_bands(segmentor), *args.size, generator=torch.Generator().manual_seed(0))
    exported = export(network, image, args.opset)
    # on another image than the one of the export: nothing of that may be baked in
    difference, pixels = largest_difference(exported, network, image.flip(3))
    if difference > TOLERANCE or pixels:
        raise UserError(f'onnxruntime gives other logits (by {difference:.1e} of the largest; {pixels} '
                        'pixels of another class): nothing was written. Try another --opset')
    write_bytes(args.out, exported)
    print(f'{args.out}: {len(exported) / 1e6:.1f} MB, images {args.size[1]} wide and {args.size[0]} high -> '
          f'logits; '
          f'onnxruntime gives the same class map (logits within {difference:.0e} of the largest)')


if __name__ == '__main__':
    main()
