"""BDL in two rounds from clear to adverse synthetic streets, with the small network: adversarial training,
labels of the target from it, and the training again with these.

Command:  python run_experiments.py --config configs/toy/streets_bdl_ssl_mitb0_s0.py
Score:    not measured yet.
Cost:     two trainings of 800 iterations of batch 2 at 256x128; minutes on two CPU cores.
"""
_base_ = ['streets_bdl_mitb0_s0.py']

stages = dict(
    bdl=dict(_base_=['toy/streets_bdl_mitb0_s0.py']),
    labels=dict(
        program='tools/make_pseudo_labels.py',
        args=['{bdl.config}', '{bdl}', '--rule', 'bdl', '--upsample', 'softmax', '--out', '{out}']))
data = dict(train=dict(target=dict(pseudo_labels='{labels}')))

name = 'streets_bdl_ssl_mitb0_s0'
