import pytest
import torch
from torch import nn

from recurra.training.averaging import CheckpointAverage, FadingAverage


def test_the_average_is_what_a_hand_computes():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    average = FadingAverage(model, decay=0.15)
    model.weight.data.fill_(2.0)
    average.after_step(0)  # d = 1/10: 0.1 × 1 + 0.9 × 2
    assert average.tensors["weight"].item() == pytest.approx(1.9)
    model.weight.data.fill_(3.0)
    average.after_step(1)  # 2/11 exceeds the decay: d = 0.15
    assert average.tensors["weight"].item() == pytest.approx(0.15 * 1.9 + 0.85 * 3.0)


def test_the_model_carries_the_average_inside_and_its_own_bits_after():
    model = nn.BatchNorm1d(2)
    average = FadingAverage(model, decay=0.9)
    model.weight.data.fill_(1 / 3)
    model.running_mean.fill_(5.0)
    model.num_batches_tracked.fill_(7)
    with pytest.raises(KeyError), torch.no_grad(), average.applied():
        assert model.weight.tolist() == [1.0, 1.0]
        assert model.running_mean.tolist() == [0.0, 0.0]
        assert model.num_batches_tracked.item() == 7
        raise KeyError
    assert torch.equal(model.weight.detach(), torch.full((2,), 1 / 3))
    assert model.running_mean.tolist() == [5.0, 5.0]


def test_the_last_evaluations_count_alike():
    model = nn.Linear(1, 1, bias=False)
    average = CheckpointAverage(model, 2)
    seen = []
    for weight in (1.0, 2.0, 4.0):
        model.weight.data.fill_(weight)
        with torch.no_grad(), average.applied():
            seen.append(model.weight.item())
        assert model.weight.item() == weight
    assert seen == [1.0, 1.5, 3.0]


def test_an_evaluation_cut_short_does_not_count():
    model = nn.Linear(1, 1, bias=False)
    average = CheckpointAverage(model, 2)
    for weight in (1.0, 3.0):
        model.weight.data.fill_(weight)
        with pytest.raises(KeyError), torch.no_grad(), average.applied():
            raise KeyError
    assert average.tensors == {} == average.expected(0)
    with torch.no_grad(), average.applied():
        assert model.weight.item() == 3.0


def test_what_a_checkpoint_keeps_goes_on_as_before():
    model = nn.Linear(2, 1)
    first, second = CheckpointAverage(model, 3), CheckpointAverage(model, 3)
    for weight in (1.0, 5.0):
        model.weight.data.fill_(weight)
        with torch.no_grad(), first.applied():
            pass
    assert {name: one.shape for name, one in first.tensors.items()} == {
        name: one.shape for name, one in first.expected(2).items()
    }
    second.restore(first.tensors)
    model.weight.data.fill_(3.0)
    for average in (first, second):
        with torch.no_grad(), average.applied():
            assert model.weight.tolist() == [[3.0, 3.0]]
    assert first.tensors.keys() == second.tensors.keys() == first.expected(7).keys()
