# ProDA's stages 2 and 3: labels and logits of the network of the stage before (teacher_from or load_from).
uda = dict(
    type='ProDADistillation',
    threshold=0.95,
    distillation_weight=1.0,
    as_released=True)
use_ddp_wrapper = True
