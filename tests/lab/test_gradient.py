"""The gradient over distance, beside what it is by hand and by torch's own Jacobian."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recurra.errors import SettingsError
from recurra.lab.gradient import (
    Stack,
    clip,
    draw_directions,
    draw_input,
    factor_a_step,
    gradient_by_distance,
    make_stack,
    set_forget_bias,
)
from recurra.nn import LSTM, Recurrent


def linear(size: int, factor: float, **options: object) -> Recurrent:
    """h' = factor · h + x in each layer, for inputs of 0 and more."""
    layer = Recurrent("rnn_relu", size, size, dtype=torch.float64, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        for directions in layer.stack():
            directions[0].cell.weight_ih.copy_(torch.eye(size))  # type: ignore[union-attr, operator]
            directions[0].cell.weight_hh.copy_(factor * torch.eye(size))  # type: ignore[union-attr, operator]
    return layer


def sizes_of(layer: nn.Module, size: int = 3, steps: int = 12) -> np.ndarray:
    return gradient_by_distance(layer, draw_input(4, steps, size, 0).abs(), draw_directions(4, size, 0))


def test_a_linear_layer_of_half_the_state_halves_the_gradient_each_step() -> None:
    sizes = sizes_of(linear(3, 0.5))
    np.testing.assert_allclose(sizes, 0.5 ** np.arange(12), rtol=1e-12)
    assert factor_a_step(sizes, 3) == pytest.approx(0.5, abs=1e-12)


def test_with_dilation_two_every_second_step_is_reached_in_half_as_many_factors() -> None:
    sizes = sizes_of(linear(3, 0.5, dilation=2))
    np.testing.assert_allclose(sizes[::2], 0.5 ** np.arange(6), rtol=1e-12)
    assert (sizes[1::2] == 0).all()


def test_a_residual_connection_adds_a_way_and_leaves_the_factor() -> None:
    # y = h1 + h2 with h1' = h1 / 2 + x and h2' = h2 / 2 + h1': d + 1 ways through the second layer and one past it
    distances = np.arange(12)
    np.testing.assert_allclose(
        sizes_of(linear(3, 0.5, num_layers=2, residual=True)), (distances + 2) * 0.5**distances, rtol=1e-12
    )
    np.testing.assert_allclose(sizes_of(linear(3, 0.5, num_layers=2)), (distances + 1) * 0.5**distances, rtol=1e-12)


def test_a_closed_lstm_that_forgets_nothing_keeps_the_gradient() -> None:
    layer = make_stack(Stack("", "lstm", forget_bias=40.0), 3, 3, "torch", 0)
    with torch.no_grad():
        layer.stack()[0][0].cell.weight_hh.zero_()  # type: ignore[union-attr, operator]
    sizes = gradient_by_distance(layer, torch.ones(1, 9, 3, dtype=torch.float64), draw_directions(1, 3, 0))
    assert sizes[0] > sizes[1] > 0  # at distance 0 the output gate reads x too
    np.testing.assert_allclose(sizes[1:], sizes[1], rtol=1e-9)


def test_the_gradient_is_torchs_jacobian_in_the_direction() -> None:
    layer, x, u = make_stack(Stack("", "gru"), 2, 3, "torch", 1), draw_input(1, 5, 2, 1), draw_directions(1, 3, 1)
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0][0, -1], x)[:, 0]  # type: ignore[no-untyped-call]
    expected = torch.einsum("o,oti->ti", u[0], jacobian).norm(dim=-1).flip(0)
    np.testing.assert_allclose(gradient_by_distance(layer, x, u), expected.numpy(), rtol=1e-12)


def test_a_torch_layer_is_measured_too() -> None:
    layer = LSTM(2, 3, batch_first=True).double()
    assert gradient_by_distance(layer, draw_input(2, 4, 2, 0), draw_directions(2, 3, 0)).shape == (4,)


def test_the_forget_bias_is_that_of_both_biases_together() -> None:
    cell = make_stack(Stack("", "lstm", forget_bias=5.0), 2, 3, "torch", 0).stack()[0][0].cell
    biases: Tensor = cell.bias_ih + cell.bias_hh  # type: ignore[assignment, operator]
    assert biases.view(4, 3)[1].tolist() == [5.0] * 3
    assert all(abs(bias) < 2 / math.sqrt(3) for bias in biases.view(4, 3)[0].tolist())
    with pytest.raises(SettingsError, match="GRUCell has no forget gate"):
        set_forget_bias(make_stack(Stack("", "gru"), 2, 3, "torch", 0).stack()[0][0].cell, 1.0)


def test_the_seed_decides_the_weights_and_torchs_own_generator_stays() -> None:
    before = torch.get_rng_state()
    first, again, other = (make_stack(Stack("", "rnn"), 2, 3, "torch", seed) for seed in (0, 0, 1))
    weights = [next(layer.parameters()) for layer in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_clipping_by_norm_shrinks_to_a_tenth_and_keeps_direction_and_shares(cell: str) -> None:
    layer = make_stack(Stack("", cell), 2, 4, "torch", 0)
    found = clip(layer, draw_input(3, 20, 2, 0), draw_directions(3, 4, 0), 10, "norm")
    assert found.norm_after == pytest.approx(0.1 * found.norm_before, rel=1e-4)  # torch adds 1e-6 to the norm
    assert found.cosine == pytest.approx(1, abs=1e-12)
    assert 0 < found.far_before < 1
    assert found.far_after == pytest.approx(found.far_before, rel=1e-12)


def test_the_far_share_of_a_linear_layers_gradient_is_known() -> None:
    found = clip(linear(3, 0.5), draw_input(4, 12, 3, 0).abs(), draw_directions(4, 3, 0), 7, "norm")
    assert (found.far_before, found.far_after) == pytest.approx((0.5**7, 0.5**7))


def test_clipping_by_value_turns_the_gradient() -> None:
    layer = make_stack(Stack("", "rnn"), 2, 4, "torch", 0)
    found = clip(layer, draw_input(3, 20, 2, 0), draw_directions(3, 4, 0), 10, "value")
    assert found.norm_after < found.norm_before
    assert found.cosine < 0.99
    assert found.far_after > found.far_before  # what is near is cut, what is far is too small to be
