"""How many kernels a step launches: what a GPU would lose time by is counted where there is none."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from two_processes import CLEAN
from uda_models import BALANCE, tiny, uda_model

from benchmarks.kernel_counts import GPUAutocast, KernelCounter, count_step
from benchmarks.train_step import parse_args
from mmseg.models.losses.supervision import regularise, supervise
from mmseg.models.uda.parts.pseudo_label import pixel_weight, pseudo_label
from mmseg.models.uda.parts.strong_augment import apply_jitter


def counts_of(arguments: list[str]) -> dict[tuple[str, str], int]:
    return dict(count_step(parse_args(arguments)).counts)


def test_mit_b5_in_bfloat16_with_a_joint_encoder():
    """Before weights were cast together: 9662 kernels, 4194 casts. In a process of its own: what other
    tests left of torch's settings changes the kernels that it takes."""
    arguments = ['--size', '512', '--batch', '2', '--amp', 'bfloat16', '--joint-encoder']
    with CLEAN.Pool(1) as pool:
        counts = pool.apply(counts_of, (arguments,))
    assert sum(count for (_, kind), count in counts.items() if kind == 'cast') <= 1000
    assert sum(counts.values()) <= 6500
    # a frozen encoder and a teacher cast what flows through them, not their weights
    assert counts['ImageNet encoder', 'cast'] <= counts['teacher', 'cast'] < 230
    assert sum(count for (part, _), count in counts.items() if part == 'average of the teacher') == 1


@pytest.mark.parametrize('losses, forward, backward', [
    ([], 13, 7), ([BALANCE], 23, 18), ([dict(BALANCE, target=dict(type='RunningQuantile'))], 33, 18)])
def test_losses_that_are_compiled_with_their_pass(losses, forward, backward):
    model = uda_model(tiny(), mix_losses=losses).train().to('meta')
    output = model.model.outputs(torch.empty(2, 3, 32, 32, device='meta'))[0]
    logits = output.prediction.logits = output.logits.detach().requires_grad_()
    label = torch.empty(2, 1, 32, 32, dtype=torch.int64, device='meta')
    counter = KernelCounter()
    with counter, counter.part('forward'):
        terms = supervise(output, label, torch.empty(2, 32, 32, device='meta'))
        total = (terms + regularise(model.mix_losses, output)).total()
    with counter, counter.part('backward'):
        torch.autograd.grad(total, logits)
    assert counter.by_part() == dict(forward=forward, backward=backward)


def test_a_jitter_and_a_pseudo_label_are_many_kernels():
    """kornia's, so the number is about that of 0.9: 105."""
    counter, logits = KernelCounter(), torch.empty(2, 19, 32, 32, device='meta')
    with counter, counter.part('jitter'):
        apply_jitter(torch.empty(1, 3, 32, 32, device='meta'), torch.empty(4, 1, device='meta'), range(4))
    with counter, counter.part('pseudo-label'):
        label, quality = pseudo_label(logits, 0.968)
        pixel_weight(quality, label.shape, 1, 4)
    found = counter.by_part()
    assert 90 < found['jitter'] < 120 and found['pseudo-label'] == 7


def test_the_counter():
    layer = nn.Linear(4, 4, device='meta')
    with KernelCounter() as counter:
        x = torch.zeros(2, 4, device='meta')
        with counter.part('forward'):
            y = layer(x).view(2, 2, 2)
        with counter.part('other'):
            y.to(torch.bfloat16).clone()
            torch.zeros(3).to('meta')
        with torch.inference_mode(), counter.part('inference'):
            F.dropout(F.layer_norm(layer(x).to(torch.bfloat16), (4,)), training=False)
    assert counter.counts == {
        ('the rest', 'fill'): 1, ('forward', 'matmul'): 1, ('other', 'cast'): 1, ('other', 'copy'): 1,
        ('other', 'upload'): 1, ('inference', 'matmul'): 1, ('inference', 'cast'): 1,
        ('inference', 'norm'): 1}


def test_autocast_of_a_gpu_is_torchs(monkeypatch):
    """Fake tensors of a GPU know torch's own autocast, though they cannot go backward without one."""
    def dtypes(device: str, autocast) -> list:
        x = torch.zeros(2, 4, 8, device=device)
        weight, kernel = torch.zeros(8, 8, device=device), torch.zeros(8, 8, 1, 1, device=device)
        with autocast():
            x = F.linear(x, weight)
            norm = F.layer_norm(x, (8,))
            image = F.conv2d(norm.unflatten(1, (2, 2)).permute(0, 3, 1, 2), kernel)
            q = x.unsqueeze(1)
            found = [x, norm, image, F.relu(image), F.gelu(x), norm + x, F.softmax(x, -1), x @ x.mT,
                     F.scaled_dot_product_attention(q, q, q), torch.cat([image, image])]
        return [one.dtype for one in found]

    def gpu() -> torch.autocast:
        with monkeypatch.context() as patch:
            patch.setattr(torch.cuda, 'is_available', lambda: True)
            patch.setattr(torch.cuda, 'is_bf16_supported', lambda *args, **kwargs: True)
            return torch.autocast('cuda', torch.bfloat16)

    with FakeTensorMode():
        expected = dtypes('cuda', gpu)
    assert set(expected) == {torch.bfloat16, torch.float32}
    assert dtypes('meta', lambda: GPUAutocast(torch.bfloat16)) == expected
