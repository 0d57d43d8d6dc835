"""Names of the reference implementation and of this package's earlier versions, for scripts that import them.

Nothing of the package itself imports from here. A module that moved is found under its old name, as the same
module object; a class that moved to a higher floor is found in the package that used to export it.
"""
from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# old name of a package → its new one; names below it follow
MOVED_PACKAGES = {
    'mmseg.core.hooks': 'mmseg.engine.hooks',
    'mmseg.datasets.synthetic': 'mmseg.synthetic',
}
MOVED_MODULES = {
    **{f'mmseg.core.{name}': f'mmseg.engine.{name}' for name in (
        'runner', 'optimizer', 'precision', 'stopping', 'finite', 'out_of_memory',
        'failure_dump', 'log_buffer')},
    'mmseg.core.rehearsal': 'mmseg.engine.sanity_check',
    'mmseg.core.hooks.same_parameters_hook': 'mmseg.engine.hooks.parameter_sync_hook',
    'mmseg.core.hooks.bad_image_hook': 'mmseg.engine.hooks.corrupt_sample_hook',
    'mmseg.apis.class_maps': 'mmseg.engine.class_maps',
    'mmseg.core.evaluation.eval_hooks': 'mmseg.engine.hooks.eval_hook',
    'mmseg.utils.checkpoint': 'mmseg.checkpoint.weights',
    'mmseg.utils.checkpoint_files': 'mmseg.checkpoint.files',
    **{f'mmseg.utils.{name}': f'mmseg.checkpoint.{name}' for name in ('safe_load', 'pretrained', 'hub')},
    'mmseg.utils.experiment': 'mmseg.experiments.description',
    **{f'mmseg.utils.{name}': f'mmseg.experiments.{name}' for name in ('runs', 'launch', 'slurm')},
    'mmseg.datasets.weather_preparation': 'mmseg.datasets.preparation.weather',
    'mmseg.datasets.class_stats': 'mmseg.datasets.preparation.class_stats',
    'mmseg.datasets.inspection': 'mmseg.datasets.preparation.inspection',
    **{f'mmseg.datasets.{name}': f'mmseg.datasets.loading.{name}' for name in (
        'loader', 'size_groups', 'image_cache', 'image_header')},
    **{f'mmseg.models.uda.{name}': f'mmseg.models.uda.parts.{name}' for name in (
        'class_mix', 'ema_teacher', 'pseudo_label', 'strong_augment', 'teacher_student')},
    **dict.fromkeys(('mmseg.models.uda.feature_distance', 'mmseg.models.uda.parts.feature_distance'),
                    'mmseg.models.losses.feature_distance_loss'),
}
# names that a package exported and that live on a higher floor now
HOOKS = 'mmseg.engine.hooks.eval_hook'
MOVED_NAMES = {package: dict.fromkeys(('EvalHook', 'DistEvalHook', 'class_subsets', 'further_means'), HOOKS)
               for package in ('mmseg.core', 'mmseg.core.evaluation')}


def new_name(module: str) -> str | None:
    """Where a module that moved lies now; None if it did not move."""
    if module in MOVED_MODULES:
        return MOVED_MODULES[module]
    for old, new in MOVED_PACKAGES.items():
        if module == old or module.startswith(old + '.'):
            return new + module[len(old):]
    return None


def moved_attribute(package: str, name: str) -> object:
    """What ``package.name`` used to be.

    Raises:
        AttributeError: the package never had it.
    """
    home = MOVED_NAMES.get(package, {}).get(name)
    if home is None:
        raise AttributeError(f'module {package!r} has no attribute {name!r}')
    return getattr(importlib.import_module(home), name)


class _MovedModules(MetaPathFinder, Loader):
    """Finds modules under their old names."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if new_name(fullname) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(str(new_name(spec.name)))

    def exec_module(self, module: ModuleType) -> None:
        """It has run under its new name."""


def install() -> None:
    """Let the old names be imported. Called once, when the package is imported."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        # first, since a folder that an update emptied but for its caches is still a package to Python
        sys.meta_path.insert(0, _MovedModules())
