# What every network on a Mix Transformer shares; the files beside it say what is theirs.
model = dict(
    type='EncoderDecoder',
    pretrained='pretrained/mit_b5.pth',
    backbone=dict(type='mit_b5'),
    decode_head=dict(
        in_channels=[64, 128, 320, 512],
        in_index=[0, 1, 2, 3],
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg={},
    test_cfg=dict(mode='whole'))
