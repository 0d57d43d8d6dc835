from .accuracy import accuracy
from .adversarial_loss import AdversarialLoss
from .charbonnier_entropy_loss import CharbonnierEntropyLoss
from .cross_entropy_loss import CrossEntropyLoss
from .entropy_balance_loss import EntropyBalanceLoss, RunningQuantile, pixel_entropy
from .minent_loss import MinEntLoss, self_information

__all__ = ['AdversarialLoss', 'CharbonnierEntropyLoss', 'CrossEntropyLoss', 'EntropyBalanceLoss',
           'MinEntLoss', 'RunningQuantile', 'accuracy', 'pixel_entropy', 'self_information']
