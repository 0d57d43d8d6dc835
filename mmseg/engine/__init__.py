from mmseg.utils import quick_start  # noqa: F401  before all that imports mmcv.runner
