from .segformer_adapter import SegFormerAdapter
from .simple_fpn import SimpleFPN

__all__ = ['SegFormerAdapter', 'SimpleFPN']
