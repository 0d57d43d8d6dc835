"""Masked image consistency beside a method that has no teacher (Hoyer et al., MIC, CVPR 2023: its rows of
AdvSeg and MinEnt)."""
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from mmseg.core.method import Pass, Terms
from mmseg.utils import build_from_cfg

from ...builder import UDA
from ...losses.labelled_pass import labelled_pass
from ..uda_decorator import UDADecorator
from .masking import MaskedConsistency
from .strong_augment import checked_augmentation

# What MaskedConsistency otherwise takes from its host; of the teacher, α and τ.
TEACHER: Mapping[str, float] = MappingProxyType(dict(alpha=0.999, pseudo_threshold=0.968))
HOST: Mapping[str, Any] = MappingProxyType(dict(
    TEACHER, ignore_rows=(0, 0),
    augmentation=checked_augmentation(blur=True, jitter_threshold=0.2, strength=0.2)))


class MaskedHost(UDADecorator):
    """A method without a teacher that may have a masked pass, whose teacher is its own.

    Args:
        model: config of the network.
        masked: settings of ``MaskedConsistency``; None is without it. ``alpha`` and ``pseudo_threshold`` are
            those of ``TEACHER`` where they are not given, or 'same'.
    """

    def __init__(self, model: dict, masked: dict | None):
        super().__init__(model)
        self.mic: MaskedConsistency | None = None
        if masked is not None:
            given = {key: value for key, value in masked.items() if value != 'same'}
            self.mic = build_from_cfg(
                {**TEACHER, **given, 'type': MaskedConsistency, 'model': model, 'host': dict(HOST)}, UDA)
            self.mic.graphs = self.graphs

    def networks(self) -> dict[str, nn.Module]:
        return {**super().networks(), **({} if self.mic is None else self.mic.networks())}

    def begin_step(self) -> None:
        if self.mic is not None:
            self.mic.begin_step(self.model, self.local_iter)

    def masked_passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        """One, or none."""
        return [] if self.mic is None else [Pass(lambda: self._masked(batch), ('student',))]

    def _masked(self, batch: Mapping[str, Any]) -> Terms:
        student = self.network('student')
        [(terms, _)] = self.graphs.of(labelled_pass, student)(student, self.mic.batch(batch))
        return self.mic.weighted(terms)
