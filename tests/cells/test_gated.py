"""The gated cells against the equations of their papers, written here once more in numpy, or against torch.nn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.cells import (
    CELLS,
    Cell,
    CoupledLSTMCell,
    IndRNNCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LSTMState,
    PeepholeLSTMCell,
    ProjectedLSTMCell,
    SLSTMCell,
    SLSTMState,
)
from recurra.errors import SettingsError, ShapeError
from recurra.nn import Recurrent
from recurra.state import State, map_state

Array = NDArray[np.float64]
B, T, D, H = 3, 6, 4, 6


def drawn(make: Any, *arguments: Any, **options: Any) -> Any:
    """A cell in float64 whose every parameter is drawn, gains and biases too."""
    cell = make(D, H, *arguments, dtype=torch.float64, **options)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.6)
    return cell


def inputs() -> Tensor:
    return torch.randn(B, T, D, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def begin(cell: Cell) -> State:
    generator = torch.Generator().manual_seed(5)
    return map_state(lambda leaf: torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype), cell.initial_state(B))


def run(cell: Cell, x: Tensor, state: State) -> tuple[Array, list[Array]]:
    """Outputs [B, T, …] and the leaves of the last state, step by step."""
    outputs = []
    with torch.no_grad():
        for t in range(x.shape[1]):
            y, state = cell.step(x[:, t], state)
            outputs.append(y)
    return torch.stack(outputs, 1).numpy(), [leaf.numpy() for leaf in state]


def weights(cell: nn.Module) -> dict[str, Array]:
    return {name: value.detach().numpy() for name, value in cell.named_parameters()}


def sigma(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def normal(values: Array, gain: Array, bias: Array) -> Array:
    """Ba et al. (2016), equation 4, a row at a time."""
    rows = [(row - row.mean()) / np.sqrt(((row - row.mean()) ** 2).mean() + 1e-5) for row in values]
    return gain * np.stack(rows) + bias


def close(found: tuple[Array, list[Array]], outputs: list[Array], *last: Array) -> None:
    np.testing.assert_allclose(found[0], np.stack(outputs, 1), atol=1e-12)
    for one, other in zip(found[1], last, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_a_layer_normalised_lstm_is_that_of_the_paper() -> None:
    cell, x = drawn(LayerNormLSTMCell), inputs()
    w, state = weights(cell), begin(cell)
    h, c = (leaf.numpy() for leaf in state)
    outputs = []
    for t in range(T):
        a = normal(x[:, t].numpy() @ w["weight_ih"].T, w["gain_ih"], w["bias_ih"])
        a = a + normal(h @ w["weight_hh"].T, w["gain_hh"], w["bias_hh"])
        i, f, g, o = (a[:, k * H : (k + 1) * H] for k in range(4))
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        h = sigma(o) * np.tanh(normal(c, w["gain_cell"], w["bias_cell"]))
        outputs.append(h)
    close(run(cell, x, state), outputs, h, c)


def test_a_layer_normalised_gru_is_that_of_the_paper() -> None:
    cell, x = drawn(LayerNormGRUCell), inputs()
    w, state = weights(cell), begin(cell)
    h = state.hidden.numpy()
    outputs = []
    for t in range(T):
        sums = {"ih": x[:, t].numpy() @ w["weight_ih"].T, "hh": h @ w["weight_hh"].T}
        gates, candidate = {}, {}
        for one, total in sums.items():
            gain, bias = w[f"gain_{one}"], w[f"bias_{one}"]
            gates[one] = normal(total[:, : 2 * H], gain[: 2 * H], bias[: 2 * H])
            candidate[one] = normal(total[:, 2 * H :], gain[2 * H :], bias[2 * H :])
        both = sigma(gates["ih"] + gates["hh"])
        r, z = both[:, :H], both[:, H:]
        h = z * h + (1 - z) * np.tanh(candidate["ih"] + r * candidate["hh"])
        outputs.append(h)
    close(run(cell, x, state), outputs, h)


def test_an_lstm_with_peepholes_is_that_of_the_paper() -> None:
    cell, x = drawn(PeepholeLSTMCell), inputs()
    w, state = weights(cell), begin(cell)
    h, c = (leaf.numpy() for leaf in state)
    peep_i, peep_f, peep_o = w["weight_cell"].reshape(3, H)
    outputs = []
    for t in range(T):
        a = x[:, t].numpy() @ w["weight_ih"].T + w["bias_ih"] + h @ w["weight_hh"].T + w["bias_hh"]
        i, f, g, o = (a[:, k * H : (k + 1) * H] for k in range(4))
        c = sigma(f + peep_f * c) * c + sigma(i + peep_i * c) * np.tanh(g)
        h = sigma(o + peep_o * c) * np.tanh(c)  # the output gate sees the cell as it is now
        outputs.append(h)
    close(run(cell, x, state), outputs, h, c)


def test_an_lstm_with_projection_is_torchs_with_proj_size() -> None:
    cell, x = drawn(ProjectedLSTMCell, 2), inputs()
    theirs = nn.LSTM(D, H, batch_first=True, proj_size=2, dtype=torch.float64)
    theirs.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    state = begin(cell)
    with torch.no_grad():
        outputs, (h, c) = theirs(x, (state.hidden[None], state.cell[None]))
    close(run(cell, x, state), list(outputs.numpy().swapaxes(0, 1)), h[0].numpy(), c[0].numpy())


def test_coupled_gates_are_an_lstm_whose_input_gate_is_the_forget_gate_turned_round() -> None:
    cell, x = drawn(CoupledLSTMCell), inputs()
    theirs = nn.LSTM(D, H, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for name, value in cell.named_parameters():
            f, g, o = value.chunk(3)
            getattr(theirs, f"{name}_l0").copy_(torch.cat([-f, f, g, o]))  # σ(−a) = 1 − σ(a)
        state = begin(cell)
        outputs, (h, c) = theirs(x, (state.hidden[None], state.cell[None]))
    close(run(cell, x, state), list(outputs.numpy().swapaxes(0, 1)), h[0].numpy(), c[0].numpy())


def test_an_indrnn_is_that_of_the_paper_and_holds_its_weights_within_the_bound() -> None:
    cell, x = drawn(IndRNNCell, 20), inputs()
    with torch.no_grad():
        cell.weight_hh[:2] = torch.tensor([3.0, -3.0], dtype=torch.float64)
    w, state = weights(cell), begin(cell)
    bound = 2 ** (1 / 20)
    h = state.hidden.numpy()
    outputs = []
    for t in range(T):
        u = np.minimum(np.maximum(w["weight_hh"], -bound), bound)
        h = np.maximum(0, x[:, t].numpy() @ w["weight_ih"].T + w["bias_ih"] + u * h)
        outputs.append(h)
    close(run(cell, x, state), outputs, h)


def test_an_indrnn_begins_between_zero_and_its_bound() -> None:
    weight = IndRNNCell(2, 4000, 10).weight_hh.detach()
    assert 0 <= weight.min() < 0.01 and 2**0.1 - 0.01 < weight.max() <= 2**0.1
    assert IndRNNCell(2, 4000).weight_hh.max() <= 1
    with pytest.raises(SettingsError, match="memory_length is 0"):
        IndRNNCell(2, 3, 0)


def slstm_without_stabilizer(w: dict[str, Array], x: Array, recur: Array) -> list[Array]:
    """Equations 8 to 14 of the paper as they stand: the exponentials themselves, from nothing."""
    h, c, n = np.zeros((B, H)), np.zeros((B, H)), np.zeros((B, H))
    outputs = []
    for t in range(T):
        a = x[:, t] @ w["weight_ih"].T + w["bias_ih"] + h @ recur.T + w["bias_hh"]
        i, f, g, o = (a[:, k * H : (k + 1) * H] for k in range(4))
        c = sigma(f) * c + np.exp(i) * np.tanh(g)
        n = sigma(f) * n + np.exp(i)
        h = sigma(o) * c / n
        outputs.append(h)
    return outputs


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_an_slstm_is_that_of_the_paper_and_its_heads_are_a_block_diagonal_matrix(heads: int) -> None:
    cell, x = drawn(SLSTMCell, heads), inputs()
    w, size = weights(cell), H // heads
    whole = np.zeros((4 * H, H))
    for row in range(4 * H):
        head = row % H // size
        whole[row, head * size : (head + 1) * size] = w["weight_hh"][row]
    outputs, _ = run(cell, x, cell.initial_state(B))
    np.testing.assert_allclose(outputs, np.stack(slstm_without_stabilizer(w, x.numpy(), whole), 1), atol=1e-12)


@pytest.mark.parametrize("height", [300.0, -300.0])
def test_an_slstm_holds_where_its_gates_leave_the_range_of_floats(height: float) -> None:
    cell = SLSTMCell(1, 2)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih[:2] = height  # exp(±300) is no float32
        cell.weight_ih[4:6] = 1.0
    layer_input = torch.tensor([[[0.5], [1.0], [-2.0]]])
    state: State = cell.initial_state(1)
    values = []
    for t in range(3):
        y, state = cell.step(layer_input[:, t], state)
        values.append(y[0, 0].item())
    g = np.tanh([0.5, 1.0, -2.0])
    kept = np.array([[1, 0, 0], [0.5, 1, 0], [0.25, 0.5, 1]])  # σ(0) = 0.5 a step
    np.testing.assert_allclose(values, 0.5 * (kept @ g) / kept.sum(1), rtol=1e-5)
    assert all(bool(leaf.isfinite().all()) for leaf in state)


def test_a_stabilizer_changes_no_value() -> None:
    cell, x = drawn(SLSTMCell), inputs()
    state: SLSTMState = map_state(lambda leaf: torch.rand_like(leaf) + 0.5, cell.initial_state(B))
    shift = 3.0
    other = state._replace(
        cell=state.cell * np.exp(shift),
        normalizer=state.normalizer * np.exp(shift),
        stabilizer=state.stabilizer - shift,
    )
    np.testing.assert_allclose(run(cell, x, state)[0], run(cell, x, other)[0], atol=1e-12)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: LayerNormLSTMCell(3, 1), "one unit normalised is always 0"),
        (lambda: LayerNormGRUCell(3, 1), "one unit normalised is always 0"),
        (lambda: ProjectedLSTMCell(3, 4, 4), "projection_size is 4 and hidden_size 4"),
        (lambda: ProjectedLSTMCell(3, 4, 0), "projection_size is 0"),
        (lambda: SLSTMCell(3, 4, 3), "num_heads is 3 and hidden_size 4"),
        (lambda: CELLS["mingru"](0, 4), "MinGRUCell: input_size is 0"),
        (lambda: CELLS["indrnn"](2, 0), "hidden_size 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(make: Any, sentence: str) -> None:
    with pytest.raises(ShapeError, match=sentence):
        make()


def test_the_projection_is_half_the_hidden_size_and_the_width_of_the_output() -> None:
    layer = Recurrent("lstm_projection", 3, 10, 2, bidirectional=True)
    outputs, state = layer(torch.randn(2, 5, 3))
    assert layer.output_size == 10 and outputs.shape == (2, 5, 10)
    end: LSTMState = state.layers[1].forward
    assert end.hidden.shape == (2, 5) and end.cell.shape == (2, 10)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_built_without_memory(name: str) -> None:
    learned = "learned_state" not in CELLS[name](2, 2).refused
    with torch.device("meta"):
        layer = Recurrent(name, 3, 8, 2, learned_state=learned)
    assert all(parameter.is_meta for parameter in layer.parameters())
    layer.to_empty(device="cpu")
    layer.load_state_dict(Recurrent(name, 3, 8, 2, learned_state=learned).state_dict())
    assert layer(torch.randn(2, 4, 3))[0].isfinite().all()


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_names_its_arguments_and_itself(name: str) -> None:
    cell = CELLS[name](3, 8)
    assert "3, 8" in repr(cell) or name == "feedforward"
    for gate in (cell.remember_gate, cell.writing_gate):
        assert gate is None or gate in cell.gates
