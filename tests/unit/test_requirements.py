"""What a part of a user's lacks is told in one line when it is built."""
from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset
from uda_models import tiny

from mmseg.core.method import Method, Pass, Terms
from mmseg.core.optimizer_step import OptimizerStep
from mmseg.datasets import DATASETS, CustomDataset, build_dataset
from mmseg.models import build_head, build_loss, build_segmentor, build_train_model
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.decode_heads.fcn_head import FCNHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.losses.supervision import supervise_head
from mmseg.models.output import HeadOutput
from mmseg.models.uda import UDADecorator
from mmseg.utils import ConfigError


class Bare(nn.Module):
    def forward(self, x):
        return x


class NamelessLoss(CrossEntropyLoss):
    def __init__(self):
        super().__init__()
        del self.loss_name


class ShortLoss(CrossEntropyLoss):
    def forward(self, logits, label, weight=None):
        return logits.sum()


class NoForward(BaseDecodeHead):
    pass


class LossWithoutForward(nn.Module):
    loss_name, loss_weight = 'loss_own', 1.0


class Handing(FCNHead):
    def __init__(self, **settings):
        super().__init__(channels=8, **settings)


class NoStep(UDADecorator):
    def __init__(self, model: dict, max_iters: int):
        super().__init__(model)


class Narrow(UDADecorator):
    def __init__(self, model: dict):
        super().__init__(model)


class NoNetworks(Method):
    def __init__(self, model: dict, max_iters: int):
        super().__init__()

    def passes(self, batch):
        return []


class BareData(Dataset):
    CLASSES, PALETTE = ('a',), ((0, 0, 0),)


HEAD = dict(in_channels=8, in_index=0, channels=8, num_classes=19)


@pytest.mark.parametrize('build, cfg, told', [
    (build_head, dict(type=Bare), "head 'Bare' has no training_logits: derive it from BaseDecodeHead"),
    (build_head, dict(HEAD, type=Bare), "head 'Bare' has no training_logits: derive it from BaseDecodeHead"),
    (build_head, dict(type=Handing, in_channels=8, in_index=0),
     r"head 'Handing': BaseDecodeHead.__init__\(\) missing 1 required keyword-only argument: 'num_classes'"),
    (build_head, dict(HEAD, type=Handing),
     "head 'Handing': .* got multiple values for keyword argument 'channels'"),
    (build_head, dict(type='Unregistered'), 'unknown head type .*of your own stands in custom_imports'),
    (build_loss, dict(type=NamelessLoss), "loss 'NamelessLoss' has no loss_name"),
    (build_head, dict(HEAD, type=FCNHead, loss_decode=dict(type=ShortLoss)),
     "loss 'ShortLoss' has no argument ignore_index"),
    (build_head, dict(HEAD, type=NoForward), "head 'NoForward' has no forward, which its base class leaves"),
    (build_loss, dict(type=LossWithoutForward), "loss 'LossWithoutForward' has no forward"),
    (build_dataset, dict(type=Dataset, img_dir='x'), "dataset 'Dataset' has no CLASSES: derive it from"),
    (build_dataset, dict(type=BareData),
     "dataset 'BareData' has no ignore_index: derive it from CustomDataset")])
def test_parts(build, cfg, told):
    with pytest.raises(ConfigError, match=told) as error:
        build(cfg)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('method, told', [
    (NoStep, "uda 'NoStep' has no passes: a method that says"),
    (Narrow, "uda 'Narrow' has no argument 'max_iters', which its constructor is given beside the keys"),
    (NoNetworks, "uda 'NoNetworks' has no init_weights: derive it from UDADecorator")])
def test_methods(method, told):
    with pytest.raises(ConfigError, match=told):
        build_train_model(dict(model=tiny(), uda=dict(type=method), runner=dict(max_iters=1)))


def test_an_encoder_that_gives_one_map_is_told():
    class OneMap(Bare):
        def init_weights(self):
            pass

    model = build_segmentor(dict(type='EncoderDecoder', backbone=dict(type=OneMap),
                                 decode_head=dict(HEAD, type='FCNHead', in_channels=3)))
    model.init_weights()
    with pytest.raises(ConfigError, match='the encoder returns a tensor, expected a list'):
        model.encode_decode(torch.zeros(2, 3, 8, 8))


def test_an_encoder_without_its_weights_method_is_told():
    model = build_segmentor(dict(type='EncoderDecoder', backbone=dict(type=Bare),
                                 decode_head=dict(HEAD, type='FCNHead')))
    with pytest.raises(ConfigError, match="backbone 'Bare' has no init_weights: a method that loads"):
        model.init_weights()


