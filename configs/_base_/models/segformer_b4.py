_base_ = ['segformer_b5.py']

model = dict(pretrained='pretrained/mit_b4.pth', backbone=dict(type='mit_b4'))
