"""A sequence of transforms."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from mmseg.utils import UserError

from ..builder import PIPELINES

Transform = Callable[[dict], dict | None]


@PIPELINES.register_module()
class Compose:
    """Applies transforms one after the other to a dict of results.

    What transforms may declare, so that several crops of one image cost little:

    - ``deterministic = True``: it draws nothing; its output depends on its input alone.
    - ``keeps_labels = True``: besides, the label maps leave it with as many pixels of each class as
      they came with.
    - ``copies_input = True``: it never writes to the arrays that it gets, nor hands them on.

    Args:
        transforms: configs with the key ``type``, or callables.
    """

    def __init__(self, transforms: Sequence[dict | Transform]):
        self.transforms: list[Transform] = []
        for transform in transforms:
            if isinstance(transform, dict):
                transform = PIPELINES.build(transform)
            elif not callable(transform):
                raise UserError(f'a transform must be a dict or callable, got {transform!r}')
            self.transforms.append(transform)

    def __call__(self, results: dict) -> dict | None:
        for transform in self.transforms:
            results = transform(results)
            if results is None:
                return None
        return results

    def split_deterministic(self) -> tuple[Compose, Compose]:
        """(leading transforms that draw nothing, the rest); one after the other they are this
        pipeline."""
        count = 0
        while (count < len(self.transforms)
               and getattr(self.transforms[count], 'deterministic', False)):
            count += 1
        return Compose(self.transforms[:count]), Compose(self.transforms[count:])

    def split_drawing(self) -> tuple[Compose, Compose]:
        """(the transforms up to the last that draws or changes the labels, the rest)."""
        count = len(self.transforms)
        while (count > 0 and getattr(self.transforms[count - 1], 'deterministic', False)
               and getattr(self.transforms[count - 1], 'keeps_labels', False)):
            count -= 1
        return Compose(self.transforms[:count]), Compose(self.transforms[count:])

    @property
    def copies_input(self) -> bool:
        """Whether the first transform leaves the arrays that it gets alone, and keeps them to itself."""
        return bool(self.transforms) and getattr(self.transforms[0], 'copies_input', False)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.transforms})'
