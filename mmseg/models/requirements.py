"""What is called of a part that a user may have written, looked at before it is needed."""
from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from mmseg.core.method import Method
from mmseg.utils import ConfigError

FROM_BASE_HEAD = 'derive it from BaseDecodeHead, which has it'
# attribute → what it is, of each registry's objects
NEEDED: Mapping[str, Mapping[str, str]] = MappingProxyType({
    'backbone': {'init_weights': 'a method that loads pretrained weights, or does nothing'},
    'head': dict.fromkeys(('num_classes', 'align_corners', 'ignore_index', 'losses_decode', 'sampler',
                           'training_logits', 'upsample'), FROM_BASE_HEAD),
    'loss': {'loss_name': "its name in the log, as self.loss_name = 'loss_own'",
             'loss_weight': 'its factor, as self.loss_weight = loss_weight'},
    'uda': dict.fromkeys(('train_step', 'init_weights', 'get_model', 'num_classes'),
                         'derive it from UDADecorator, which has it'),
})
# methods, which are there before __init__ has run
OF_CLASSES = ('training_logits', 'upsample', 'train_step', 'init_weights', 'get_model')


def require_class(own: Any, kind: str) -> None:
    """As ``require``, of what a class has before anything is made of it: without its base class it would be
    told first that it lacks the arguments of that.

    Args:
        own: a class, or a function that makes something, of which nothing is known yet.
    """
    for name, meaning in NEEDED[kind].items():
        if inspect.isclass(own) and name in OF_CLASSES and not hasattr(own, name):
            raise ConfigError(f"{kind} '{own.__name__}' has no {name}: {meaning}")


def require(obj: Any, kind: str) -> Any:
    """``obj``, if it has all that.

    Args:
        kind: the registry's name.

    Raises:
        ConfigError: what is called of such an object is missing; names it.
    """
    own = type(obj)
    for name, meaning in NEEDED[kind].items():
        if not hasattr(obj, name):
            raise ConfigError(f"{kind} '{own.__name__}' has no {name}: {meaning}")
    if own.forward is nn.Module.forward:
        raise ConfigError(f"{kind} '{own.__name__}' has no forward: what it computes")
    if isinstance(obj, Method):
        for name in ('networks', 'trainable', 'passes'):
            if getattr(own, name) is getattr(Method, name):
                raise ConfigError(f"{kind} '{own.__name__}' has no {name}: a method that says what a step is "
                                  'made of, see docs/extending.md')
    for loss in getattr(obj, 'losses_decode', ()):
        _require_arguments(loss, ('weight', 'ignore_index'))
    return obj


def _require_arguments(loss: Any, wanted: Collection[str]) -> None:
    """Whether a loss takes what a head's losses are given beside logits and label."""
    parameters = inspect.signature(loss.forward).parameters
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return
    for name in wanted:
        if name not in parameters:
            raise ConfigError(f"loss '{type(loss).__name__}' has no argument {name}: a head calls "
                              'forward(logits, label, weight=…, ignore_index=…)')


def check_logits(head: nn.Module, found: object) -> None:
    """
    Raises:
        ConfigError: what a head returns are no logits (B num_classes h w). Features that nothing has
            classified would be trained on, where they are more than the classes.
    """
    shape = tuple(found.shape) if isinstance(found, Tensor) else ()
    if len(shape) != 4 or shape[1] != head.num_classes:
        raise ConfigError(f"head '{type(head).__name__}' returns {shape or f'a {type(found).__name__}'}, "
                          f'expected logits (B C h w) of C = {head.num_classes} classes (num_classes)')
