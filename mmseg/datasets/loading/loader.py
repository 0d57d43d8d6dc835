"""Loading batches: which sample stands where depends on (seed, rank, step, n) and on nothing
else."""
from __future__ import annotations

import contextlib
import copy
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv.parallel import DataContainer
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from mmseg.utils import DataError, UserError, derive_seed, local_seed
from mmseg.utils.errors import BadFile
from mmseg.utils.labels import present_classes

from .workers import end_workers, end_workers_at_exit, init_worker, remember, signals_held, wait_for_a_death

# Above this length an epoch's permutation would be big and slow; indices are drawn instead.
LONGEST_PERMUTATION = 4_000_000
BAD_IMAGE = ('stop', 'skip')
MOST_REPLACED = 10  # more bad images than that in a row are no bad luck


class SampleKey(NamedTuple):
    """The address of a training sample: which item, for which step, and its place in the batch."""

    index: int
    step: int
    n: int


class KeyedDataset(Dataset):
    """Items addressed by :class:`SampleKey`; whatever an item draws starts from its key's seed.

    Args:
        bad_image: what to do where a file is missing or damaged: 'stop' raises its error, 'skip' takes
            the item that stands next in an order of its own, keyed by the sample's key, and tells so in
            the sample's meta data as 'replaced' (a list of lines).

    Raises (when an item is taken):
        UserError: 'skip', and MOST_REPLACED items in a row were bad.
    """

    def __init__(self, dataset: Dataset, seed: int, rank: int = 0, bad_image: str = 'stop'):
        if bad_image not in BAD_IMAGE:
            raise UserError(f"data.bad_image is {bad_image!r}, expected {' or '.join(map(repr, BAD_IMAGE))}")
        self.dataset, self.seed, self.rank, self.bad_image = dataset, seed, rank, bad_image

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: SampleKey) -> Any:
        try:
            with local_seed(self.seed, self.rank, key.step, key.n):
                return with_classes(self.dataset[key.index])
        except BadFile as error:
            if self.bad_image == 'stop':
                raise
            return self._replaced(key, error)

    def _replaced(self, key: SampleKey, error: BadFile) -> Any:
        """Another item, the same one however the training is run."""
        reasons = [str(error)]
        for attempt in range(1, MOST_REPLACED):
            with local_seed(self.seed, self.rank, key.step, key.n, attempt):
                index = int(np.random.randint(len(self.dataset)))
                try:
                    sample = self.dataset[index]
                except BadFile as another:
                    reasons.append(str(another))
                    continue
                sample['img_metas'].data['replaced'] = reasons
                return with_classes(sample)
        raise UserError(f'{MOST_REPLACED} images in a row cannot be used; the first: {reasons[0]}')


def with_classes(sample: Any) -> Any:
    """A training sample whose meta data have 'label_classes', the ids in its label: later that lies on a
    device, for which the step would have to wait to find them."""
    if isinstance(sample, Mapping) and {'img_metas', 'gt_semantic_seg'} <= set(sample):
        label = sample['gt_semantic_seg'].data
        sample['img_metas'].data['label_classes'] = present_classes(label.numpy())
    return sample


class StepBatchSampler(Sampler):
    """Yields the keys of step ``start_step``, ``start_step + 1``, … for one rank.

    Sample n of step k on rank r stands at position p = (k · world_size + r) · batch_size + n of one
    endless stream: epoch e = p div N is a permutation of the N items keyed by (seed, e). For more
        than
    four million items (pairs of source and target) each position draws its index, keyed by (seed,
    p).

    Args:
        length: N, number of items of the data set.
        batch_size: samples per rank and step.
        seed: of the run.
        rank: of this process, 0 ≤ rank < world_size.
        world_size: number of processes.
        start_step: first step, > 0 for a resumed run.
        max_steps: the step before which to stop; None for never.
    """

    def __init__(self, length: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1,
                 start_step: int = 0, max_steps: int | None = None):
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.start_step, self.max_steps = start_step, max_steps
        self._epoch, self._permutation = -1, np.empty(0, np.int64)

    def index_at(self, position: int) -> int:
        """The item at ``position`` of the stream."""
        if self.length > LONGEST_PERMUTATION:
            return int(np.random.default_rng((self.seed, position)).integers(self.length))
        epoch, offset = divmod(position, self.length)
        if epoch != self._epoch:
            self._epoch = epoch
            self._permutation = np.random.default_rng((self.seed, epoch)).permutation(self.length)
        return int(self._permutation[offset])

    def __iter__(self) -> Iterator[list[SampleKey]]:
        steps = (itertools.count(self.start_step) if self.max_steps is None
                 else range(self.start_step, self.max_steps))
        return map(self.keys_of, steps)

    def keys_of(self, step: int) -> list[SampleKey]:
        """The batch of one step."""
        first = (step * self.world_size + self.rank) * self.batch_size
        return [SampleKey(self.index_at(first + n), step, n) for n in range(self.batch_size)]

    def __len__(self) -> int:
        if self.max_steps is None:
            raise TypeError('a sampler without max_steps never ends')
        return max(self.max_steps - self.start_step, 0)


