"""As uda_gta_to_cityscapes_512x512.py, and the colours of GTA5 distorted."""
_base_ = ['uda_gta_to_cityscapes_512x512.py']
source_train_pipeline = {{_base_._recoloured.gta}}
data = dict(train=dict(source=dict(pipeline={{_base_._recoloured.gta}})))
