"""MGCDA from clear to adverse synthetic streets, with the small network: translation, labels of lit pictures,
a step, corrected labels, another step.

The streets need clear pictures of the adverse places: tools/make_synthetic_streets.py … --references.

Command:  python run_experiments.py --config configs/toy/streets_mgcda_mitb0_s0.py
Score:    not measured yet.
Cost:     three trainings of 800 iterations, and labels; an hour on two CPU cores. Not measured here.
"""
_base_ = ['streets_mgcda_step2_mitb0_s0.py']

stages = dict(
    translation=dict(_base_=['toy/streets_cyclegan_mitb0_s0.py']),
    translated=dict(
        program='tools/translate.py', args=['{translation.config}', '{translation}', '--out', '{out}']),
    labels=dict(
        program='tools/make_pseudo_labels.py',
        config=dict(_base_=['toy/streets_mgcda_step1_mitb0_s0.py']),
        args=['{config}', 'demo/streets_start_mitb0-47aba2bc.pth', '--rule', 'threshold', '--threshold', 0,
              '--out', '{out}']),
    step1=dict(
        _base_=['toy/streets_mgcda_step1_mitb0_s0.py'],
        data=dict(train=dict(
            source=dict(translated='{translated}'), target=dict(pseudo_labels='{labels}')))),
    corrected=dict(
        program='tools/make_pseudo_labels.py',
        config=dict(_base_=['toy/streets_mgcda_step2_mitb0_s0.py']),
        args=['{config}', '{step1}', '--rule', 'mgcda', '--references', '{step1.config}', '--out', '{out}']))
load_from = '{step1}'
data = dict(train=dict(source=dict(translated='{translated}'), target=dict(pseudo_labels='{corrected}')))

name = 'streets_mgcda_mitb0_s0'
exp = 'basic'
