# The feature distance on CamVid's classes that ImageNet knows: pole, sign, car, pedestrian, bicyclist.
_base_ = ['dacs_fd.py']

uda = dict(
    imnet_feature_dist_classes=[2, 6, 8, 9, 10],
    imnet_feature_dist_scale_min_ratio=0.75)