class LateClasses(Dataset):
    def __init__(self):
        self.CLASSES, self.PALETTE, self.ignore_index = ('a',), ((0, 0, 0),), 255


@pytest.mark.parametrize('kind', [LateClasses, lambda: LateClasses()])
def test_a_data_set_may_name_its_classes_when_it_is_made(kind):
    assert build_dataset(dict(type=kind)).CLASSES == ('a',)


def test_a_data_set_of_named_classes_has_colours(tmp_path):
    class Own(CustomDataset):
        CLASSES = ('road', 'sky')

    (tmp_path / 'a.jpg').write_bytes(b'')
    dataset = Own(pipeline=[], img_dir=str(tmp_path), use_labels=False)
    assert len({*map(tuple, dataset.PALETTE)}) == 2
    assert 'Own' not in DATASETS.module_dict


@pytest.mark.parametrize('passes, told', [
    (lambda net, loss: None, 'passes of EncoderDecoder returns None, expected a list of Pass'),
    (lambda net, loss: [loss], 'passes of EncoderDecoder returns .*function.*, expected a list of Pass'),
    (lambda net, loss: [Pass(loss, ('teacher',))], "no optimiser trains a network 'teacher', only model"),
    (lambda net, loss: [Pass(lambda: loss().losses, ('model',))], "'.*<lambda>' returns a dict, expected"),
    (lambda net, loss: [Pass(lambda: Terms({'l': loss().total().detach()}), ('model',))],
     r"the pass '.*<lambda>' \(l\) have no gradient: they do not depend on model"),
    (lambda net, loss: [Pass(lambda: net.network('modle')(0), ('model',))],
     "EncoderDecoder has no network 'modle': did you mean 'model'")])
def test_what_a_method_plans(passes, told):
    net = build_segmentor(tiny())
    net.passes = lambda batch: passes(net, lambda: Terms({'l': net.decode_head.conv_seg.weight.sum()}))
    with pytest.raises(ConfigError, match=told) as error:
        net.train_step(dict(img=torch.zeros(1, 3, 8, 8)),
                       OptimizerStep(torch.optim.SGD(net.parameters(), 0.1)))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('found', [None, 0.5, (torch.zeros(()),)])
def test_a_loss_that_returns_no_tensor(found):
    class Own(nn.Module):
        loss_name, loss_weight = 'loss_own', 1.0

        def forward(self, logits, label, weight=None, ignore_index=255):
            return found

    head = build_head(dict(HEAD, type=FCNHead, loss_decode=dict(type=Own)))
    with pytest.raises(ConfigError, match=f"loss 'Own' returns a {type(found).__name__}, expected a tensor"):
        supervise_head(HeadOutput(torch.zeros(1, 19, 4, 4), head, torch.zeros(1, 19, 4, 4)),
                       torch.zeros(1, 1, 4, 4, dtype=torch.long))


@pytest.mark.parametrize('found, told', [
    (torch.zeros(1, 8, 4, 4), r'returns \(1, 8, 4, 4\), expected logits \(B C h w\) of C = 19'),
    (torch.zeros(1, 19, 4), r'returns \(1, 19, 4\), expected'),
    ([torch.zeros(1, 19, 4, 4)] * 4, 'returns a list')])
def test_a_head_that_returns_no_logits(found, told):
    class Own(FCNHead):
        def forward(self, inputs):
            return found

    class Maps(Bare):
        def forward(self, img):
            return [img]

    net = build_segmentor(dict(type='EncoderDecoder', backbone=dict(type=Maps),
                               decode_head=dict(HEAD, type=Own, in_channels=3)))
    with pytest.raises(ConfigError, match=f"head 'Own' {told}"):
        net.outputs(torch.zeros(1, 3, 8, 8))


def test_a_head_with_all_that_is_asked_for_needs_no_base_class():
    class Own(Bare):
        num_classes, align_corners, ignore_index, losses_decode, sampler = 3, False, 255, (), None

        def training_logits(self, inputs):
            return {'': inputs[0]}

        def upsample(self, logits, size):
            return nn.functional.interpolate(logits, size)

    class Maps(Bare):
        def forward(self, img):
            return [img[..., ::2, ::2]]

    net = build_segmentor(dict(type='EncoderDecoder', backbone=dict(type=Maps), decode_head=dict(type=Own)))
    [output] = net.outputs(torch.zeros(1, 3, 8, 8))
    assert output.logits.shape == (1, 3, 8, 8)
