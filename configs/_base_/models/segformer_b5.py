_base_ = ['mitb5.py']

model = dict(
    decode_head=dict(
        type='SegFormerHead',
        channels=128,
        decoder_params=dict(embed_dims=768, conv_kernel_size=1)))
