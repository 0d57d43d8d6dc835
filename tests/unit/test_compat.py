"""Old names are the new things."""
from __future__ import annotations

import importlib

import pytest

from mmseg.compat import MOVED_MODULES, MOVED_NAMES

PACKAGES = ('mmseg.datasets.synthetic', 'mmseg.datasets.synthetic.weather', 'mmseg.core.hooks',
            'mmseg.core.hooks.checkpoint_hook')


@pytest.mark.parametrize('old', [*MOVED_MODULES, *PACKAGES])
def test_a_module_that_moved_is_found_under_its_old_name(old):
    module = importlib.import_module(old)
    assert module is importlib.import_module(module.__name__)
    assert module.__name__ != old


@pytest.mark.parametrize('package, name', [(p, n) for p, names in MOVED_NAMES.items() for n in names])
def test_a_name_that_moved_is_found_in_its_old_package(package, name):
    found = getattr(importlib.import_module(package), name)
    assert found.__module__ == MOVED_NAMES[package][name]


def test_a_name_that_never_was_is_an_attribute_error():
    with pytest.raises(AttributeError, match='EvalHok'):
        importlib.import_module('mmseg.core').EvalHok  # noqa: B018


def test_a_module_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('mmseg.utils.checkpoints')
