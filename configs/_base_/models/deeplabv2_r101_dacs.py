# DeepLabV2 of DACS: two of the four classifiers are summed; it starts from MS-COCO.
_base_ = ['deeplabv2_r101.py']

model = dict(
    pretrained='pretrained/resnet101COCO-41f33a49.pth',
    decode_head=dict(dilations=(6, 12)))
