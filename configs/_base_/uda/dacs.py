# DACS: EMA teacher, pseudo-labels, ClassMix, strong augmentation of the mixed image.
uda = dict(
    type='DACS',
    alpha=0.99,
    pseudo_threshold=0.968,
    pseudo_weight_ignore_top=0,
    pseudo_weight_ignore_bottom=0,
    imnet_feature_dist_lambda=0,
    imnet_feature_dist_classes=None,
    imnet_feature_dist_scale_min_ratio=None,
    mix='class',
    blur=True,
    color_jitter_strength=0.2,
    color_jitter_probability=0.2,
    debug_img_interval=1000,
    print_grad_magnitude=False)
use_ddp_wrapper = True

# Rare class sampling, where a config chooses it; how many pixels an image must hold is in the domains' files.
_class_temp = 0.01
_min_crop_ratio = 0.5
