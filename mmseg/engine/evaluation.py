"""Running a network over a data set."""
from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmseg.core.evaluation import ConfusionMatrix
from mmseg.core.pictures import Style
from mmseg.core.visualization import show_result
from mmseg.datasets.loading.size_groups import sized_batches
from mmseg.utils.distributed import world
from mmseg.utils.files import output_names, refuse_unmarked
from mmseg.utils.memory import return_freed_memory

from .class_maps import class_maps, reduced_precision
from .precision import eager

TRIM_INTERVAL = 20  # batches


@dataclass
class TestOutcome:
    """What :func:`run_test` found: of the whole data set, except for predictions, their indices and
    files, which are those of this process. ``groups`` are the matrices of the data set's groups of
    images (weather conditions), by name."""

    __test__ = False  # pytest takes classes named Test... for tests

    matrix: ConfusionMatrix | None = None
    groups: dict[str, ConfusionMatrix] = field(default_factory=dict)
    predictions: list[np.ndarray] | None = None
    indices: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside a parallel wrapper. Ranks test different numbers of images, so the
    wrapper's forward, which synchronises, must not be used for testing."""
    wrappers = nn.parallel.DistributedDataParallel, nn.DataParallel
    return model.module if isinstance(model, wrappers) else model


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients, not compiled, inside the block; afterwards every module is as before."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), eager(model):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def predict(model: nn.Module, data_loader: DataLoader, device: torch.device | str,
            progress: bool = True) -> Iterator[tuple[int, dict, np.ndarray | torch.Tensor]]:
    """Yield (index in the data set, meta data, predicted class ids (H W)) of each image; see
    :func:`class_maps`. Images of other sizes in a batch come after those of its first one's size.

    Args:
        model: its mode is left to the caller.
        data_loader: of a data set in test mode.
        device: where the network is.
        progress: show a bar with the time left (on the first rank).
    """
    rank, ranks = world()
    bar = tqdm(total=len(data_loader.dataset), unit='img', disable=not progress or rank > 0,
               mininterval=0.5 if sys.stderr.isatty() else 30)
    with bar:
        for number, (indices, data) in enumerate(sized_batches(data_loader, device), 1):
            yield from zip(indices, data['img_metas'][0], class_maps(model, **data))
            bar.update(min(len(indices) * ranks, bar.total - bar.n))
            if number % TRIM_INTERVAL == 0:
                return_freed_memory()


def run_test(model: nn.Module, data_loader: DataLoader, device: torch.device | str, *,
             evaluate: bool = True, out_dir: str | None = None, opacity: float = 0.5, legend: bool = False,
             outlines: bool = False, format_dir: str | None = None, to_label_id: bool = True,
             keep_predictions: bool = False, show: bool = False, progress: bool = True,
             amp: str | None = None, alone: contextlib.AbstractContextManager | None = None) -> TestOutcome:
    """Test a network; what is kept of a prediction is its share of the confusion matrix.

    If torch.distributed is running, each rank tests its share of the images and the matrices are
    summed, so every rank returns that of the whole set.

    Args:
        model, device: the network, or a UDA method around it, and where it is; its mode is restored.
        data_loader: of a data set in test mode, in order.
        evaluate: compare with the data set's labels.
        out_dir: write pictures of the predictions there, under the images' names; PNGs if opacity is 1.
        opacity, legend, outlines: of the pictures, see ``Style``.
        format_dir: write the predictions as PNGs there, as the data set's benchmark wants them.
        to_label_id: in those PNGs, use the ids of the benchmark in place of train ids.
        keep_predictions: return the predictions, uint8 if there are at most 256 classes.
        show, progress: show each picture in a window; a bar with the time left.
        amp: 'bfloat16' or 'float16' runs the network in that precision; None in float32.
        alone: entered for this rank's share, before the matrices are summed; see ``failing_together``.

    Raises:
        UserError: labels that do not fit, files that cannot be read or written, or not of an earlier test.
    """
    dataset, model = data_loader.dataset, unwrapped(model)
    outcome = TestOutcome(predictions=[] if keep_predictions else None)
    style = Style(dataset.PALETTE, dataset.CLASSES, opacity, outlines, legend) if out_dir or show else None
    names = _files_to_write(dataset, out_dir, opacity == 1, format_dir)
    with (alone or contextlib.nullcontext(), evaluating(model), reduced_precision(model, device, amp),
          ThreadPoolExecutor(1) as executor):
        score = _Score(dataset, executor, data_loader) if evaluate else None
        for index, meta, seg in predict(model, data_loader, device, progress):
            outcome.indices.append(index)
            if score:
                score.add(index, seg)
            if not (keep_predictions or format_dir or out_dir or show):
                continue
            seg = on_host(seg, len(dataset.CLASSES))
            if keep_predictions:
                outcome.predictions.append(seg)
            if format_dir:
                outcome.files += dataset.format_results([seg], format_dir, to_label_id, indices=[index])
            if out_dir or show:
                name = names[index] if names else _name_of(meta)
                outcome.files += _picture(meta, seg, style, out_dir, show, name)
    if score:
        outcome.matrix, outcome.groups = score.total(device)
    return outcome


