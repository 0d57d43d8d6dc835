_base_ = ['mitb5.py']

# the head has a classifier of its own, so the one inherited from the base head gets no gradient
find_unused_parameters = True
model = dict(
    decode_head=dict(
        type='SegFormerHead',
        channels=128,
        decoder_params=dict(embed_dims=768, conv_kernel_size=1)))
