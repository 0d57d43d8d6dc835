"""What a training method tells the engine: its networks, which optimiser updates which, and its passes."""
from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmseg.utils import ConfigError, did_you_mean

from .graphs import Graphs
from .optimizer_step import as_optimizer_step


@dataclass
class Terms:
    """What a pass finds.

    Args:
        losses: by their names in the log, 0-dim and weighted; their sum is minimised.
        metrics: further values for the log, 0-dim and without a graph.
        visuals: what a picture of the step shows, see ``UDAVisualizationHook``.
    """

    losses: dict[str, Tensor] = field(default_factory=dict)
    metrics: dict[str, Tensor] = field(default_factory=dict)
    visuals: dict[str, Any] | None = None

    def __add__(self, other: Terms) -> Terms:
        """Both. Names must not repeat.

        Raises:
            ValueError: they do, and one of the losses would be lost.
        """
        repeated = {*self.losses, *self.metrics} & {*other.losses, *other.metrics}
        if repeated:
            raise ValueError(f'two terms of a pass are called {sorted(repeated)}')
        return Terms({**self.losses, **other.losses}, {**self.metrics, **other.metrics},
                     self.visuals or other.visuals)

    def prefixed(self, prefix: str) -> Terms:
        """The same under the names ``prefix.name``."""
        losses, metrics = ({f'{prefix}.{name}': value for name, value in values.items()}
                           for values in (self.losses, self.metrics))
        return Terms(losses, metrics, self.visuals)

    def scaled(self, factor: float) -> Terms:
        """The same with ``factor`` times the losses; metrics stay."""
        return Terms({name: factor * loss for name, loss in self.losses.items()}, self.metrics, self.visuals)

    def total(self) -> Tensor:
        """The sum of the losses, 0-dim.

        Raises:
            ValueError: there is none.
        """
        if not self.losses:
            raise ValueError(f'a pass has no loss, only {sorted(self.metrics)}')
        losses = list(self.losses.values())
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def logged(self) -> dict[str, Tensor]:
        """All values without their graph; they stay on the device."""
        return {name: value.detach() for name, value in {**self.losses, **self.metrics}.items()}


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass of a step.

    Args:
        compute: makes the forward pass; the engine calls it when the passes before have been made.
        trains: names of the networks that get gradients. Others that the method trains are frozen meanwhile:
            gradients flow through them, not into them.
        log_gradients: logs, under this name, the mean magnitude of those networks' gradients after the pass.
    """

    compute: Callable[[], Terms]
    trains: tuple[str, ...]
    log_gradients: str | None = None

    def terms(self) -> Terms:
        """What ``compute`` returns.

        Raises:
            ConfigError: no terms, or losses without a gradient.
        """
        found, name = self.compute(), getattr(self.compute, '__qualname__', repr(self.compute))
        if not isinstance(found, Terms):
            raise ConfigError(f"the pass '{name}' returns a {type(found).__name__}, expected Terms")
        if found.losses and not any(loss.requires_grad for loss in found.losses.values()):
            raise ConfigError(f"the losses of the pass '{name}' ({', '.join(found.losses)}) have no "
                              f'gradient: they do not depend on {", ".join(self.trains)}, or were detached')
        return found


@dataclass(frozen=True)
class TargetImages:
    """The target images of a training.

    Args:
        count: how many there are.
        images: (place among them, normalised image (1 3 H W) on the device); with several processes, each
            has its share.
    """

    count: int
    images: Iterator[tuple[int, Tensor]]


class Method(nn.Module):
    """What is trained. ``OptimizerStep`` makes a step of it; a step is

        begin_step → for each part of the batch: the passes, each with its backward pass → update → end_step

    A method neither calls ``backward`` nor knows of optimisers, accumulation, precision or processes. With
    several processes, each trained network has to use all its parameters in its last pass of a step.
    """

    logged_now = False  # whether a line of the log follows this step: costly values are for such steps alone

    def __init__(self) -> None:
        super().__init__()
        self._wrappers: dict[str, nn.Module] = {}
        self._trained_now: tuple[str, ...] = ()
        self.graphs = Graphs()  # compiles functions of its passes, if the config says so
        self.replays_graphs = False  # whether its networks are compiled to CUDA graphs

    # ------------------------------------------------------------------ what a method declares

    def networks(self) -> dict[str, nn.Module]:
        """All networks by name: precision and compilation are theirs one by one."""
        raise NotImplementedError

    def trainable(self) -> dict[str, tuple[str, ...]]:
        """For each optimiser, by its name in the config, the names of the networks that it updates. The
        config of a method with one optimiser has it without a name."""
        raise NotImplementedError

    def start(self, target: Callable[[], TargetImages]) -> None:
        """Before the first step of a training, not of a resumed one, in eval mode. ``target()`` gives the
        target's images as at test."""

    def begin_step(self) -> None:
        """Before the passes of a step, e.g. the update of a teacher."""

    def passes(self, batch: Mapping[str, Any]) -> Sequence[Pass]:
        """The passes of a batch, in their order. What a later pass needs is computed in it."""
        raise NotImplementedError

    def end_step(self) -> None:
        """After the update."""

    def training_state(self) -> dict[str, Any] | None:
        """What a resumed run needs beyond the weights."""
        return None

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take what ``training_state`` gave. Checkpoints of others hold the key 'local_iter' alone, the
        number of steps."""

    # ------------------------------------------------------------------ what the engine does with it

    def network(self, name: str) -> nn.Module:
        """A network as a pass calls it: in its parallel wrapper, if there is one and the pass trains it.

        Raises:
            ConfigError: the method has none of that name.
        """
        if name in self._wrappers and name in self._trained_now:
            return self._wrappers[name]
        networks = self.networks()
        if name not in networks:
            raise ConfigError(f"{type(self).__name__} has no network '{name}': "
                              f'{did_you_mean(name, networks)}')
        return networks[name]

    def planned(self, batch: Mapping[str, Any]) -> Sequence[Pass]:
        """``passes``, looked at.

        Raises:
            ConfigError: they are none, or one trains a network that the method does not train.
        """
        passes, where = self.passes(batch), f'passes of {type(self).__name__}'
        if not isinstance(passes, Sequence) or not passes or not all(isinstance(one, Pass) for one in passes):
            raise ConfigError(f'{where} returns {passes!r}, expected a list of Pass(compute, trains)')
        trained = [name for names in self.trainable().values() for name in names]
        for name in (name for one in passes for name in one.trains):
            if name not in trained:
                raise ConfigError(f"{where}: no optimiser trains a network '{name}', only "
                                  f'{", ".join(trained)}')
        return passes

    def distribute(self, wrap: Callable[[nn.Module], nn.Module]) -> None:
        """Train each network through ``wrap(network)``, e.g. DistributedDataParallel. The wrappers are kept
        in a dict, where ``nn.Module`` does not register them: the names of the weights stay as they are."""
        networks = self.networks()
        self._wrappers = {name: wrap(networks[name]) for names in self.trainable().values() for name in names}

    @contextlib.contextmanager
    def during(self, one: Pass, exchanged: Collection[str]) -> Iterator[None]:
        """Inside the block, ``one`` is the pass that is made.

        Args:
            exchanged: the networks whose gradients are exchanged between processes after it.
        """
        networks = self.networks()
        others = {name for names in self.trainable().values() for name in names} - {*one.trains}
        frozen = [p for name in others for p in networks[name].parameters() if p.requires_grad]
        with contextlib.ExitStack() as stack:
            for name in one.trains:
                wrapper = self._wrappers.get(name)
                if name not in exchanged and isinstance(wrapper, DistributedDataParallel):
                    stack.enter_context(wrapper.no_sync())
            self._trained_now = one.trains
            try:
                for parameter in frozen:
                    parameter.requires_grad_(False)
                with self._cast_weights():
                    yield
            finally:
                self._trained_now = ()
                for parameter in frozen:
                    parameter.requires_grad_(True)

    @contextlib.contextmanager
    def _cast_weights(self) -> Iterator[None]:
        """Of all networks that have them; but a parallel wrapper waits for the gradients of the weights
        themselves."""
        with contextlib.ExitStack() as stack:
            for name, network in self.networks().items():
                cast = getattr(network, 'cast_weights', None)
                if cast is not None and name not in self._wrappers:
                    stack.enter_context(cast.in_place())
            yield

    def train_step(self, data_batch: Mapping[str, Any], optimizer: Any, **kwargs: Any) -> dict[str, Any]:
        """One step, parameters updated, with an optimiser, a dict of them, or an ``OptimizerStep``.

        Returns:
            ``log_vars``, 0-dim tensors on the device, ``num_samples`` and, if there are any, ``visuals``.
        """
        return as_optimizer_step(optimizer).make(self, data_batch)