def on_host(seg: np.ndarray | torch.Tensor, num_classes: int) -> np.ndarray:
    """A class map as an array, uint8 if that holds ``num_classes``."""
    if isinstance(seg, torch.Tensor):  # small before it travels
        seg = (seg.byte() if num_classes <= 256 else seg).cpu().numpy()
    return np.asarray(seg).astype(np.uint8) if num_classes <= 256 else np.asarray(seg)


def _picture(meta: dict, seg: np.ndarray, style: Style, out_dir: str | None, show: bool,
             name: str) -> list[str]:
    """Write and show one prediction; the paths of what was written."""
    out_file = os.path.join(out_dir, name) if out_dir else None
    show_result(meta['filename'], seg, style.palette, out_file=out_file, show=show, win_name=name,
                draw=style.draw)
    return [out_file] if out_file else []


def _files_to_write(dataset, out_dir: str | None, lossless: bool, format_dir: str | None) -> list[str] | None:
    """The names of the pictures, see ``picture_names``. Before anything is done: no file that is not of an
    earlier test is in the way."""
    names = picture_names(dataset, lossless) if out_dir else None
    refuse_unmarked(os.path.join(out_dir, name) for name in names or ())
    if format_dir:
        refuse_unmarked(os.path.join(format_dir, name) for name in getattr(dataset, 'prediction_names', ()))
    return names


def picture_names(dataset, lossless: bool) -> list[str] | None:
    """A file for the picture of each image, none of them twice; None for a data set that does not tell its
    files. Lossless for the classes' colours alone, which another format would mix."""
    infos = getattr(dataset, 'img_infos', None)
    if not infos:
        return None
    names = [_name_of({'ori_filename': info['filename']}) for info in infos]
    if len({*names}) < len(names) and hasattr(dataset, 'folder_of'):  # parts with the same file names
        names = [os.path.join(dataset.folder_of(index), name) for index, name in enumerate(names)]
    return output_names(names, '.png') if lossless or len({*names}) < len(names) else names


def _name_of(meta: dict) -> str:
    """The image's name below its data set's folder; never a path that leads out of it."""
    name = os.path.normpath(meta['ori_filename'])
    return os.path.basename(name) if os.path.isabs(name) or name.startswith('..') else name


class _Score:
    """Confusion matrices of all images and of each group of them. The next label map is read while
    the network works on its image; the first one when its image is done, as the thread that reads must not
    be at work while the loader forks its workers (they would wait forever for a lock that it holds)."""

    def __init__(self, dataset, executor: ThreadPoolExecutor, data_loader: DataLoader):
        self.dataset, self.executor = dataset, executor
        group_of = getattr(dataset, 'group_of', lambda index: None)
        self.group_of = [group_of(index) for index in range(len(dataset))]
        self.matrix = self._new()
        # of all groups, also those that another rank sees, so that the ranks' sums match up
        self.groups = {name: self._new() for name in sorted({*self.group_of} - {None})}
        order = [index for indices in data_loader.batch_sampler for index in indices]
        self.following = dict(zip(order, order[1:]))
        self.pending = {}  # label maps on their way, and None for those that are counted

    def _new(self) -> ConfusionMatrix:
        return ConfusionMatrix(len(self.dataset.CLASSES), self.dataset.ignore_index)

    def _request(self, *indices: int) -> None:
        for index in indices:
            if index not in self.pending:  # a batch of several sizes comes out of order
                self.pending[index] = self.executor.submit(self.dataset.get_gt_seg_map, index)

    def add(self, index: int, seg: np.ndarray | torch.Tensor) -> None:
        self._request(index)
        label = self.pending[index].result()
        self.pending[index] = None
        if index in self.following:
            self._request(self.following[index])
        image = self._new().update(seg, label)
        self.matrix.merge(image)
        if self.group_of[index] is not None:
            self.groups[self.group_of[index]].merge(image)

    def total(self, device: torch.device | str) -> tuple[ConfusionMatrix, dict]:
        if world()[1] > 1:
            for matrix in (self.matrix, *self.groups.values()):
                matrix.all_reduce(device)
        return self.matrix, self.groups


def gathered_predictions(outcome: TestOutcome) -> list[np.ndarray]:
    """The predictions of all ranks in the order of the data set, on every rank."""
    found = [list(zip(outcome.indices, outcome.predictions))]
    if world()[1] > 1:
        found = [None] * world()[1]
        torch.distributed.all_gather_object(found, list(zip(outcome.indices, outcome.predictions)))
    by_index = dict(pair for part in found for pair in part)
    return [by_index[index] for index in sorted(by_index)]


def device_of(model: nn.Module) -> torch.device:
    """Where the parameters of a network are; the CPU for one without any."""
    return next((p.device for p in model.parameters()), torch.device('cpu'))
