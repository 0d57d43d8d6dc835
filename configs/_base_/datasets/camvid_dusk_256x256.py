"""CamVid's dusk sequence with labels."""
_base_ = ['camvid_day_256x256.py']
data = dict(train=dict(img_dir='dusk_train/images', ann_dir='dusk_train/labels'))
