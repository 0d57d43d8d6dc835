# RefineNet of MGCDA: its norms keep the statistics that they were given. Images are RGB, 0 to 255, minus 128.
model = dict(
    type='EncoderDecoder',
    pretrained='open-mmlab://detectron2/resnet101_caffe',
    backbone=dict(
        type='ResNet',
        depth=101,
        style='caffe',
        norm_eval=True,
        zero_init_residual=False),
    decode_head=dict(
        type='RefineNetHead',
        in_channels=[256, 512, 1024, 2048],
        in_index=[0, 1, 2, 3],
        channels=256,
        links=4,
        refinements=3,
        dropout_ratio=0.5,
        num_classes=19,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)),
    train_cfg={},
    test_cfg=dict(mode='whole'))