class ShardSampler(Sampler):
    """Every item once, dealt out over the ranks without padding (a confusion matrix counts each
    image once)."""

    def __init__(self, length: int, rank: int, world_size: int, shuffle: bool, seed: int):
        self.length, self.rank, self.world_size = length, rank, world_size
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        order = np.arange(self.length)
        if self.shuffle:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        return iter(order[self.rank::self.world_size].tolist())

    def __len__(self) -> int:
        return len(range(self.rank, self.length, self.world_size))


def collate(samples: list, name: str = 'sample') -> Any:
    """A batch of B samples of one structure: tensors that are to be stacked → one (B …), whether in a
    DataContainer or not; others in one → a list of B; meta data → a DataContainer with that list, which
    pinning and devices leave alone. Dicts and lists (augmentations at test time) are followed.

    Raises:
        DataError: tensors of one place have several sizes.
    """
    first = samples[0]
    if isinstance(first, DataContainer):
        values = [sample.data for sample in samples]
        if first.cpu_only:
            return DataContainer([values], cpu_only=True)
        return _stacked(values, name) if first.stack else values
    if isinstance(first, Mapping):
        return {key: collate([sample[key] for sample in samples], key) for key in first}
    if isinstance(first, list | tuple):
        return [collate(list(values), name) for values in zip(*samples)]
    return default_collate(samples)


def _stacked(values: list[torch.Tensor], name: str) -> torch.Tensor:
    shapes = sorted({tuple(value.shape) for value in values})
    if len(shapes) > 1:
        raise DataError(f"'{name}' of a batch has several sizes ({shapes[0]} and {shapes[1]}): let the "
                        'pipeline end at one size (RandomCrop and Pad), or use data.samples_per_gpu=1')
    return default_collate(values)


@contextlib.contextmanager
def translate_worker_errors() -> Iterator[None]:
    """Inside the block, the death of a loader's worker is a UserError. torch raises it wherever the program
    happens to be, not only where it waits for a batch."""
    try:
        yield
    except RuntimeError as error:
        if 'DataLoader worker' not in str(error):
            raise
        raise UserError(f'a process that loads samples died: {str(error).splitlines()[0]} If the machine '
                        'ran out of memory, use fewer of them (data.workers_per_gpu); a training goes on '
                        'with --resume auto') from None


class _Told(NamedTuple):
    """A UserError on its way out of a worker, as a value: of what a worker raises, torch passes on a text."""

    error: UserError


class _Telling:
    """A data set, or a function that makes a batch of its samples, whose UserErrors are values."""

    def __init__(self, dataset: Dataset, collate_fn: Callable[[list], Any]):
        self.dataset, self.collate_fn = dataset, collate_fn

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.dataset[key]
        except UserError as error:
            return _Told(error)

    def __len__(self) -> int:
        return len(self.dataset)

    def collate(self, samples: list) -> Any:
        try:
            return next((one for one in samples if isinstance(one, _Told)), None) or self.collate_fn(samples)
        except UserError as error:
            return _Told(error)


class Loader(DataLoader):
    """A DataLoader whose workers end with it, see :mod:`.workers`, and whose UserErrors arrive as they were
    raised in a worker."""

    def __iter__(self) -> Iterator:
        if self.num_workers:
            end_workers_at_exit(os.getpid())
        with signals_held():
            batches = super().__iter__()
        if self.num_workers:
            remember(batches)
        try:
            for batch in batches:
                if isinstance(batch, _Told):
                    raise batch.error
                yield batch
        except (EOFError, OSError) as error:
            # A worker that dies while it hands a batch over closes its connections a moment before the system
            # tells of its death, and torch takes that for an error of its own.
            if self.num_workers and (process := wait_for_a_death(batches)):
                raise RuntimeError(f'DataLoader worker (pid(s) {process}) exited unexpectedly') from error
            raise

    def _get_iterator(self) -> Iterator:
        """torch's iterator; where it has workers, over a view of this loader that tells errors as values."""
        if not self.num_workers:
            return super()._get_iterator()
        telling, view = _Telling(self.dataset, self.collate_fn), copy.copy(self)
        view.__dict__.update(dataset=telling, collate_fn=telling.collate)
        return DataLoader._get_iterator(view)

    def close(self) -> None:
        """End the workers; those of the next iteration are new ones."""
        iterator, self._iterator = self._iterator, None
        end_workers(iterator)

    def __del__(self) -> None:
        self.close()


