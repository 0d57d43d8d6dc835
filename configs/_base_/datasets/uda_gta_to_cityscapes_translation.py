"""Images of GTA5 and Cityscapes, as BDL translates them; tested on Cityscapes."""
_base_ = ['../domains/street_scenes_translation.py']
data = dict(
    train=dict(
        type='UDADataset',
        source={{_base_._source.gta}},
        target={{_base_._target.cityscapes}}),
    val={{_base_._val.cityscapes}},
    test={{_base_._val.cityscapes}})
