# Translation of the source with BDL's perceptual terms; load_from is the segmenter that sees them.
uda = dict(
    type='CycleGAN',
    blocks=9,
    channels=64,
    pool_size=50,
    weights=dict(adversarial=1.0, cycle=10.0, identity=5.0, semantic=0.1, restored_semantic=10.0))
use_ddp_wrapper = True
