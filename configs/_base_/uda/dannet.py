# DANNet: relit images, two discriminators, night labelled with the help of day. The network is a
# RelitEncoderDecoder (model.type); data.train.domains.reference holds the day images, paired_with='target'.
uda = dict(
    type='DANNet',
    static_classes=11,
    class_weight_std=0.05,
    day_threshold=0.4,
    day_trust=0.8,
    target_size=None,
    adversarial_weight=0.01,
    light_weights=dict(source=1.0, day=0.01, night=0.01),
    light=dict(type='LightLoss', tv_weight=10.0, ssim_weight=1.0, exposure_weight=1.0),
    static=dict(type='StaticLoss', gamma=1.0, eight_neighbours=False),
    discriminator=dict(kind='dannet'))
use_ddp_wrapper = True
