"""Folders like those of trainings, with a log, an environment, kept predictions and training pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from mmseg.utils.files import write_json

CLASSES = ('road', 'car', 'sky')
PALETTE = [[128, 64, 128], [0, 0, 142], [70, 130, 180]]
STEPS = 40
SIZE_HW = (24, 48)
IMAGES = 4
STAMP = '260101_0000'


def config(method: str, seed: int) -> dict:
    return dict(
        name=f'toy_{method}_net_s{seed}',
        seed=seed,
        runner=dict(max_iters=STEPS),
        method=method,
        uda=dict(entropy_balance=dict(target=0.4)),
        data=dict(
            train=dict(
                source=dict(type='CamVidDataset', data_root='nowhere', classes=list(CLASSES)),
                rare_class_sampling=dict(class_temp=0.1),
            ),
            val=dict(type='CamVidDataset'),
        ),
    )


def log_lines(scores: dict[int, float]) -> list[dict]:
    lines: list[dict] = [dict(env_info='')]
    for step, score in scores.items():
        lines.append(dict(mode='train', iter=step, **{'decode.loss_seg': 1 / step, 'time': 0.5}))
        ious = {f'IoU.{name}': score + place / 10 for place, name in enumerate(CLASSES)}
        lines.append(
            dict(mode='val', iter=7, step=step, mIoU=score + 0.1, aAcc=0.8, **{'mIoU.fog': score}, **ious)
        )
    return lines


def leave_run(
    root: Path,
    method: str = 'a',
    seed: int = 0,
    scores: dict[int, float] | None = None,
    done: bool = True,
    pictures: bool = True,
) -> Path:
    """Write the folder of a run; ``scores`` are IoU of 'road' by step."""
    cfg = config(method, seed)
    folder = root / f'{STAMP}_{cfg["name"]}_abcde'
    write_json(folder / f'{folder.name}.json', {**cfg, 'work_dir': str(folder)})
    scores = {20: 0.3, STEPS: 0.5} if scores is None else scores
    (folder / '1.log.json').write_text(''.join(json.dumps(line) + '\n' for line in log_lines(scores)))
    (folder / '1.log').write_text(
        '2026-01-01 10:00:00,000 - mmseg - INFO - begins\n'
        '2026-01-01 10:00:30,000 - mmseg - WARNING - <b>odd</b> thing\n'
        '2026-01-01 11:30:00,000 - mmseg - INFO - ends\n'
    )
    (folder / '1.env.txt').write_text(
        'git revision: abc123\ncommand: run_experiments.py --exp 5\nPython: 3.11\n'
    )
    (folder / f'iter_{STEPS if done else 20}.pth').write_bytes(b'')
    if pictures:
        leave_scores(folder)
        leave_images(folder, seed)
        leave_training_pictures(folder)
    return folder


def leave_scores(folder: Path) -> None:
    write_json(
        folder / 'evaluation' / 'scores.json',
        dict(
            step=STEPS,
            classes=CLASSES,
            palette=PALETTE,
            confusion_matrix=[[8, 2, 0], [1, 3, 0], [0, 0, 6]],
            peak_memory_mib=2048,
        ),
    )
    edges = np.linspace(0, 1.1, 5).tolist()
    write_json(
        folder / 'eval_latest_1.json',
        dict(
            checkpoint=str(folder / 'latest.pth'),
            calibration=dict(
                scores=dict(
                    ECE=0.05, NLL=0.7, entropy=0.3, wrong_certain=0.01, right_undecided=None, AUROC=0.8
                ),
                reliability=dict(
                    confidence=[0.2, None, 0.9], accuracy=[0.3, None, 0.8], share=[0.25, 0.0, 0.75]
                ),
                entropy_histogram=dict(edges=edges, right=[5, 2, 1, 0], wrong=[0, 1, 0, 1]),
            ),
        ),
    )


def leave_images(folder: Path, seed: int) -> None:
    rng = np.random.RandomState(seed)
    listed = []
    for number in range(IMAGES):
        stem, at = f'{number:05d}', folder / 'evaluation'
        cv2.imwrite(str(at / f'{stem}_image.jpg'), rng.randint(0, 256, (*SIZE_HW, 3), dtype=np.uint8))
        for what in ('truth', 'prediction'):
            cv2.imwrite(str(at / f'{stem}_{what}.png'), rng.randint(0, 3, SIZE_HW, dtype=np.uint8))
        cv2.imwrite(str(at / f'{stem}_entropy.jpg'), rng.randint(0, 256, SIZE_HW, dtype=np.uint8))
        listed.append(
            dict(index=number, name=f'{number}.png', stem=stem, mIoU=float(rng.rand()), aAcc=0.5, entropy=0.2)
        )
    write_json(folder / 'evaluation' / 'images.json', dict(classes=CLASSES, palette=PALETTE, images=listed))


def leave_training_pictures(folder: Path, steps: tuple[int, ...] = (0, 10, 20)) -> None:
    (folder / 'class_mix_debug').mkdir()
    for step in steps:
        for number in range(2):
            cv2.imwrite(
                str(folder / 'class_mix_debug' / f'{step:06d}_{number}.png'),
                np.full((64, 150, 3), step, np.uint8),
            )
