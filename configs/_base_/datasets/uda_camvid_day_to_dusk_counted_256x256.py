"""CamVid from day to dusk, and how many of the pseudo-labels are right: the dusk's labels are for counting
alone."""
_base_ = ['uda_camvid_day_to_dusk_256x256.py']
custom_hooks = [dict(type='PseudoLabelHook', dataset={{_base_._counted_target}})]
