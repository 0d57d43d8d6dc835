from .fast_conv import FAST_CONV, FastConv2d, dilated_depthwise, patch_conv
from .fast_linear import FastLinear, linear
from .resize import enlarged_pointwise_conv, resize
from .stochastic_depth import StochasticDepth
from .winograd import winograd_conv3x3

__all__ = ['FAST_CONV', 'FastConv2d', 'FastLinear', 'StochasticDepth', 'dilated_depthwise',
           'enlarged_pointwise_conv', 'linear', 'patch_conv', 'resize', 'winograd_conv3x3']
