"""What Recurrent does beside the laws: kinds of input, errors, noise, initialisation, a cell of one's own."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from recurra.cells import Cell
from recurra.errors import InputError, NotStreamable, SettingsError, ShapeError
from recurra.nn import Recurrent
from recurra.sequence import Sequence
from recurra.state import leaves


def test_outputs_come_back_in_the_kind_that_went_in() -> None:
    layer = Recurrent("gru", 3, 4)
    x, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
    padded, _ = layer(x, lengths=lengths)
    alone, state = layer(x[1, :2])
    assert alone.shape == (2, 4) and state.layers[0].hidden.shape == (1, 4)
    torch.testing.assert_close(alone, padded[1, :2])
    inside, _ = layer(Sequence(x, lengths))
    assert isinstance(inside, Sequence) and torch.equal(inside.values, padded)
    for sort in (False, True):
        packed, _ = layer(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=sort))
        expected = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=sort)
        assert isinstance(packed, PackedSequence) and torch.equal(packed.data, expected.data)


def test_the_last_output_of_two_directions_is_last_forward_and_first_backward() -> None:
    layer = Recurrent("lstm", 3, 4, bidirectional=True)
    lengths = torch.tensor([3, 6])
    outputs, state = layer(torch.randn(2, 6, 3), lengths=lengths)
    end = state.layers[0]
    torch.testing.assert_close(end.forward.hidden, outputs[torch.arange(2), lengths - 1, :4])
    torch.testing.assert_close(end.backward.hidden, outputs[:, 0, 4:])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda layer: layer(torch.randn(2, 5, 7)), "x has 7 features, expected 3"),
        (lambda layer: layer(torch.randn(2)), r"x is of shape \[2\]"),
        (lambda layer: layer([1, 2]), "x is a list"),
        (lambda layer: layer(torch.zeros(2, 5, 3, dtype=torch.int64)), "x is torch.int64"),
        (lambda layer: layer(torch.randn(2, 5, 3), lengths=torch.tensor([1, 6])), "lie between 1 and 6"),
        (lambda layer: layer(torch.randn(2, 5, 3), lengths=torch.tensor([-1, 2])), "lie between -1 and 2"),
        (lambda layer: layer(torch.randn(2, 5, 3), lengths=torch.tensor([1.0, 2.0])), "expected integers"),
        (lambda layer: layer(torch.randn(2, 5, 3), lengths=torch.tensor([1])), r"expected integers of shape \[2\]"),
        (lambda layer: layer(torch.randn(5, 3), lengths=torch.tensor([5])), "unbatched"),
        (lambda layer: layer(torch.randn(2, 5, 3), resets=torch.zeros(2, 5)), "expected bool"),
        (lambda layer: layer(torch.randn(2, 5, 3), padding="middle"), "padding is 'middle'"),
        (lambda layer: layer(torch.randn(2, 5, 3), layer.initial_state(3)), r"layers.0.hidden has shape \[3, 4\]"),
        (lambda layer: layer(torch.randn(2, 5, 3), (torch.zeros(2, 4),)), "Does it come from another model"),
        (lambda layer: layer.step(torch.randn(2, 4)), r"x has shape \[2, 4\]"),
    ],
)
def test_a_wrong_call_is_refused_in_a_sentence(call: Any, sentence: str) -> None:
    with pytest.raises(ShapeError, match=sentence):
        call(Recurrent("gru", 3, 4))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cell": "ltsm"}, "did you mean 'lstm'"),
        ({"dropout": 0.5}, "acts between layers"),
        ({"residual": True}, "start at the second layer"),
        ({"variational": True}, "how dropout is drawn"),
        ({"num_layers": 0}, "below 1"),
        ({"zoneout": 1.0}, r"not in \[0, 1\)"),
        ({"cell": "feedforward", "recurrent_dropout": 0.1}, "no recurrence"),
        ({"cell": "feedforward", "weight_dropout": 0.1}, "no weight_hh"),
        ({"cell": "feedforward", "zoneout": 0.1}, "no hidden part"),
        ({"initialization": "chrono"}, "chrono_length"),
        ({"cell": "rnn", "initialization": "chrono", "chrono_length": 9}, "gate that keeps the state"),
        ({"initialization": "xavier"}, "none of orthogonal"),
    ],
)
def test_an_option_without_effect_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Recurrent(**{"cell": "gru", "input_size": 3, "hidden_size": 4, **options})


def test_a_bidirectional_layer_refuses_to_step_naming_itself() -> None:
    with pytest.raises(NotStreamable, match=r"layers\.0.*bidirectional=False"):
        Recurrent("gru", 3, 4, bidirectional=True).step(torch.randn(2, 3))


def test_fused_refuses_what_it_cannot_do() -> None:
    layer = Recurrent("gru", 3, 4, zoneout=0.1, engine="fused").eval()
    with pytest.raises(SettingsError, match="no zoneout"):
        layer(torch.randn(2, 5, 3))


def test_a_step_in_training_needs_its_noise() -> None:
    layer = Recurrent("lstm", 3, 4, recurrent_dropout=0.5)
    with pytest.raises(InputError, match="give noise"):
        layer.step(torch.randn(2, 3))
    layer.step(torch.randn(2, 3), noise=layer.noise(2))
    layer.eval().step(torch.randn(2, 3))


def test_noise_from_one_generator_is_the_same_twice_and_has_its_rates() -> None:
    layer = Recurrent("lstm", 50, 400, 2, dropout=0.2, recurrent_dropout=0.5, zoneout=0.1, weight_dropout=0.3)
    one, other = (layer.noise(20, torch.Generator().manual_seed(3), steps=4) for _ in range(2))
    first, second = one.layers[1], other.layers[1]
    assert first.input is not None and second.input is not None and torch.equal(first.input, second.input)
    assert (first.input == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert first.input.mean().item() == pytest.approx(1.0, abs=0.02)
    inside = first.directions[0]
    assert (inside.hidden == 0).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (inside.weight == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert inside.zoneout.hidden.float().mean().item() == pytest.approx(0.1, abs=0.02)


def test_variational_dropout_holds_one_mask_over_time_and_plain_does_not() -> None:
    variational = Recurrent("gru", 3, 9, 2, dropout=0.5, variational=True).noise(4, steps=7).layers[1].input
    plain = Recurrent("gru", 3, 9, 2, dropout=0.5).noise(4, steps=7).layers[1].input
    assert variational is not None and variational.shape == (4, 1, 9)
    assert plain is not None and plain.shape == (4, 7, 9)


def test_weight_dropout_leaves_the_weights_as_they_are_and_their_gradient_masked() -> None:
    layer = Recurrent("gru", 3, 4, weight_dropout=0.5)
    before = layer.layers[0][0].cell.weight_hh.clone()
    noise = layer.noise(2)
    layer(torch.randn(2, 5, 3), noise=noise)[0].sum().backward()
    weight = layer.layers[0][0].cell.weight_hh
    assert torch.equal(weight, before)
    assert bool((weight.grad[noise.layers[0].directions[0].weight == 0] == 0).all())


def test_zoneout_in_evaluation_is_the_expectation() -> None:
    layer = Recurrent("rnn", 3, 4, zoneout=0.25).eval()
    cell = layer.layers[0][0].cell
    x, hidden = torch.randn(1, 3), torch.randn(1, 4)
    state = layer.initial_state(1)._replace(layers=(cell.initial_state(1)._replace(hidden=hidden),))
    y, _ = layer.step(x, state)
    torch.testing.assert_close(y, 0.25 * hidden + 0.75 * cell.step(x, state.layers[0])[0])


def test_initial_states_are_learned() -> None:
    layer = Recurrent("lstm", 3, 4, learned_state=True)
    layer(torch.randn(2, 5, 3))[1].layers[0].cell.sum().backward()
    learned = dict(layer.named_parameters())["layers.0.0.initial.cell"]
    assert learned.grad is not None and bool((learned.grad != 0).all())


def test_recurrent_weights_begin_orthogonal_and_the_forget_bias_at_one() -> None:
    cell = Recurrent("lstm", 3, 8).layers[0][0].cell
    for block in cell.weight_hh.detach().split(8):
        torch.testing.assert_close(block @ block.T, torch.eye(8), atol=1e-5, rtol=0)
    i, f, g, o = (cell.bias_ih + cell.bias_hh).detach().chunk(4)
    assert torch.equal(f, torch.ones(8)) and not bool(i.any() or g.any() or o.any())


def test_chrono_draws_memories_up_to_its_length() -> None:
    cell = Recurrent("lstm", 3, 2000, initialization="chrono", chrono_length=101).layers[0][0].cell
    i, f, _, _ = cell.bias_ih.detach().chunk(4)
    torch.testing.assert_close(i, -f)
    assert f.exp().min() >= 1 and f.exp().max() <= 100.01
    assert f.exp().mean().item() == pytest.approx(50.5, rel=0.05)


class Leak(NamedTuple):
    level: Tensor


class LeakyCell(Cell):
    """A cell of one's own: a leaky integrator."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, hidden_size
        self.inward = nn.Linear(input_size, hidden_size)

    def initial_state(self, batch_size: int) -> Leak:
        return Leak(self.inward.weight.new_zeros(batch_size, self.output_size))

    def step(self, x: Tensor, state: Leak) -> tuple[Tensor, Leak]:
        level = 0.9 * state.level + self.inward(x)
        return level.tanh(), Leak(level)


def test_a_cell_of_ones_own_obeys_the_laws_in_a_bidirectional_stack() -> None:
    from recurra import laws

    layer = Recurrent(LeakyCell, 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x, lengths = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([6, 0, 4])
    resets = torch.rand(3, 6) < 0.4
    assert laws.padding_is_never_read(layer, x, lengths) < 1e-10
    assert laws.a_batch_row_equals_the_row_alone(layer, x, lengths) < 1e-10
    assert laws.resets_equal_splitting(layer, x, lengths, resets) < 1e-10
    assert laws.steps_equal_whole(Recurrent(LeakyCell, 3, 4, dtype=torch.float64), x) < 1e-10


@pytest.mark.parametrize("cell", ["lstm", "gru", "mingru"])
def test_under_autocast_the_state_keeps_its_dtype_and_goes_in_again(cell: str) -> None:
    layer, x = Recurrent(cell, 3, 4, 2), torch.randn(2, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = layer(x)
        outputs, again = layer(x, state)
    assert {leaf.dtype for _, leaf in leaves(again)} == {torch.float32}
    assert torch.allclose(outputs.float(), layer(x, layer(x)[1])[0], atol=0.05)
