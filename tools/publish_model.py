"""Make a checkpoint ready to be given away: one network, its classes and config, and a model card.

    python -m tools.publish_model work_dirs/RUN/latest.pth published/streets.pth --half

writes published/streets-1a2b3c4d.pth and .md; the digits are the first of the file's sha256.
"""
from __future__ import annotations

import argparse
import gc
import hashlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.checkpoint.weights import (
    STUDENT_PREFIX,
    TEACHER_PREFIX,
    load_file,
    network_of,
    save_file,
    save_safetensors,
    state_dict_of,
)
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.files import write_bytes

SUFFIXES = ('.pth', '.safetensors')
# What of a training's meta data concerns others; its environment, times and scores' paths do not.
KEPT_META = ('exp_name', 'seed', 'iter', 'git_revision', 'mmseg_version', 'config')
HASH_DIGITS = 8


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('checkpoint', help='of a training, or plain weights')
    parser.add_argument('out', help="file to write, .pth or .safetensors; its hash is put into its name")
    parser.add_argument('--teacher', action='store_true',
                        help="the teacher of a UDA checkpoint in the student's place")
    parser.add_argument('--half', action='store_true',
                        help='matrices and kernels in half precision (vectors, such as the statistics of '
                             'norms, keep theirs)')
    args = parser.parse_args(argv)
    if Path(args.out).suffix not in SUFFIXES:
        raise UserError(f"'{args.out}' must end in {' or '.join(SUFFIXES)}")
    return args


def halved(name: str, weight: torch.Tensor) -> torch.Tensor:
    """float16 of a weight with two or more axes; vectors and counters as they are.

    Raises:
        UserError: a value above what half precision holds (65504).
    """
    if weight.ndim < 2 or not weight.is_floating_point():
        return weight
    half = weight.half()
    if not torch.isfinite(half).all():
        raise UserError(f"--half: '{name}' has values that half precision cannot hold, up to "
                        f'{weight.abs().max():g}: publish without it')
    return half


def published_weights(checkpoint: Mapping[str, Any], args: argparse.Namespace) -> dict[str, torch.Tensor]:
    """Copies of the wanted network's weights, none sharing memory with another."""
    weights = network_of(checkpoint, TEACHER_PREFIX if args.teacher else 'auto', args.checkpoint)
    if args.half:
        weights = {name: halved(name, weight) for name, weight in weights.items()}
    return {name: weight.detach().clone().contiguous() for name, weight in weights.items()}


def published_meta(meta: Mapping[str, Any], network: str) -> dict[str, Any]:
    """Classes, colours and origin in types of Python alone, so that any reader takes them."""
    kept = {'network': network}
    for key in KEPT_META:
        value = meta.get(key)
        if value is not None:
            kept[key] = value if isinstance(value, (int, str)) else str(value)
    if meta.get('CLASSES') is not None:
        kept['CLASSES'] = [str(name) for name in meta['CLASSES']]
    if meta.get('PALETTE') is not None:
        kept['PALETTE'] = [[int(part) for part in colour] for colour in meta['PALETTE']]
    return kept


def network_name(checkpoint: Mapping[str, Any], teacher: bool) -> str:
    if teacher:
        return 'teacher'
    is_uda = any(name.startswith(STUDENT_PREFIX) for name in state_dict_of(checkpoint))
    return 'student' if is_uda else 'network'


def write_hashed(weights: Mapping[str, torch.Tensor], meta: Mapping[str, Any], out: Path) -> Path:
    """Write the weights under a name with their hash, and never over another file.

    Returns:
        the path.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix='.publish') as folder:
            written = Path(folder) / f'weights{out.suffix}'
            if out.suffix == '.safetensors':
                save_safetensors(weights, meta, str(written))
            else:
                save_file({'meta': dict(meta), 'state_dict': dict(weights)}, str(written))
            digest = sha256_of(written)
            final = out.with_name(f'{out.stem}-{digest[:HASH_DIGITS]}{out.suffix}')
            if not final.exists():
                written.rename(final)
            elif sha256_of(final) != digest:
                raise UserError(f"'{final}' exists and is another file: move it away")
    except OSError as error:
        raise UserError(f"cannot write in '{out.parent}': {error.strerror or error}") from error
    return final


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def model_card(path: Path, weights: Mapping[str, torch.Tensor], meta: Mapping[str, Any],
               source: str) -> str:
    """Markdown: what the file is, how to use it, and the config it was trained with."""
    # running statistics and counters are no parameters
    learned = {k: v for k, v in weights.items()
               if not k.endswith(('running_mean', 'running_var', 'num_batches_tracked'))}
    dtypes = sorted({str(v.dtype).replace('torch.', '') for v in learned.values()})
    classes = meta.get('CLASSES') or []
    rows = {
        'file': f'`{path.name}`', 'sha256': f'`{sha256_of(path)}`',
        'size': f'{path.stat().st_size / 1e6:.1f} MB',
        'parameters': f'{sum(v.numel() for v in learned.values()):,}', 'precision': ', '.join(dtypes),
        'network': meta['network'], 'made from': f'`{Path(source).name}`', 'run': meta.get('exp_name'),
        'trained for': f"{meta['iter']} iterations" if 'iter' in meta else None,
        'code': meta.get('git_revision'),
        'classes': f"{len(classes)}: {', '.join(classes)}" if classes else None}
    table = '\n'.join(f'| {key} | {value} |' for key, value in rows.items() if value)
    config = meta.get('config')
    load = f"    from mmseg.apis import load\n    load('{path.name}').predict('street.png').classes\n\n"
    card = (f'# {path.stem}\n\n| | |\n| --- | --- |\n{table}\n\n## Use\n\n'
            f'{load if config else ""}'
            f'    python -m demo.image_demo IMAGE CONFIG {path.name}\n'
            f'    python -m tools.test CONFIG {path.name} --eval mIoU\n\n')
    if config:
        card += ('CONFIG is the text below as a file that ends in .py. Configs are Python code: read it '
                 'before you '
                 'use it.\n\n## Config\n\n'
                 f'```python\n{config.strip()}\n```\n')
    else:
        card += 'CONFIG is the config that it was trained with; the checkpoint does not hold it.\n'
    return card


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    checkpoint = load_file(args.checkpoint)
    weights = published_weights(checkpoint, args)
    meta = published_meta(checkpoint.get('meta') or {}, network_name(checkpoint, args.teacher))
    path = write_hashed(weights, meta, Path(args.out))
    card = path.with_suffix('.md')
    if card.exists():
        print(f'{card} is there already and stays as it is')
    else:
        write_bytes(card, model_card(path, weights, meta, args.checkpoint).encode())
    print(f'{path}: {path.stat().st_size / 1e6:.1f} MB, model card {card}')


if __name__ == '__main__':
    main()
