# The network of ProDA's warm-up and stage 1: norms are trained and, on several GPUs, synchronised. Images
# are RGB, 0 to 1.
_base_ = ['deeplabv2_r101.py']

model = dict(
    pretrained='pretrained/resnet101-5d3b4d8f.pth',
    backbone=dict(trained_norms='all', norm_cfg=dict(type='SyncBN', requires_grad=True)),
    decode_head=dict(
        _delete_=True,
        type='ProDAHead',
        in_channels=2048,
        in_index=3,
        channels=256,
        dilations=(6, 12, 18, 24),
        reduction=16,
        dropout_ratio=0.1,
        num_classes=19,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)))
