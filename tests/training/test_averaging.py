import pytest
import torch
from torch import nn

from recurra.training.averaging import WeightAverage


def test_the_average_is_what_a_hand_computes():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    average = WeightAverage(model, decay=0.15)
    model.weight.data.fill_(2.0)
    average.update(0)  # d = 1/10: 0.1 × 1 + 0.9 × 2
    assert average.tensors["weight"].item() == pytest.approx(1.9)
    model.weight.data.fill_(3.0)
    average.update(1)  # 2/11 exceeds the decay: d = 0.15
    assert average.tensors["weight"].item() == pytest.approx(0.15 * 1.9 + 0.85 * 3.0)


def test_the_model_carries_the_average_inside_and_its_own_bits_after():
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, decay=0.9)
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
