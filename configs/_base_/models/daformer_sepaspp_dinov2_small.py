# DAFormer's decoder on a plain transformer: a pyramid is made of its last map.
_base_ = ['daformer_sepaspp_mitb5.py']

model = dict(
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='TIMMBackbone',
        model_name='vit_small_patch14_dinov2',
        out_indices=(11, ),
        pretrained=True,
        model_args=dict(dynamic_img_size=True, dynamic_img_pad=True)),
    neck=dict(type='SimpleFPN', in_channels=384, out_channels=256),
    decode_head=dict(in_channels=[256, 256, 256, 256]))
