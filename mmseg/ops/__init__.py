from .fast_conv import FAST_CONV, FastConv2d, dilated_depthwise
from .resize import resize
from .winograd import winograd_conv3x3

__all__ = ['FAST_CONV', 'FastConv2d', 'dilated_depthwise', 'resize', 'winograd_conv3x3']
