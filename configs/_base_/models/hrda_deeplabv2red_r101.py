# HRDA on DeepLabV2, tested on whole images as in the HRDA repository (experiment 41); MIC's (81) tests it
# with windows. The released crops lie on a grid of 8 pixels, attention and details meet at every 16.
_base_ = ['deeplabv2red_r50-d8.py']

model = dict(
    type='HRDAEncoderDecoder',
    pretrained='open-mmlab://resnet101_v1c',
    backbone=dict(depth=101),
    scales=[1, 0.5],
    hr_crop_size=[512, 512],
    feature_scale=0.5,
    crop_coord_divisible=8,
    hr_slide_inference=True,
    decode_head=dict(
        type='HRDAHead',
        single_scale_head='DLV2Head',
        attention_classwise=True,
        hr_loss_weight=0.1))
