"""Street scenes as DACS takes them: crops of 512x512."""
_base_ = ['street_scenes_bgr.py']

img_norm_cfg = {{_base_._norm}}
crop_size = (512, 512)
_source = {{_base_._train_of.source.dacs}}
_target = {{_base_._train_of.target.dacs}}
_val = {{_base_._val_of.dacs}}
