"""Images of Cityscapes and ACDC, as BDL translates them; tested on ACDC."""
_base_ = ['../domains/street_scenes_translation.py']
data = dict(
    train=dict(
        type='UDADataset',
        source={{_base_._source.cityscapes}},
        target={{_base_._target.acdc}}),
    val={{_base_._val.acdc}},
    test={{_base_._val.acdc}})
