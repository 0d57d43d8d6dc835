# DAFormer's decoder on a ConvNeXt of timm; any other model of timm with stages goes the same way.
_base_ = ['daformer_sepaspp_mitb5.py']

model = dict(
    pretrained=None,
    backbone=dict(_delete_=True, type='TIMMBackbone', model_name='convnext_tiny', pretrained=True),
    decode_head=dict(in_channels=[96, 192, 384, 768]))
