"""Street scenes: the folders of each domain as source, as target and for evaluation, without pipelines.

The files beside this one say how the images are resized, cropped and normalised; those in ../datasets choose
among the domains. A name that begins with an underscore is for the files that build on this one; no run
sees it.
"""
_gta = dict(type='GTADataset', data_root='data/gta/', img_dir='images', ann_dir='labels')
_synthia = dict(type='SynthiaDataset', data_root='data/synthia/', img_dir='RGB', ann_dir='GT/LABELS')
_cityscapes = dict(type='CityscapesDataset', data_root='data/cityscapes/')
_acdc = dict(type='ACDCDataset', data_root='data/acdc/')
_dark_zurich = dict(type='DarkZurichDataset', data_root='data/dark_zurich/')
_foggy = dict(type='FoggyCityscapesDataset', data_root='data/cityscapes/')
_rain = dict(type='RainCityscapesDataset', data_root='data/cityscapes/')
_train = dict(
    gta=_gta,
    synthia=_synthia,
    cityscapes=dict(_cityscapes, img_dir='leftImg8bit/train', ann_dir='gtFine/train'),
    acdc=dict(_acdc, img_dir='rgb_anon/train', ann_dir='gt/train'),
    dark_zurich=dict(
        _dark_zurich, img_dir='rgb_anon/train/night/', ann_dir='rgb_anon/train/night/'),
    foggy=dict(_foggy, img_dir='leftImg8bit_foggy/train', ann_dir='gtFine/train'),
    rain=dict(_rain, img_dir='leftImg8bit_rain/train', ann_dir='gtFine/train'))
_source = _train
_target = _train
_val = dict(
    cityscapes=dict(_cityscapes, img_dir='leftImg8bit/val', ann_dir='gtFine/val'),
    acdc=dict(_acdc, img_dir='rgb_anon/val', ann_dir='gt/val'),
    dark_zurich=dict(_dark_zurich, img_dir='rgb_anon/val', ann_dir='gt/val'),
    foggy=dict(_foggy, img_dir='leftImg8bit_foggy/val', ann_dir='gtFine/val'),
    rain=dict(_rain, img_dir='leftImg8bit_rain/val', ann_dir='gtFine/val'))
# pixels of a rare class that an image must hold to be drawn for it
_min_pixels = 3000
# Rows of the target where Cityscapes shows its rectification border and the bonnet of the ego vehicle. The
# reference implementation leaves them out on ACDC and Dark Zurich too.
_ignored_rows = dict(top=15, bottom=120)
# Top, bottom, left and right where HRDA leaves out the pseudo-labels of Cityscapes, in pixels of its files.
_margins = [30, 240, 30, 30]
data = dict(samples_per_gpu=2, workers_per_gpu=4)
