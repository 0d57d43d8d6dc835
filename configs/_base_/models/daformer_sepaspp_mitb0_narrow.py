# The small network of the demo and the tests: 64 instead of 256 decoder channels, no pretraining.
_base_ = ['daformer_sepaspp_mitb5.py']

model = dict(
    pretrained=None,
    backbone=dict(type='mit_b0'),
    decode_head=dict(
        in_channels=[32, 64, 160, 256], channels=64, decoder_params=dict(embed_dims=64)))
