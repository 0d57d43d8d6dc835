# Masked image consistency: the student predicts target images of which it sees three squares of 64 pixels in
# ten. At half resolution the squares have 32 pixels.
_masked = dict(mode='separatetrgaug', loss_weight=1.0, mask_ratio=0.7, block_size=64)
