import pytest
import torch
from torch import nn

from recurra.training.optimisation import (
    clip_factor,
    gradient_norm,
    make_optimiser,
    optimiser_tensors,
    parameter_groups,
    restore_optimiser,
    scale,
)

from .tiny import settings


class Spared(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = nn.LSTM(3, 4)
        self.layer_norm = nn.LayerNorm([2, 4])
        self.initial_hidden = nn.Parameter(torch.zeros(1, 4))
        self.gate_bias = nn.Parameter(torch.zeros(2, 4))
        self.slope = nn.Parameter(torch.zeros(()))
        self.frozen = nn.Parameter(torch.zeros(2, 2), requires_grad=False)
        self.output = nn.Linear(4, 2)


def test_decay_spares_vectors_biases_norms_and_initial_states():
    model = Spared()
    names = {parameter: name for name, parameter in model.named_parameters()}
    decayed, spared = parameter_groups(model, 0.1)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert {names[p] for p in decayed["params"]} == {
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
        "output.weight",
    }
    assert {names[p] for p in spared["params"]} == {
        "recurrent.bias_ih_l0", "recurrent.bias_hh_l0", "layer_norm.weight", "layer_norm.bias", "initial_hidden",
        "gate_bias", "slope", "output.bias",
    }  # fmt: skip


def test_a_gradient_of_norm_five_is_clipped_to_one_in_its_direction():
    gradients = [torch.tensor([3.0], dtype=torch.float64), torch.tensor([[4.0]], dtype=torch.float64)]
    norm = gradient_norm(gradients).item()
    scale(gradients, clip_factor(norm, 1.0))
    assert norm == 5.0
    assert gradients[0].item() == pytest.approx(0.6, abs=1e-12)
    assert gradients[1].item() == pytest.approx(0.8, abs=1e-12)


def test_a_short_gradient_and_one_without_a_bound_are_left_alone():
    assert clip_factor(0.9, 1.0) == 1.0
    assert clip_factor(1e9, 0.0) == 1.0
    assert clip_factor(0.0, 1.0) == 1.0


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_an_optimiser_restored_takes_the_same_next_step(name):
    def steps(model, optimiser, count):
        for _ in range(count):
            optimiser.zero_grad()
            model(torch.linspace(-1, 1, 12).view(4, 3)).square().sum().backward()
            optimiser.step()

    torch.manual_seed(1)
    model, other = nn.Linear(3, 5), nn.Linear(3, 5)
    optimiser = make_optimiser(model, settings(optimizer=name))
    steps(model, optimiser, 3)
    other.load_state_dict(model.state_dict())
    restored = make_optimiser(other, settings(optimizer=name))
    restore_optimiser(other, restored, {n: t.clone() for n, t in optimiser_tensors(model, optimiser).items()})
    steps(model, optimiser, 2)
    steps(other, restored, 2)
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(model.bias, other.bias)


def test_optimiser_tensors_of_another_model_are_refused():
    model = nn.Linear(3, 5)
    optimiser = make_optimiser(model, settings())
    with pytest.raises(ValueError, match="'elsewhere/exp_avg' has no place"):
        restore_optimiser(model, optimiser, {"elsewhere/exp_avg": torch.zeros(5, 3)})
    with pytest.raises(ValueError, match="'weight/lr' has no place"):
        restore_optimiser(model, optimiser, {"weight/lr": torch.zeros(5, 3)})
    with pytest.raises(ValueError, match=r"'weight/exp_avg' has the shape \[3, 5\]"):
        restore_optimiser(model, optimiser, {"weight/exp_avg": torch.zeros(3, 5)})


def test_adamw_and_sgd_are_torchs_with_the_decay_and_momentum_that_are_stated():
    gradient = torch.tensor([[0.5, -2.0]])
    for name in ("adamw", "sgd"):
        model = nn.Linear(2, 1, bias=False)
        start = model.weight.detach().clone()
        optimiser = make_optimiser(model, settings(optimizer=name, lr=0.1, weight_decay=0.2))
        model.weight.grad = gradient.clone()
        optimiser.step()
        if name == "adamw":  # the first step has the size of the rate, in the direction of the gradient's sign
            expected = start * (1 - 0.1 * 0.2) - 0.1 * gradient.sign()
        else:  # Nesterov: gradient + momentum × velocity, with decay inside the gradient
            expected = start - 0.1 * 1.9 * (gradient + 0.2 * start)
        assert torch.allclose(model.weight, expected, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_parameter_may_have_its_first_gradient_in_a_later_step(optimizer: str) -> None:
    model = nn.ModuleDict({"common": nn.Linear(2, 1), "rare": nn.Linear(2, 1)})
    made = make_optimiser(model, settings(optimizer=optimizer, lr=0.1))
    x, before = torch.ones(1, 2), model["rare"].weight.detach().clone()
    for modules in (["common"], ["common", "rare"]):
        made.zero_grad(set_to_none=True)
        sum(model[name](x).sum() for name in modules).backward()
        made.step()
    assert not torch.equal(model["rare"].weight, before)
