from .aspp import ASPPModule, ASPPWrapper, DepthwiseSeparableASPPModule
from .isa import ISALayer, SelfAttentionBlock

__all__ = ['ASPPModule', 'ASPPWrapper', 'DepthwiseSeparableASPPModule', 'ISALayer', 'SelfAttentionBlock']
