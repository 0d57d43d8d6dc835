# DACS as its authors train it, otherwise than DAFormer: classes of each image, a wider colour jitter. The
# loss of the network is to have avg_non_ignore='unweighted'.
_base_ = ['dacs.py']

uda = dict(mix_per_image=True, mix_ignore_label=True, color_jitter_strength=0.25)
