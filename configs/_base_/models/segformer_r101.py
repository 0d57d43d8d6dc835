# SegFormer's head on a ResNet dilated to stride 8.
_base_ = ['r50-d8.py']

model = dict(
    pretrained='open-mmlab://resnet101_v1c',
    backbone=dict(depth=101),
    decode_head=dict(
        type='SegFormerHead',
        in_channels=[256, 512, 1024, 2048],
        in_index=[0, 1, 2, 3],
        channels=128,
        dropout_ratio=0.1,
        norm_cfg=dict(type='BN', requires_grad=True),
        decoder_params=dict(embed_dims=768, conv_kernel_size=1)))