def _loader(dataset: Dataset, workers: int, seed: int, **kwargs) -> Loader:
    pin_memory = kwargs.pop('pin_memory', True)
    return Loader(dataset, num_workers=workers, persistent_workers=workers > 0,
                  pin_memory=pin_memory and torch.cuda.is_available(),
                  collate_fn=collate,
                  worker_init_fn=partial(init_worker, seed=seed),
                  # an own generator: starting an iterator must not consume the run's random state
                  generator=torch.Generator().manual_seed(seed), **kwargs)


def build_train_loader(dataset: Dataset, samples_per_gpu: int, workers_per_gpu: int, seed: int,
                       rank: int = 0, world_size: int = 1, start_step: int = 0,
                       max_steps: int | None = None, bad_image: str = 'stop') -> Loader:
    """A loader of training batches, one per step.

    The batch of a step is the same whatever the number of workers and whichever step it started at.

    Args:
        dataset: items are dicts of DataContainers (pipelines ending in Collect).
        samples_per_gpu: batch size of each rank.
        workers_per_gpu: worker processes; 0 loads in this process.
        seed: of the run, ≥ 0.
        rank, world_size: of this process in distributed training.
        start_step: the first step to load (for a resumed run the number of steps done).
        max_steps: the step before which to stop; None never stops.
        bad_image: 'stop' or 'skip', see :class:`KeyedDataset`.

    Raises:
        UserError: the data set is empty.
    """
    if len(dataset) == 0:
        raise UserError('the training data set is empty')
    sampler = StepBatchSampler(len(dataset), samples_per_gpu, seed, rank, world_size, start_step,
                               max_steps)
    return _loader(KeyedDataset(dataset, seed, rank, bad_image), workers_per_gpu, derive_seed(seed, rank),
                   batch_sampler=sampler)


def load_step(loader: DataLoader, step: int) -> Any:
    """The batch of any step of a loader from :func:`build_train_loader`, loaded in this process."""
    sampler, dataset = loader.batch_sampler, loader.dataset
    return loader.collate_fn([dataset[key] for key in sampler.keys_of(step)])


def build_dataloader(dataset: Dataset, samples_per_gpu: int, workers_per_gpu: int, num_gpus: int = 1,
                     dist: bool = True, shuffle: bool = True, seed: int | None = None,
                     drop_last: bool = False, pin_memory: bool = True) -> Loader:
    """A loader over all items once: for testing, and for scripts of the reference implementation.

    Args:
        dataset: what to load.
        samples_per_gpu: batch size of each process.
        workers_per_gpu: worker processes; 0 loads in this process.
        num_gpus: devices of a process that is not distributed (the batch grows with it).
        dist: deal the items out over the ranks of ``torch.distributed`` if that is running.
        shuffle: in random order.
        seed: of the order and of the workers.
        drop_last: leave out an incomplete last batch.
        pin_memory: page-locked memory, where CUDA is available.
    """
    rank, world_size = 0, 1
    if dist and torch.distributed.is_available() and torch.distributed.is_initialized():
        rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        num_gpus = 1
    batch_size = max(num_gpus, 1) * samples_per_gpu
    sampler = ShardSampler(len(dataset), rank, world_size, shuffle, seed or 0)
    return _loader(dataset, workers_per_gpu, derive_seed(seed or 0, rank), batch_size=batch_size,
                   sampler=sampler, drop_last=drop_last, pin_memory=pin_memory)


def unwrap_batch(batch: Any, device: torch.device | str) -> Any:
    """A batch of :func:`collate` with its tensors on ``device``, meta data as the list of the B samples'.

    Args:
        batch: what a loader of this module yields.
        device: where tensors go; copied without blocking from pinned memory.
    """
    if isinstance(batch, DataContainer):
        [values] = batch.data
        return values if batch.cpu_only else unwrap_batch(values, device)
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {key: unwrap_batch(value, device) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return [unwrap_batch(value, device) for value in batch]
    return batch
