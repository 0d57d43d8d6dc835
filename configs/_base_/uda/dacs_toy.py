# DACS for hundreds of steps of the small network in place of tens of thousands of a large one: a teacher
# that follows sooner, pseudo-labels that count sooner, and a colour jitter as wide as the difference
# between a clear day and the weather of the synthetic streets.
_base_ = ['dacs.py']

uda = dict(
    alpha=0.99,
    pseudo_threshold=0.9,
    color_jitter_strength=dict(_delete_=True, brightness=0.7, contrast=0.7, saturation=0.6, hue=0.05))
