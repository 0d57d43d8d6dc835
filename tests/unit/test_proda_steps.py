"""ProDA's stages as methods: whole steps against golden values of the authors' code, and what they refuse."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial

import golden
import pytest
import torch
from method_recipe import CLASSES, ToyFeat, assert_agree, probabilities, sample
from test_proda_parts import CROP, PLAIN, SEED, VIEWS, filled
from torch import Tensor, nn
from two_processes import both
from uda_models import META, batch, tiny

from mmseg.core.method import TargetImages
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.engine.optimizer import build_optimizers
from mmseg.models.builder import BACKBONES, HEADS, build_train_model
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.uda import proda, proda_distillation
from mmseg.models.uda.parts.ema_teacher import follow
from mmseg.models.uda.parts.quarter import classified
from mmseg.models.uda.parts.strong_view import GREY, StrongView, strong_images, warp_labels
from mmseg.utils import ConfigError
from mmseg.utils.distributed import parallel

SGD = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=2e-4)
TEN = dict(SGD, paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))))
ADAM = dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))


@BACKBONES.register_module()
class ManyChannels(nn.Module):
    """Features of 256 channels at 1/8."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 256, 3, stride=8, padding=1)

    def forward(self, img: Tensor) -> list[Tensor]:
        return [self.body(img)]


@HEADS.register_module()
class PlainClassifier(BaseDecodeHead):
    def forward(self, inputs):
        return self.cls_seg(inputs[0])


def weights(theirs: nn.Module) -> dict[str, Tensor]:
    """Those of the authors' toy network, under the names of ours."""
    names = {'body': 'backbone.body', 'head': 'decode_head.conv_seg'}
    return {f'{names[key.split(".")[0]]}.{key.split(".")[1]}': value
            for key, value in theirs.state_dict().items()}


