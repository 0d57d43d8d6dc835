# DeepLabV2 as AdaptSegNet, DANNet and DACS have it: two of the four dilated branches.
_base_ = ['deeplabv2_r50-d8.py']

model = dict(decode_head=dict(dilations=(6, 12)))
