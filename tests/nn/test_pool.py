"""A pool of live sequences gives each what a session of its own would."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recurra.errors import InputError, NotStreamable, SettingsError, ShapeError
from recurra.nn import GRU, Pool, Recurrent
from recurra.state import leaves, select

LAYERS: dict[str, Any] = {
    "gru": lambda: Recurrent("gru", 3, 5, 2, residual=True),
    "lstm, learned": lambda: Recurrent("lstm", 3, 20, learned_state=True, dtype=torch.float64),
    "dilated": lambda: Recurrent("rnn", 3, 4, 2, dilation=[1, 2]),
    "of another cell": lambda: Recurrent("mingru", 3, 5, 2),
    "zoneout": lambda: Recurrent("gru", 3, 5, zoneout=0.3).eval(),
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_sequence_goes_its_own_way(name: str) -> None:
    layer, generator = LAYERS[name](), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    dtype = next(layer.parameters()).dtype
    pool, sessions = Pool(layer, 9), [layer.stream() for _ in range(9)]
    for count in (9, 1, 5, 0, 7):
        ids = torch.randperm(9, generator=generator)[:count]
        x = torch.randn(count, 3, generator=generator, dtype=dtype)
        y = pool.step(ids, x)
        assert y.shape == (count, layer.output_size) and not y.requires_grad
        for number, given, found in zip(ids.tolist(), x, y, strict=True):
            torch.testing.assert_close(found, sessions[number].step(given))
    state = pool.state([4, 2])
    for row, number in enumerate((4, 2)):
        for (_, found), (_, own) in zip(leaves(state), leaves(sessions[number].state), strict=True):
            torch.testing.assert_close(found[row], own[0])
    pool.reset([4])
    pool.put([2, 0], select(state, torch.tensor([0, 1])))
    x = torch.randn(3, dtype=dtype)
    expected = [layer.stream().step(x), sessions[4].step(x), sessions[2].step(x)]
    torch.testing.assert_close(pool.step([4, 2, 0], x.expand(3, 3)), torch.stack(expected))


def test_a_state_of_the_pool_goes_into_a_session_and_back() -> None:
    layer, x = Recurrent("lstm", 3, 5, 2), torch.randn(3)
    pool = Pool(layer, 4)
    pool.step([0, 3], torch.randn(2, 3))
    session = layer.stream(pool.state([3]))
    session.step(x)
    pool.put([1], session.state)
    assert torch.equal(pool.step([1], x[None])[0], session.step(x))


def test_a_pool_sees_that_its_layer_was_trained_on() -> None:
    layer, x = Recurrent("gru", 3, 5), torch.randn(2, 3)
    pool = Pool(layer, 2)
    pool.step([0, 1], x)
    state = pool.state([0, 1])
    with torch.no_grad():
        layer.layers[0][0].cell.weight_ih.mul_(-2)
        expected, _ = layer.step(x, state)
    torch.testing.assert_close(pool.step([0, 1], x), expected)


def test_weights_of_8_bits_step_near_the_exact_ones_and_are_refused_where_there_are_none() -> None:
    layer, x = Recurrent("gru", 16, 32, 2).eval(), torch.randn(6, 40, 16)
    exact = layer.stream().push(x)
    for module in (layer, GRU(16, 32, 2, batch_first=True)):
        session = module.stream(weights="int8")
        outputs = torch.cat([session.push(x[:, :30]), *(session.step(x[:, t])[:, None] for t in range(30, 40))], 1)
        distance = (outputs - module(x)[0]).abs()
        assert 1e-5 < distance.max() < 0.05, distance.max()
        assert torch.equal(session.fork().step(x[:, 0]), session.step(x[:, 0]))
    pool = Pool(layer, 6, weights="int8")
    rows = torch.stack([pool.step(range(6), x[:, t]) for t in range(40)], 1)
    assert 1e-5 < (rows - exact).abs().max() < 0.05
    for refused in (Recurrent("mingru", 3, 4), Recurrent("gru", 3, 4, dtype=torch.float64), GRU(3, 4).double()):
        with pytest.raises(SettingsError, match=r"weights 'int8' cannot be had: .* give weights='exact'"):
            refused.stream(weights="int8")
    with pytest.raises(SettingsError, match="weights: 'int9' is not known; did you mean"):
        layer.stream(weights="int9")
    with pytest.raises(SettingsError, match="weights: 'int4' is not known"):
        Pool(layer, 1, weights="int4")


@pytest.mark.parametrize("name", ["gru", "of another cell"])
def test_what_does_not_fit_is_refused_and_the_states_stay(name: str) -> None:
    layer = LAYERS[name]()
    pool = Pool(layer, 3)
    pool.step([0, 1, 2], torch.randn(3, 3))
    before = pool.state([0, 1, 2])
    for ids, x, message in [
        ([3], torch.randn(1, 3), "ids go from 3 to 3, expected 0 to 2"),
        ([1, 1], torch.randn(2, 3), "ids name a sequence twice"),
        ([1, 2], torch.randn(2, 4), r"\[2, 4\].* expected .*\[2, 3\]"),
        ([1], torch.randn(1, 3).double(), "x is torch.float64"),
    ]:
        with pytest.raises(ShapeError, match=message):
            pool.step(ids, x)
    with pytest.raises(ShapeError, match=r"Pool\.put: state"):
        pool.put([0, 1], layer.initial_state(1))
    with pytest.raises(ShapeError, match=r"Pool\.put: state is a Tensor"):
        pool.put([0], torch.zeros(1, 5))
    for (_, a), (_, b) in zip(leaves(before), leaves(pool.state([0, 1, 2])), strict=True):
        assert torch.equal(a, b)


def test_pools_that_cannot_be_are_refused() -> None:
    with pytest.raises(NotStreamable, match="train with bidirectional=False"):
        Pool(Recurrent("gru", 3, 4, bidirectional=True), 2)
    with pytest.raises(SettingsError, match="Pool: 0 sessions, expected 1 or more"):
        Pool(Recurrent("gru", 3, 4), 0)
    layer = Recurrent("gru", 3, 4, zoneout=0.5)
    with pytest.raises(InputError, match=r"call eval\(\) first"):
        Pool(layer, 2)
    pool = Pool(Recurrent("gru", 3, 4, 2, dropout=0.5).eval(), 2)
    pool._steps.layer.train()
    with pytest.raises(InputError, match=r"call eval\(\) first"):
        pool.step([0], torch.randn(1, 3))
