"""A loss is a sum and a count: divided they are torch's mean, and parts of a batch add up to the whole."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from recurra.losses import (
    binary_cross_entropy,
    class_weights,
    cross_entropy,
    divergence,
    logit_offsets,
    regression_loss,
)

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(7, 4, generator=GENERATOR, dtype=torch.float64)
TARGET = torch.tensor([0, 3, 1, 1, 2, 3, 3])
CELLS = torch.rand(7, 4, generator=GENERATOR) < 0.5
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_divided_is_the_mean_of_torch(weights, smoothing):
    total, count = cross_entropy(LOGITS, TARGET, weights, smoothing)
    double = None if weights is None else weights.double()
    expected = F.cross_entropy(LOGITS, TARGET, double, label_smoothing=smoothing)
    torch.testing.assert_close(total / count, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_binary_cross_entropy_divided_is_the_mean_of_torch(weights):
    total, count = binary_cross_entropy(LOGITS, CELLS, weights)
    double = None if weights is None else weights.double()
    expected = F.binary_cross_entropy_with_logits(LOGITS, CELLS.double(), pos_weight=double)
    torch.testing.assert_close(total / count, expected, rtol=0, atol=1e-12)
    assert count == 28


def test_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, 0.0], [0.0, torch.tensor(3.0).log()]])
    total, count = cross_entropy(logits, torch.tensor([0, 0]), torch.tensor([2.0, 5.0]))
    assert total.item() == pytest.approx(2 * np.log(2) + 2 * np.log(4), abs=1e-6)
    assert count.item() == 4.0


@pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy])
def test_sums_and_counts_of_parts_add_up_to_those_of_the_whole(loss):
    target = TARGET if loss is cross_entropy else CELLS
    parts = [loss(LOGITS[cut], target[cut], WEIGHTS) for cut in (slice(0, 2), slice(2, 2), slice(2, 7))]
    for added, whole in zip(map(sum, zip(*parts, strict=True)), loss(LOGITS, target, WEIGHTS), strict=True):
        torch.testing.assert_close(added, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy])
def test_a_batch_without_rows_has_sum_and_count_zero_and_zero_gradient(loss, weights):
    logits = torch.zeros(0, 4, requires_grad=True)
    target = torch.zeros(0, dtype=torch.int64) if loss is cross_entropy else torch.zeros(0, 4)
    total, count = loss(logits, target, weights)
    total.backward()
    assert (total.item(), count.item()) == (0.0, 0.0)
    assert logits.grad.shape == (0, 4)


@pytest.mark.parametrize("loss", [cross_entropy, binary_cross_entropy])
def test_half_precision_logits_are_summed_in_float32(loss):
    logits = LOGITS.bfloat16()
    target = TARGET if loss is cross_entropy else CELLS
    total, _ = loss(logits, target)
    assert total.dtype == torch.float32
    torch.testing.assert_close(total, loss(logits.float(), target)[0], rtol=0, atol=0)


def test_balanced_weights_equal_scikit_learn_and_average_to_one_over_the_rows():
    labels = np.repeat(np.arange(3), [1, 3, 8])
    weights = class_weights(torch.bincount(torch.from_numpy(labels)))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert weights.tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert weights[labels].mean().item() == pytest.approx(1.0, rel=1e-6)


def test_a_class_without_rows_weighs_one_and_does_not_count_as_a_class():
    assert class_weights(torch.tensor([1, 0, 3])).tolist() == pytest.approx([2.0, 1.0, 4 / 6], rel=1e-6)
    assert class_weights(torch.tensor([0, 0])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("kind", "mean"), [("mse", F.mse_loss), ("mae", F.l1_loss), ("huber", F.huber_loss)])
def test_a_loss_of_numbers_divided_is_the_mean_of_torch_and_halves_are_widened(kind, mean):
    outputs, target = 3 * LOGITS[:, 0], LOGITS[:, 1]
    total, count = regression_loss(outputs, target, kind)
    torch.testing.assert_close(total / count, mean(outputs, target))
    assert regression_loss(outputs.bfloat16(), target, kind)[0].dtype == torch.float32


def test_divergence_is_the_mean_of_both_kullback_leibler_divergences():
    p, q = LOGITS[:3].log_softmax(1), LOGITS[3:6].log_softmax(1)
    both = F.kl_div(q, p, reduction="sum", log_target=True) + F.kl_div(p, q, reduction="sum", log_target=True)
    torch.testing.assert_close(divergence(LOGITS[:6]), both / 2, rtol=0, atol=1e-12)
    assert divergence(torch.cat([LOGITS, LOGITS + 3.0])).item() == pytest.approx(0.0, abs=1e-12)


def test_divergence_of_several_labels_is_that_of_each_yes_and_no():
    p, q = (torch.distributions.Bernoulli(logits=half) for half in (LOGITS[:3], LOGITS[3:6]))
    kl = torch.distributions.kl_divergence
    expected = (kl(p, q) + kl(q, p)).sum() / 2
    torch.testing.assert_close(divergence(LOGITS[:6], several=True), expected, rtol=0, atol=1e-12)


def test_adjusted_logits_of_a_class_split_by_frequency_alone_are_equal():
    """What a model without inputs learns, log n / N, is all frequency: strength 1 leaves nothing of it."""
    counts = torch.tensor([6.0, 3.0, 1.0])
    offsets = logit_offsets(counts, 1.0)
    torch.testing.assert_close(offsets, torch.tensor([0.6, 0.3, 0.1]).log())
    torch.testing.assert_close(logit_offsets(counts, 0.5), offsets / 2)
    bias = torch.zeros(3, requires_grad=True)
    total, _ = cross_entropy((bias + offsets).expand(10, 3), torch.tensor([0] * 6 + [1] * 3 + [2]))
    total.backward()
    torch.testing.assert_close(bias.grad, torch.zeros(3), rtol=0, atol=1e-6)
