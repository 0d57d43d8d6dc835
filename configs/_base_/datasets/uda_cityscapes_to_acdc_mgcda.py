"""Cityscapes with labels and ACDC without, as MGCDA takes them; validated on ACDC."""
_base_ = ['../domains/street_scenes_mgcda.py']
data = dict(
    train=dict(
        type='UDADataset',
        source={{_base_._source.cityscapes}},
        target={{_base_._target.acdc}}),
    val={{_base_._val.acdc}},
    test={{_base_._val.acdc}})
