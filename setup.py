"""What the package is stands in pyproject.toml; here, that a wheel carries configs and programs."""
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ('configs', 'demo', 'tools', 'experiments.py', 'run_experiments.py', 'test.sh')


class BuildWithPrograms(build_py):
    """In the checkout they are at the top, where people look for them; in a wheel in the package ebda, beside
    its commands, since ``tools`` and ``demo`` are no names for the packages of an environment."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        caches = shutil.ignore_patterns('__pycache__')
        for name in SHIPPED:
            source, target = Path(name), Path(self.build_lib) / 'ebda' / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=caches, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target)


setup(cmdclass={'build_py': BuildWithPrograms})
