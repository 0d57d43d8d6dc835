"""Street scenes as ADVENT, MinEnt and BDL take them: whole."""
_base_ = ['street_scenes_bgr.py']

img_norm_cfg = {{_base_._norm}}
crop_size = (512, 1024)
_source = {{_base_._train_of.source.advent}}
_target = {{_base_._train_of.target.advent}}
_val = {{_base_._val_of.advent}}
