_base_ = ['r50-d8.py']

model = dict(
    decode_head=dict(
        type='DLV2Head',
        dilations=(6, 12, 18, 24),
        init_cfg=dict(type='Normal', std=0.01, override=dict(name='aspp_modules'))))
