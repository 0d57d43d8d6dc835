"""Street scenes as FDA takes them: crops of 1024x512."""
_base_ = ['street_scenes_bgr.py']

img_norm_cfg = {{_base_._norm}}
crop_size = (512, 1024)
_source = {{_base_._train_of.source.fda}}
_target = {{_base_._train_of.target.fda}}
_val = {{_base_._val_of.fda}}
