# DeepLabV2 of ADVENT: a second classifier on conv4.
_base_ = ['deeplabv2_r101.py']

model = dict(
    auxiliary_head=dict(
        type='DLV2Head',
        in_channels=1024,
        in_index=2,
        dilations=(6, 12, 18, 24),
        num_classes=19,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.1, avg_non_ignore=True)))
