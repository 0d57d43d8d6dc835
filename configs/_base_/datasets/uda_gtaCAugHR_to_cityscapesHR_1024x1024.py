"""As uda_gtaHR_to_cityscapesHR_1024x1024.py, and the colours of GTA5 distorted."""
_base_ = ['uda_gtaHR_to_cityscapesHR_1024x1024.py']
source_train_pipeline = {{_base_._recoloured.gta}}
data = dict(train=dict(source=dict(pipeline={{_base_._recoloured.gta}})))
