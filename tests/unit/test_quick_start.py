"""Programs start without what they do not use."""
from __future__ import annotations

import subprocess
import sys

from programs import ROOT

PROGRAM = """
import sys
import tools.train, tools.test, tools.report, demo.image_demo, run_experiments
print(*sorted({'torchvision', 'torch._dynamo', 'kornia', 'timm', 'matplotlib'} & sys.modules.keys()))

from mmcv.runner import checkpoint
print('resnet50' in checkpoint.get_torchvision_models())
import torchvision
print(torchvision.__version__ == checkpoint.torchvision.__version__)
print(torchvision is sys.modules['torchvision'])
"""


def test_imports_of_the_programs():
    """mmcv's model zoo, which is torchvision's, is there for those who ask."""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', PROGRAM], cwd=ROOT, capture_output=True,
                          text=True, check=True)
    assert done.stdout.split('\n') == ['', 'True', 'True', 'True', '']
