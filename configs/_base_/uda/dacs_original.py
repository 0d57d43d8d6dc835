# DACS as its authors train it, otherwise than DAFormer: classes of each image, a teacher that follows after
# the step, a wider colour jitter. The loss of the network is to have avg_non_ignore='unweighted'.
_base_ = ['dacs.py']

uda = dict(
    teacher_after_step=True, mix_per_image=True, mix_ignore_label=True, color_jitter_strength=0.25)
