"""One step before the clock starts, without consequences."""
from __future__ import annotations

from torch import Tensor
from torch.utils.data import DataLoader

from mmseg.core.evaluation import ConfusionMatrix
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.datasets.cityscapes import IGNORE
from mmseg.datasets.loading.loader import load_step, unwrap_batch
from mmseg.datasets.loading.size_groups import build_test_loader, sized_batches
from mmseg.utils import get_root_logger

from .class_maps import class_maps
from .evaluation import evaluating, unwrapped
from .failure_dump import dump_nonfinite_step
from .finite import NonFiniteTracker
from .hooks.eval_hook import EvalHook
from .runner import IterBasedRunner, on_cpu


class NoUpdate(OptimizerStep):
    """Passes of a step as ``step`` makes them, that leave the parameters and the optimizer alone."""

    def __init__(self, step: OptimizerStep):
        self.__dict__.update(step.__dict__)

    def finish(self) -> dict[str, Tensor]:
        return {}


def sanity_check_evaluations(runner: IterBasedRunner) -> None:
    """Test the first image of each evaluation set, so that what stops an evaluation is known before the first
    step.

    Raises:
        UserError: an image or a label that cannot be used, or that does not fit the network.
    """
    for dataset in [hook.dataloader.dataset for hook in runner.hooks if isinstance(hook, EvalHook)]:
        [index, *_], data = next(sized_batches(build_test_loader(dataset, 1, 0, dist=False), runner.device))
        with evaluating(runner.model):
            [seg] = class_maps(unwrapped(runner.model), **data)
        ConfusionMatrix(len(dataset.CLASSES), dataset.ignore_index).update(seg, dataset.get_gt_seg_map(index))


def sanity_check_step(runner: IterBasedRunner, loader: DataLoader) -> None:
    """Load the batch of the next step and run its forward and backward passes, so that a mistake in config
    or data, or too little memory, is known before anything of the run is written.

    The numbers of the run stay what they are: parameters, buffers and training state are put back, the
    optimizer is not called, and every step sets its own random states. With several processes it also
    lets DistributedDataParallel arrange its exchange of gradients, which it does after the first pass: so
    a resumed run adds them up in the order of the undisturbed one.

    Raises:
        UserError: the step fails, does not fit into the device's memory, or its loss is no finite number.
    """
    if runner.iter >= runner.max_iters:
        return
    model = runner.model
    weights = on_cpu(model.state_dict())
    state = on_cpu(model.training_state()) if hasattr(model, 'training_state') else None
    runner.data_loader = loader
    batch = load_step(loader, runner.iter)
    model.train()
    runner.seed_step()
    inputs = unwrap_batch(batch, runner.device)
    tell_of_missing_labels(inputs.get('gt_semantic_seg'))
    step = NoUpdate(runner.optimizer_step)
    watch = NonFiniteTracker()
    try:
        with runner.memory_of_step():
            outputs = model.train_step(inputs, step)
            if 'loss' in outputs:
                step.run_on_loss(outputs['loss'])
        watch.note(runner.iter, outputs['log_vars'])
        if watch.read() is not None:
            dump_nonfinite_step(runner, runner.iter)
    finally:
        step.begin()
        model.load_state_dict(weights)
        if state is not None:
            model.load_training_state(state)


def tell_of_missing_labels(label: Tensor | None) -> None:
    """Warn where no pixel of a batch has a class: only losses of zero would tell of it.

    Args:
        label: train ids, 255 without; None is a batch without labels.
    """
    if label is not None and bool((label == IGNORE).all()):
        get_root_logger().warning(
            'no pixel of the first batch has a class, all labels in it are 255: nothing is learnt from such '
            'images (tools/check_dataset.py CONFIG counts the classes)')
