"""Street scenes as ADVENT, MinEnt and BDL take them: whole."""
_base_ = ['street_scenes_bgr.py']

img_norm_cfg = {{_base_._norm}}
crop_size = (512, 1024)
_source = {{_base_._source_of.advent}}
_target = {{_base_._target_of.advent}}
_val = {{_base_._val_of.advent}}
