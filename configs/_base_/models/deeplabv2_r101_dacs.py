# DeepLabV2 of DACS: two of the four classifiers are summed; it starts from MS-COCO. The loss of the source is
# the mean over the pixels with a label, that of the mixed images, whose pixels have weights, over all.
_base_ = ['deeplabv2_r101.py']

model = dict(
    pretrained='pretrained/resnet101COCO-41f33a49.pth',
    decode_head=dict(dilations=(6, 12), loss_decode=dict(avg_non_ignore='unweighted')))
