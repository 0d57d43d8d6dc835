"""Cityscapes alone, as DANNet takes it; validated on ACDC."""
_base_ = ['../domains/street_scenes_dannet.py']
data = dict(
    train={{_base_._source.cityscapes}},
    val={{_base_._val.acdc}},
    test={{_base_._val.acdc}})
