"""The adverse synthetic streets with labels."""
_base_ = ['streets_source_256x128.py']
data = dict(
    train=dict(
        type='ACDCDataset',
        data_root='data/streets/acdc/',
        img_dir='rgb_anon/train',
        ann_dir='gt/train'))
