"""Street scenes in crops of 1024x1024 at full resolution, as HRDA and MIC take them."""
_base_ = ['street_scenes_square_crops.py']

img_norm_cfg = {{_base_._norm}}
crop_size = (1024, 1024)
_labelled = {{_base_._crops.labelled.full}}
_recoloured = {{_base_._crops.recoloured.full}}
_unlabelled = {{_base_._crops.unlabelled.full}}
_whole = {{_base_._whole_at.full}}
_source = {{_base_._train_at.labelled.full}}
_target = {{_base_._train_at.unlabelled.full}}
_val = {{_base_._val_at.full}}
# Of the pixels that make a source image one of a class, a crop has to hold so many: four times as many as at
# half resolution.
_crop_ratio = 2.0
