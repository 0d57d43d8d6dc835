"""One step before the clock starts, without consequences."""
from __future__ import annotations

from torch import Tensor
from torch.utils.data import DataLoader

from mmseg.core.optimizer_step import OptimizerStep
from mmseg.datasets.loading.loader import load_step, unwrap_batch

from .failure_dump import refuse_bad_step
from .finite import FirstBadStep
from .runner import IterBasedRunner, on_cpu


class NoUpdate(OptimizerStep):
    """Passes of a step as ``step`` makes them, that leave the parameters and the optimizer alone."""

    def __init__(self, step: OptimizerStep):
        self.__dict__.update(step.__dict__)

    def finish(self) -> dict[str, Tensor]:
        return {}


def rehearse(runner: IterBasedRunner, loader: DataLoader) -> None:
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
    step = NoUpdate(runner.optimizer_step)
    watch = FirstBadStep()
    try:
        with runner.memory_of_step():
            outputs = model.train_step(unwrap_batch(batch, runner.device), step)
            if 'loss' in outputs:
                step.run_on_loss(outputs['loss'])
        watch.note(runner.iter, outputs['log_vars'])
        if watch.read() is not None:
            refuse_bad_step(runner, runner.iter)
    finally:
        step.begin()
        model.load_state_dict(weights)
        if state is not None:
            model.load_training_state(state)
