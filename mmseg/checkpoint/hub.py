"""Pretrained encoders from the Hugging Face hub, where huggingface_hub is installed."""
from __future__ import annotations

import os
import re

from mmseg.utils.errors import UserError

# The repositories whose weights are known to fit; any other 'a/b' is a path.
SEGFORMER = re.compile(r'nvidia/(mit-b[0-5]|segformer-b[0-5]-[\w-]+)')
WEIGHT_FILES = ('model.safetensors', 'pytorch_model.bin')


def is_hub_name(path: str) -> bool:
    """Whether ``path`` is a repository such as 'nvidia/mit-b5'."""
    return SEGFORMER.fullmatch(path) is not None


def weights_in(folder: str) -> str:
    """The weights file in a folder as ``save_pretrained`` or a clone of a repository makes it.

    Raises:
        UserError: it has none.
    """
    for name in WEIGHT_FILES:
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    raise UserError(f"the folder '{folder}' holds neither {' nor '.join(WEIGHT_FILES)}: give a file")


def download(repository: str) -> str:
    """The weights file of a repository, from the hub's cache or, once, from the hub.

    Raises:
        UserError: huggingface_hub is not installed, or the hub cannot be reached; says what to do.
    """
    by_hand = (f'download {WEIGHT_FILES[1]} from https://huggingface.co/{repository} and give its path as '
               'model.pretrained')
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise UserError(f"pretrained weights '{repository}' need the package huggingface_hub: pip install "
                        f'huggingface_hub, or {by_hand}') from error
    reason = 'it has no weights file'
    for name in WEIGHT_FILES:
        try:
            return hf_hub_download(repository, name)
        except LocalEntryNotFoundError as error:  # offline; the other file may be in the cache
            reason = str(error)
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, OSError, ValueError) as error:
            reason = str(error)
            break
    raise UserError(f"pretrained weights '{repository}' cannot be had from the hub ({reason}): {by_hand}")
