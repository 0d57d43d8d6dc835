from .aspp_head import ASPPHead, DepthwiseSeparableASPPHead
from .da_head import DAHead
from .daformer_head import DAFormerHead
from .decode_head import BaseDecodeHead
from .dlv2_head import DLV2Head
from .fcn_head import FCNHead
from .hrda_head import FusedLogits, HRDAHead
from .isa_head import ISAHead
from .proda_head import ProDAHead
from .psp_head import PSPHead
from .refinenet_head import RefineNetHead
from .segformer_head import SegFormerHead
from .uper_head import UPerHead

__all__ = ['ASPPHead', 'BaseDecodeHead', 'DAFormerHead', 'DAHead', 'DLV2Head', 'DepthwiseSeparableASPPHead',
           'FCNHead', 'FusedLogits', 'HRDAHead', 'ISAHead', 'PSPHead', 'ProDAHead', 'RefineNetHead',
           'SegFormerHead', 'UPerHead']
