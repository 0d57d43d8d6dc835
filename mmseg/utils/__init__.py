from .errors import (
    ArgumentParser,
    CheckpointError,
    ConfigError,
    DataError,
    UserError,
    did_you_mean,
    one_line_errors,
)
from .logger import get_root_logger
from .registry import build_from_cfg
from .seeding import derive_seed, local_seed, set_random_seed

__all__ = ['ArgumentParser', 'CheckpointError', 'ConfigError', 'DataError', 'UserError', 'build_from_cfg',
           'derive_seed', 'did_you_mean', 'get_root_logger', 'local_seed', 'one_line_errors',
           'set_random_seed']
