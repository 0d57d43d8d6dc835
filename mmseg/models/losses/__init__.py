from .accuracy import accuracy
from .cross_entropy_loss import CrossEntropyLoss
from .entropy_balance_loss import EntropyBalanceLoss, RunningQuantile, pixel_entropy

__all__ = ['CrossEntropyLoss', 'EntropyBalanceLoss', 'RunningQuantile', 'accuracy', 'pixel_entropy']
