"""Street scenes in crops of 512x512, as DAFormer takes them."""
_base_ = ['street_scenes_square_crops.py']

img_norm_cfg = {{_base_._norm}}
crop_size = (512, 512)
_labelled = {{_base_._crops.labelled.half}}
_recoloured = {{_base_._crops.recoloured.half}}
_unlabelled = {{_base_._crops.unlabelled.half}}
_whole = {{_base_._whole_at.half}}
_source = {{_base_._train_at.labelled.half}}
_target = {{_base_._train_at.unlabelled.half}}
_val = {{_base_._val_at.half}}
