import mmseg  # noqa: F401  (before mmcv, whose announcements it keeps off the terminal)
