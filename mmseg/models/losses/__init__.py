from .accuracy import accuracy
from .adversarial_loss import AdversarialLoss
from .charbonnier_entropy_loss import CharbonnierEntropyLoss
from .confidence_regularization_loss import ConfidenceRegularizationLoss
from .cross_entropy_loss import CrossEntropyLoss
from .distillation_loss import DistillationLoss
from .entropy_balance_loss import EntropyBalanceLoss, RunningQuantile, SourceMedian, pixel_entropy
from .feature_distance_loss import FeatureDistanceLoss
from .light_loss import LightLoss
from .minent_loss import MinEntLoss, self_information
from .prototype_consistency_loss import PrototypeConsistencyLoss
from .reverse_cross_entropy_loss import ReverseCrossEntropyLoss
from .static_loss import StaticLoss

__all__ = ['AdversarialLoss', 'CharbonnierEntropyLoss', 'ConfidenceRegularizationLoss', 'CrossEntropyLoss',
           'DistillationLoss', 'EntropyBalanceLoss', 'FeatureDistanceLoss', 'LightLoss', 'MinEntLoss',
           'PrototypeConsistencyLoss', 'ReverseCrossEntropyLoss', 'RunningQuantile', 'SourceMedian',
           'StaticLoss', 'accuracy', 'pixel_entropy', 'self_information']
