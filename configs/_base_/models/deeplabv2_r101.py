# DeepLabV2 as its authors and those of BDL and FDA build it; images are BGR, 0 to 255, minus
# (104.00698793, 116.66876762, 122.67891434), not divided.
model = dict(
    type='EncoderDecoder',
    pretrained='pretrained/DeepLab_resnet_pretrained_imagenet.pth',
    backbone=dict(type='DeepLabResNet', depth=101, trained_norms='none'),
    decode_head=dict(
        type='DLV2Head',
        in_channels=2048,
        in_index=3,
        dilations=(6, 12, 18, 24),
        num_classes=19,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)),
    train_cfg={},
    test_cfg=dict(mode='whole'))
