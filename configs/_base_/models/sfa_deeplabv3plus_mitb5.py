# DeepLabV3+ on a Mix Transformer: the adapter upsamples its last level to the stride that the
# dilated ResNet has, so the head sees what it was made for.
_base_ = ['deeplabv3plus_r50-d8.py']

model = dict(
    pretrained='pretrained/mit_b5.pth',
    backbone=dict(_delete_=True, type='mit_b5'),
    neck=dict(type='SegFormerAdapter'),
    decode_head=dict(in_channels=512, c1_in_channels=64))
