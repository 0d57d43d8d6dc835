"""All tests are imported without looking for garbage, as programs are (mmseg/utils/errors.py)."""
from __future__ import annotations

import gc

gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()
