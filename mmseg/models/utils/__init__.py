from .aspp import ASPPModule, ASPPWrapper, DepthwiseSeparableASPPModule, image_pooling
from .isa import ISALayer, SelfAttentionBlock, attend, interlaced_attention

__all__ = ['ASPPModule', 'ASPPWrapper', 'DepthwiseSeparableASPPModule', 'ISALayer', 'SelfAttentionBlock',
           'attend', 'image_pooling', 'interlaced_attention']
