# The small network of the demo and the tests with HRDA: training crops of 128x128, details in crops of 64x64.
_base_ = ['daformer_sepaspp_mitb0_narrow.py']

model = dict(
    type='HRDAEncoderDecoder',
    scales=[1, 0.5],
    hr_crop_size=[64, 64],
    feature_scale=0.5,
    crop_coord_divisible=8,
    hr_slide_inference=True,
    decode_head=dict(
        type='HRDAHead',
        single_scale_head='DAFormerHead',
        attention_classwise=True,
        attention_embed_dim=64,
        hr_loss_weight=0.1))
