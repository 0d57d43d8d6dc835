# DeepLabV2 of DANNet: two of the four classifiers are summed, and the stem's norm is trained. Images are RGB
# with ImageNet's mean and standard deviation. The authors' classifier on conv4 is not used.
_base_ = ['deeplabv2_r101.py']

model = dict(
    backbone=dict(trained_norms='stem'),
    decode_head=dict(dilations=(6, 12)))
