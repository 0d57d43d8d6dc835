# The network of ProDA's stages 2 and 3: a further norm of the encoder's features, and a start from SimCLR.
_base_ = ['deeplabv2_r101_proda.py']

model = dict(
    pretrained='pretrained/r101_1x_sk0.pth',
    backbone=dict(out_norm=True))
