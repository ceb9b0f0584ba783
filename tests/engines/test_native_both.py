"""The native kernels over both directions of a layer at once, against one direction after the other: the same bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recurra.cells import CELLS
from recurra.engines.native import both_ways
from recurra.engines.native.library import Library
from recurra.errors import SettingsError, ShapeError
from recurra.nn import Recurrent, direction
from recurra.state import State, leaves, map_state

KINDS = (
    "gru", "lstm", "rnn", "rnn_relu", "indrnn", "lstm_peephole", "lstm_layernorm", "gru_layernorm", "lstm_projection",
    "mingru", "minlstm",
)  # fmt: skip


def drawn(kind: str, hidden: int, dtype: torch.dtype = torch.float32, **options: object) -> Recurrent:
    torch.manual_seed(hidden)
    return Recurrent(kind, 3, hidden, dtype=dtype, engine="native", bidirectional=True, **options)


def results(layer: Recurrent, x: Tensor, lengths: Tensor | None, state: State | None) -> list[Tensor | None]:
    """Outputs, ends, and every gradient; weighted, so that none of them is like another."""
    layer.zero_grad()
    given = x.clone().requires_grad_()
    begin = None if state is None else map_state(lambda leaf: leaf.clone().requires_grad_(), state)
    outputs, ends = layer(given, begin, lengths=lengths)
    found = [outputs, *(leaf for _, leaf in leaves(ends))]
    generator = torch.Generator().manual_seed(0)
    (sum((one * torch.randn(one.shape, dtype=one.dtype, generator=generator)).sum() for one in found)).backward()
    first = [] if begin is None else [leaf.grad for _, leaf in leaves(begin)]
    return [*found, given.grad, *first, *(None if one.grad is None else one.grad.clone() for one in layer.parameters())]


def same(one: list[Tensor | None], other: list[Tensor | None]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a is b is None or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs)


def one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direction, "run_both", lambda *given, **named: None)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64), ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_both_at_once_are_one_after_the_other_bit_for_bit(
    library: Library, monkeypatch: pytest.MonkeyPatch, kind: str, dtype: torch.dtype
) -> None:
    for hidden, rows, steps in ((5, 1, 1), (17, 3, 7), (40, 1, 600), (70, 5, 90)):
        layer = drawn(kind, hidden, dtype)
        x, state = torch.randn(rows, steps, 3, dtype=dtype), map_state(torch.randn_like, layer.initial_state(rows))
        for lengths, begin in ((None, None), (None, state), (torch.randint(0, steps + 1, (rows,)), state)):
            with monkeypatch.context() as patch:
                one_after_the_other(patch)
                expected = results(layer, x, lengths, begin)
            for threads in (1, 2, 3, 5):  # of the library; torch's products stay as they are
                with monkeypatch.context() as patch:
                    patch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
                    found = results(layer, x, lengths, begin)
                assert same(found, expected), (hidden, rows, steps, lengths, threads)


@pytest.mark.parametrize("kind", ("gru", "lstm_projection"))
def test_it_is_both_at_once_that_runs(library: Library, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    calls: list[int] = []
    together = library.functions.recurra_together

    def counted(array: object, count: int, threads: int) -> None:
        calls.append(count)
        together(array, count, threads)

    monkeypatch.setattr(library.functions, "recurra_together", counted)
    layer = drawn(kind, 4)
    layer(torch.randn(2, 3, 3), lengths=torch.tensor([3, 1]))[0].sum().backward()
    assert calls == [2, 2]


def test_layers_above_and_learned_states_and_dropped_weights_change_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = drawn("lstm", 9, torch.float64, num_layers=2, learned_state=True, weight_dropout=0.4)
    x, lengths = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([6, 0, 4])
    for valid in (lengths, None):
        torch.manual_seed(1)
        found = results(layer, x, valid, None)
        with monkeypatch.context() as patch:
            one_after_the_other(patch)
            torch.manual_seed(1)
            assert same(found, results(layer, x, valid, None))


@pytest.mark.parametrize("rows,steps", [(0, 4), (3, 0), (0, 0)])
def test_an_empty_batch_gives_empty_outputs_and_the_states_as_given(library: Library, rows: int, steps: int) -> None:
    layer = drawn("gru", 3)
    state = map_state(torch.randn_like, layer.initial_state(rows))
    outputs, ends = layer(torch.randn(rows, steps, 3), state)
    assert outputs.shape == (rows, steps, 6)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(leaves(ends), leaves(state), strict=True))


def test_a_direction_of_which_nothing_is_asked_gets_no_gradient(library: Library) -> None:
    layer = drawn("gru", 4)
    ahead, back = (list(one.parameters()) for one in layer.layers[0])
    _, ends = layer(torch.randn(2, 5, 3), lengths=torch.tensor([5, 2]))
    first = next(leaf for _, leaf in leaves(ends))
    first.sum().backward()
    assert all(one.grad is not None for one in ahead) and all(one.grad is None for one in back)


@pytest.mark.parametrize("frozen", (0, 1))
def test_a_frozen_direction_gets_no_gradient_and_the_other_its_own(
    library: Library, monkeypatch: pytest.MonkeyPatch, frozen: int
) -> None:
    layer, x = drawn("lstm", 4), torch.randn(2, 5, 3)
    for parameter in layer.layers[0][frozen].parameters():
        parameter.requires_grad_(False)

    def gradients() -> list[Tensor | None]:
        layer.zero_grad()
        layer(x)[0].square().sum().backward()
        return [None if one.grad is None else one.grad.clone() for one in layer.parameters()]

    found = gradients()
    assert [one is None for one in found] == [not one.requires_grad for one in layer.parameters()]
    one_after_the_other(monkeypatch)
    assert same(found, gradients())


def test_under_torch_func_the_gradients_are_those_of_both_at_once(library: Library) -> None:
    layer, x = drawn("gru", 4, torch.float64), torch.randn(2, 5, 3, dtype=torch.float64)
    given = x.clone().requires_grad_()
    layer(given)[0].square().sum().backward()
    found = torch.func.grad(lambda x: layer(x)[0].square().sum())(x)
    torch.testing.assert_close(found, given.grad, rtol=1e-12, atol=1e-12)


def test_a_second_derivative_is_refused_in_words(library: Library) -> None:
    layer = drawn("gru", 3)
    x = torch.randn(2, 3, 3, requires_grad=True)
    with pytest.raises(SettingsError, match="first derivatives only, and a second one is asked for"):
        torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)


def test_directions_that_do_not_fit_are_refused(library: Library) -> None:
    gru, lstm, x = CELLS["gru"](3, 4), CELLS["lstm"](3, 4), torch.randn(2, 5, 3)
    with pytest.raises(SettingsError, match="the directions are GRUCell and LSTMCell, expected one kind of cell"):
        both_ways((gru, lstm), x, (gru.initial_state(2), lstm.initial_state(2)))
    with pytest.raises(ShapeError, match=r"native GRUCell: hidden has shape \[1, 4\], expected \[2, 4\]"):
        both_ways((gru, gru), x, (gru.initial_state(2), gru.initial_state(1)))
    with pytest.raises(ShapeError, match="native GRUCell: lengths go from 1 to 6"):
        both_ways((gru, gru), x, (gru.initial_state(2), gru.initial_state(2)), torch.tensor([6, 1]))
