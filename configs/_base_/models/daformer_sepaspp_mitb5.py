# The network of DAFormer and of EBDA.
_base_ = ['daformer_aspp_mitb5.py']

model = dict(decode_head=dict(decoder_params=dict(fusion_cfg=dict(sep=True))))
