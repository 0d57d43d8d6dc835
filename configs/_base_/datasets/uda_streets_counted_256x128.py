"""The synthetic streets, clear to adverse, and how many of the pseudo-labels are right: the adverse streets'
labels are for counting alone."""
_base_ = ['uda_streets_256x128.py']
custom_hooks = [dict(type='PseudoLabelHook', dataset={{_base_._counted_target}})]
