from mmseg.models.utils.resize import resize

__all__ = ['resize']
