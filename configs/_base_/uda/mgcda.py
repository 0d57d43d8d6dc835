# A stage of MGCDA: labels of the stylised source, pseudo-labels of the target; load_from is the stage before.
uda = dict(type='MGCDA', target_weight=1.0)
use_ddp_wrapper = True
