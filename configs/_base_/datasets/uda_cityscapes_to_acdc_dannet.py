"""Cityscapes with labels, ACDC without, and ACDC's places by day, as DANNet takes them; validated on ACDC."""
_base_ = ['../domains/street_scenes_dannet.py']
data = dict(
    train=dict(
        type='UDADataset',
        source={{_base_._source.cityscapes}},
        target={{_base_._target.acdc}},
        domains=dict(reference={{_base_._reference}})),
    val={{_base_._val.acdc}},
    test={{_base_._val.acdc}})
