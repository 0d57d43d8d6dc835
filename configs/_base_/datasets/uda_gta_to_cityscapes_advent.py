"""GTA5 with labels and Cityscapes without, as ADVENT, MinEnt and BDL take them; validated on Cityscapes."""
_base_ = ['../domains/street_scenes_advent.py']
data = dict(
    train=dict(
        type='UDADataset',
        source={{_base_._source.gta}},
        target={{_base_._target.cityscapes}}),
    val={{_base_._val.cityscapes}},
    test={{_base_._val.cityscapes}})