def method(**uda) -> nn.Module:
    head = dict(type='PlainClassifier', in_channels=256, in_index=0, channels=256, dropout_ratio=0,
                num_classes=CLASSES, align_corners=True,
                loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
    model = dict(type='EncoderDecoder', backbone=dict(type='ManyChannels'), decode_head=head,
                 test_cfg=dict(mode='whole'))
    found = build_train_model(dict(model=model, uda=uda, runner=dict(max_iters=10))).train()
    found.get_model().load_state_dict(weights(ToyFeat()))
    return found


def images(k: int) -> dict:
    return dict(img=golden.image(SEED + 600 + k, 2, *CROP), img_metas=[META] * 2,
                gt_semantic_seg=golden.label(SEED + 610 + k, 2, *CROP),
                target_img=golden.image(SEED + 620 + k, 2, *CROP), target_img_metas=[META] * 2)


@pytest.fixture
def given_views(monkeypatch) -> Callable[[int], None]:
    """The strong views of a step are those of the recipe, whose images are none of the weak ones."""
    step = [0]
    drawn = iter(PLAIN * 2)
    monkeypatch.setattr(StrongView, 'draw', lambda size, **settings: next(drawn))
    for module in (proda, proda_distillation):
        monkeypatch.setattr(module, 'strong_images',
                            lambda *_: golden.image(SEED + 630 + step[0], 2, *CROP))
    return lambda k: step.__setitem__(0, k)


def assert_trained_as(network: nn.Module, expected: dict, prefix: str) -> None:
    state = network.state_dict()
    names = weights(ToyFeat())
    for key, name in zip(ToyFeat().state_dict(), names):
        assert_agree(state[name].flatten()[:64], expected[f'{prefix}/{key}'], 1e-3)


def test_two_steps_of_the_warm_up():
    expected = golden.load('golden_proda.npz')
    warmup = method(type='ProDAWarmup')
    golden.fill(warmup.discriminator)
    step = OptimizerStep(build_optimizers(warmup, dict(student=TEN, discriminator=ADAM)))
    for k in range(2):
        log = warmup.train_step(images(k), step)['log_vars']
        assert_agree(log['decode.loss_seg'], expected[f'warmup/step{k}/source'], 1e-3)
        assert_agree(log['trg.adversarial'], expected[f'warmup/step{k}/adv'], 1e-3)
        assert_agree(log['d.source'] + log['d.target'], expected[f'warmup/step{k}/D'], 1e-3)
    assert_trained_as(warmup.get_model(), expected, 'warmup/after')
    judge = warmup.discriminator.state_dict()
    for name in ('conv1.weight', 'conv4.weight', 'classifier.weight'):
        assert_agree(judge[name].flatten()[:64], expected[f'warmup/after_D/{name}'], 1e-3)


def test_two_steps_of_stage_1(given_views):
    expected = golden.load('golden_proda.npz')
    stage = method(type='ProDA', momentum=0.01, prototype_steps=0)
    stage.prototypes.load_state_dict(filled().state_dict())
    stage.prototypes.counts.fill_(1)
    step = OptimizerStep(build_optimizers(stage, SGD))
    for k in range(2):
        given_views(k)
        data = dict(images(k), target_full_img=golden.image(SEED + 640 + k, 2, 128, 256), target_views=VIEWS,
                    target_soft_label=probabilities(SEED + 650 + 10 * k, 2, CLASSES, *CROP))
        log = stage.train_step(data, step)['log_vars']
        target = log['trg.ce'] + log['trg.rce'] + log['trg.regularization']
        assert_agree(target, expected[f'stage1/step{k}/cts'], 1e-3)
        assert_agree(log['trg.consistency'] / 10, expected[f'stage1/step{k}/consist'], 1e-3)
        assert_agree(target + log['trg.consistency'], expected[f'stage1/step{k}/total'], 1e-3)
    assert_trained_as(stage.get_model(), expected, 'stage1/after')
    assert_trained_as(stage.get_ema_model(), expected, 'stage1/after_ema')
    assert_agree(sample(stage.prototypes.vectors, 41), expected['stage1/after_prototypes'], 1e-3)


def test_two_steps_of_stage_2(given_views):
    expected = golden.load('golden_proda.npz')
    stage = method(type='ProDADistillation', teacher_from='the file of the stage before')
    stage.teacher.load_state_dict(weights(golden.fill(ToyFeat(), prefix='teacher.')))
    step = OptimizerStep(build_optimizers(stage, SGD))
    for k in range(2):
        given_views(k)
        label = golden.label(SEED + 660 + k, 2, *CROP, cell=8)
        log = stage.train_step(dict(images(k), target_pseudo_semantic_seg=label), step)['log_vars']
        assert_agree(log['decode.loss_seg'], expected[f'stage2/step{k}/source'], 1e-3)
        assert_agree(log['trg.ce'] + log['trg.distillation'], expected[f'stage2/step{k}/total'], 1e-3)
    assert_trained_as(stage.get_model(), expected, 'stage2/after')


# ------------------------------------------------------------------- what the golden steps do not show


def small(images: int = 2, **uda) -> tuple[nn.Module, OptimizerStep, dict]:
    torch.manual_seed(0)
    found = build_train_model(dict(model=tiny(), uda=uda, runner=dict(max_iters=4))).train()
    return found, OptimizerStep(build_optimizers(found, SGD)), batch(3, size=32, images=images, cell=8)


def test_prototypes_are_averaged_before_the_target_is_learnt():
    stage, step, data = small(type='ProDA', prototype_steps=2)
    logs = [stage.train_step(data, step)['log_vars'] for _ in range(3)]
    assert ['trg.rce' in log for log in logs] == [False, False, True]
    fresh = small(type='ProDA')[0]  # the weights that the training starts from
    with torch.no_grad():
        seen: list[Tensor] = []
        fresh.model.decode_head.conv_seg.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        fresh.model.eval().encode_decode(data['target_img'])
        logits = fresh.model.decode_head.conv_seg(seen[0])
    features, label = seen[0], logits.argmax(1)
    for c in range(19):
        means = [f[:, y == c].mean(1) for f, y in zip(features, label) if (y == c).sum() >= 10]
        if means:  # twice the same two images
            torch.testing.assert_close(stage.prototypes.vectors[c], torch.stack(means).mean(0), rtol=1e-3,
                                       atol=1e-4)
        else:
            assert float(stage.prototypes.counts[c]) == 0
    assert (stage.prototypes.counts > 0).any()


def test_soft_labels_are_those_of_the_weights_that_the_training_starts_from():
    stage, step, data = small(type='ProDA', prototype_steps=1)
    start = {key: value.clone() for key, value in stage.model.state_dict().items()}
    for _ in range(3):
        stage.train_step(data, step)
    assert all(torch.equal(value, start[key]) for key, value in stage.start_model.state_dict().items())
    assert not stage.start_model.training
    stored = torch.zeros(2, 19, 32, 32)
    stored[:, 5] = 1
    label = stage._soft_label(dict(data, target_soft_label=stored)).argmax(1)
    assert (label == 5).all()


def test_the_teacher_follows_with_the_buffers_of_the_student():
    teacher, student = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    nn.init.constant_(student.weight, 3.0)
    student.running_mean.fill_(7.0)
    follow(teacher, student, 0.75)
    assert teacher.weight.tolist() == [1.5, 1.5]
    assert teacher.running_mean.tolist() == [7.0, 7.0]


def test_the_teacher_of_stage_1_is_averaged_after_each_step():
    stage, step, data = small(type='ProDA', alpha=0.5)
    expected = stage.model.decode_head.conv_seg.weight.detach().clone()
    for _ in range(2):
        stage.train_step(data, step)
        expected = (expected + stage.model.decode_head.conv_seg.weight.detach()) / 2
        torch.testing.assert_close(stage.ema_model.decode_head.conv_seg.weight, expected)
    assert not torch.allclose(expected, stage.model.decode_head.conv_seg.weight, rtol=1e-4)


def test_the_teacher_trains_its_norms_and_drops_nothing():
    model = tiny()
    model['decode_head'].update(dropout_ratio=0.5, norm_cfg=dict(type='BN'))
    stage = build_train_model(dict(model=model, uda=dict(type='ProDA'), runner=dict(max_iters=4))).train()
    heads = [network.decode_head for network in (stage.model, stage.ema_model, stage.start_model)]
    assert [head.dropout.training for head in heads] == [True, False, False]
    assert [head.convs[0].bn.training for head in heads] == [True, True, False]


def test_strong_images_are_views_of_what_the_camera_saw():
    mean, std = (torch.tensor(META['img_norm_cfg'][key]).view(3, 1, 1) / 255 for key in ('mean', 'std'))
    seen = torch.rand(2, 3, *CROP, generator=torch.Generator().manual_seed(0))
    views = [StrongView(CROP, True, (('Solarize', 0.5),), (8, 40, 12, 44)), StrongView(CROP)]
    strong = strong_images((seen - mean) / std, [META] * 2, views) * std + mean
    torch.testing.assert_close(strong[0], views[0].image(seen[0]), rtol=0, atol=1e-5)
    torch.testing.assert_close(strong[1], seen[1], rtol=0, atol=1e-5)
    assert float(strong[0, :, 20, 20].sub(GREY).abs().max()) < 1e-5


def test_labels_follow_the_strong_view():
    label = torch.arange(4).repeat(4, 1)[None]
    warped = warp_labels(label, [StrongView((16, 16), flip=True, cutout=(0, 4, 0, 8))], 255)
    assert warped.tolist() == [[[255, 2, 1, 0]] * 2 + [[3, 2, 1, 0]] * 2]


def test_pixels_that_the_teacher_is_not_certain_of_have_no_label():
    stage, _, data = small(type='ProDADistillation', threshold=1.0)
    stage.teacher.decode_head.conv_seg.bias.data[3] = 1000.0  # certain, and still not above 1
    assert (stage._label(data) == 255).all()
    stage, _, data = small(type='ProDADistillation', threshold=0.0)
    expected = stage.teacher.encode_decode(data['target_img']).argmax(1, keepdim=True)
    assert torch.equal(stage._label(data), expected)
    given = dict(data, target_pseudo_semantic_seg=torch.zeros(2, 1, 32, 32))
    assert stage._label(given) is given['target_pseudo_semantic_seg']


def test_the_network_of_the_stage_before_is_loaded(tmp_path):
    stage, _, _ = small(type='ProDA')
    torch.save(dict(state_dict=stage.state_dict()), tmp_path / 'stage1.pth')
    torch.manual_seed(9)
    later = build_train_model(dict(model=tiny(), runner=dict(max_iters=4), uda=dict(
        type='ProDADistillation', teacher_from=str(tmp_path / 'stage1.pth'))))
    own = later.model.decode_head.conv_seg.weight.clone()
    later.model.backbone.init_weights = lambda: None
    later.init_weights()
    later.begin_step()
    assert torch.equal(later.teacher.decode_head.conv_seg.weight, stage.model.decode_head.conv_seg.weight)
    assert torch.equal(later.model.decode_head.conv_seg.weight, own)


@pytest.mark.parametrize('kind', ['ProDA', 'ProDADistillation'])
def test_networks_that_it_cannot_train_are_told(kind):
    with pytest.raises(ConfigError, match='without auxiliary heads'):
        build_train_model(dict(model=tiny(auxiliary=True), uda=dict(type=kind), runner=dict(max_iters=4)))
    head = dict(type='DLV2Head', in_channels=16, in_index=1, num_classes=19, dilations=(6, 12))
    with pytest.raises(ConfigError, match='DLV2Head does not'):
        build_train_model(dict(model=dict(tiny(), decode_head=head), uda=dict(type=kind),
                               runner=dict(max_iters=4)))


def test_empty_prototypes_are_told():
    stage, step, data = small(type='ProDA', prototype_steps=0)
    with pytest.raises(ConfigError, match='prototypes are empty'):
        stage.train_step(data, step)


def target_images(first: int = 0, every: int = 1) -> TargetImages:
    """Of three whole images, the share of a process."""
    whole = [golden.image(SEED + 90 + k, 1, 32, 48) for k in range(3)]
    return TargetImages(3, ((k, whole[k]) for k in range(first, 3, every)))


def started(first: int = 0, every: int = 1, **settings) -> nn.Module:
    stage, _, _ = small(type='ProDA', prototype_steps=0, **settings)
    stage.eval().start(lambda: target_images(first, every))
    return stage.train()


@pytest.mark.parametrize('cap', [3000, 2])
def test_prototypes_begin_as_means_over_all_target_images(cap):
    """Running means of four epochs, whose count is capped, by the authors' words."""
    stage, _, _ = small(type='ProDA', prototype_epochs=4, prototype_steps=0)
    stage.prototypes.max_count = cap
    stage.eval().start(target_images)
    means: dict[int, Tensor] = {}
    counts = dict.fromkeys(range(19), 0)
    with torch.no_grad():
        for _ in range(4):
            for _, img in target_images().images:
                output, feature = classified(stage.model, stage.model, img)
                label = output.prediction.coarse.argmax(1)[0]
                for c in range(19):
                    if (label == c).sum() >= 10:
                        mean = feature[0][:, label == c].mean(1)
                        means[c] = (means.get(c, 0) * counts[c] + mean) / (counts[c] + 1)
                        counts[c] = min(counts[c] + 1, cap)
    assert means
    assert stage.prototypes.counts.tolist() == list(counts.values())
    for c, mean in means.items():
        torch.testing.assert_close(stage.prototypes.vectors[c], mean, rtol=1e-4, atol=1e-5)


def test_labels_are_cut_from_those_of_the_full_image():
    """The start network's probabilities of the whole image, enlarged to it, and then the crop's view."""
    stage = started(prototype_epochs=1)
    stage.begin_step()
    full = golden.image(SEED + 80, 2, 64, 96)
    metas = [dict(META, crop_from=(64, 96), crop_bbox=(16, 48, 32, 64), flip=flip) for flip in (False, True)]
    data = dict(target_img=full[..., 16:48, 32:64], target_img_metas=metas, target_full_img=full)
    with torch.no_grad():
        coarse = stage.start_model.coarse_logits(full).softmax(1)
        prob = torch.nn.functional.interpolate(coarse, (64, 96), mode='bilinear', align_corners=True)
        prob = prob[..., 16:48, 32:64]
        prob[1] = prob[1].flip(-1)
        expected = torch.nn.functional.interpolate(prob, (8, 8), mode='bilinear', align_corners=True)
        torch.testing.assert_close(stage._soft_label(data), expected)
        alone = stage._soft_label({key: data[key] for key in ('target_img', 'target_img_metas')})
    assert not torch.allclose(alone, expected, atol=1e-3)


def prototypes_of_process(rank: int) -> tuple[Tensor, Tensor]:
    stage, step, _ = small(type='ProDA', prototype_steps=2)
    stage.distribute(partial(parallel, device=torch.device('cpu')))
    stage.train_step(batch(rank, size=32, images=1, cell=8), step)
    return stage.prototypes.vectors, started(rank, 2, prototype_epochs=4).prototypes.vectors


def test_prototypes_are_of_the_images_of_all_processes(tmp_path, one_thread):
    (first, start), (second, other_start) = both(tmp_path, prototypes_of_process)
    assert torch.equal(start, other_start)
    torch.testing.assert_close(start, started(prototype_epochs=4).prototypes.vectors, rtol=1e-5, atol=1e-6)
    stage, step, _ = small(type='ProDA', prototype_steps=2)
    parts = [batch(rank, size=32, images=1, cell=8) for rank in (0, 1)]
    stage.train_step({key: torch.cat([part[key] for part in parts]) if torch.is_tensor(parts[0][key])
                      else parts[0][key] + parts[1][key] for key in parts[0]}, step)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, stage.prototypes.vectors, rtol=1e-5, atol=1e-6)
    assert float(first.abs().max()) > 0
