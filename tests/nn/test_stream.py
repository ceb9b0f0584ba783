"""Sessions of one layer: a sequence pushed, stepped or cut anywhere gives what the layer gives on the whole."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import recurra.nn
from recurra.errors import InputError, NotStreamable, ShapeError, StateError
from recurra.laws.agreement import difference, within
from recurra.nn import LayerSession, Recurrent
from recurra.state import leaves
from tests.contracts import compositions

LAYERS: dict[str, Any] = {
    "RNN": lambda: recurra.nn.RNN(3, 4, 2, dtype=torch.float64),
    "RNN relu, no bias": lambda: recurra.nn.RNN(3, 4, nonlinearity="relu", bias=False, dtype=torch.float64),
    "LSTM": lambda: recurra.nn.LSTM(3, 4, 2, dtype=torch.float64),
    "LSTM batch first, no bias": lambda: recurra.nn.LSTM(3, 4, bias=False, batch_first=True, dtype=torch.float64),
    "LSTM projected": lambda: recurra.nn.LSTM(3, 4, 2, proj_size=2, dtype=torch.float64),
    "GRU": lambda: recurra.nn.GRU(3, 4, 3, dropout=0.5, dtype=torch.float64).eval(),
    "Recurrent rnn": lambda: Recurrent("rnn_relu", 3, 4, 2, dtype=torch.float64),
    "Recurrent lstm": lambda: Recurrent("lstm", 3, 4, 3, residual=True, learned_state=True, dtype=torch.float64),
    "Recurrent gru": lambda: Recurrent("gru", 3, 4, 2, dropout=0.4, recurrent_dropout=0.4, dtype=torch.float64).eval(),
    "Recurrent zoneout": lambda: Recurrent("lstm", 3, 4, 2, zoneout=0.3, dtype=torch.float64).eval(),
    "Recurrent loop": lambda: Recurrent("gru", 3, 4, 2, engine="loop", dtype=torch.float64),
    "Recurrent mingru": lambda: Recurrent("mingru", 3, 4, 2, learned_state=True, dtype=torch.float64),
    "Recurrent minlstm zoneout": lambda: Recurrent("minlstm", 3, 4, zoneout=0.3, dtype=torch.float64).eval(),
    "Recurrent slstm": lambda: Recurrent("slstm", 3, 4, 2, residual=True, dtype=torch.float64),
    "Recurrent projection": lambda: Recurrent("lstm_projection", 3, 4, 2, dtype=torch.float64),
    "Recurrent feedforward": lambda: Recurrent("feedforward", 3, 4, 2, dtype=torch.float64),
}


def layer(name: str) -> nn.Module:
    made = LAYERS[name]()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return made


def whole(module: nn.Module, x: Tensor) -> Tensor:
    """The layer on [B, T, D] in one call."""
    if isinstance(module, nn.RNNBase) and not module.batch_first:
        return module(x.transpose(0, 1))[0].transpose(0, 1)
    return module(x)[0]


def cut(session: LayerSession, x: Tensor) -> Tensor:
    """A chunk, two single steps, an empty chunk, the rest."""
    parts = [session.push(x[:, :3]), session.step(x[:, 3])[:, None], session.step(x[:, 4])[:, None]]
    return torch.cat([*parts, session.push(x[:, 5:5]), session.push(x[:, 5:])], 1)


@pytest.mark.parametrize("name", LAYERS)
def test_a_session_gives_what_the_layer_gives_however_the_sequence_is_cut(name: str) -> None:
    module, x = layer(name), torch.randn(2, 9, 3, dtype=torch.float64)
    expected = whole(module, x)
    session = module.stream()
    torch.testing.assert_close(cut(session, x), expected)
    session.reset()
    torch.testing.assert_close(torch.stack([session.step(x[:, t]) for t in range(9)], 1), expected)
    alone = module.stream()
    torch.testing.assert_close(torch.cat([alone.step(x[1, 0])[None], alone.push(x[1, 1:])]), expected[1])


def test_every_composition_in_one_direction_streams_as_it_runs_in_evaluation() -> None:
    rows = [row for row in compositions.COMPOSITIONS if not row["bidirectional"]]
    for row in rows:
        module, x = compositions.build(row).eval(), torch.randn(2, 9, 3, dtype=row["dtype"])
        assert within(difference(cut(module.stream(), x), module(x)[0]), row["dtype"]), compositions.name(row)
    assert len(rows) >= 5


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_a_cells_session_gives_the_cells_hidden_states(name: str) -> None:
    for options in ({}, {"bias": False}, {"nonlinearity": "relu"} if name == "RNNCell" else {}):
        cell = getattr(recurra.nn, name)(3, 4, **options)
        x, state, expected = torch.randn(2, 6, 3), None, []
        for t in range(6):
            state = cell(x[:, t], state)
            expected.append(state[0] if isinstance(state, tuple) else state)
        torch.testing.assert_close(cut(cell.stream(), x), torch.stack(expected, 1))


def test_a_sessions_state_is_that_of_the_layer_and_goes_into_another() -> None:
    module, x = layer("LSTM"), torch.randn(2, 9, 3, dtype=torch.float64)
    session = module.stream()
    assert session.state is None
    session.push(x[:, :4].clone())
    _, (hidden, cell) = module(x[:, :4].transpose(0, 1))
    for number, one in enumerate(session.state.layers):
        torch.testing.assert_close(one.hidden, hidden[number])
        torch.testing.assert_close(one.cell, cell[number])
    later = module.stream(session.state)
    torch.testing.assert_close(later.push(x[:, 4:]), whole(module, x)[:, 4:])
    gru = layer("Recurrent gru")
    _, state = gru(x[:, :4])
    torch.testing.assert_close(gru.stream(state).push(x[:, 4:]), whole(gru, x)[:, 4:])


@pytest.mark.parametrize("name", LAYERS)
def test_a_fork_and_its_origin_go_their_own_ways(name: str) -> None:
    module, x = layer(name), torch.randn(2, 9, 3, dtype=torch.float64)
    session = module.stream()
    session.push(x[:, :4])
    kept = [leaf.clone() for _, leaf in leaves(session.state)]
    other = session.fork()
    assert other.state is session.state
    other.push(-x[:, 4:])
    assert all(torch.equal(a, b) for a, (_, b) in zip(kept, leaves(session.state), strict=True))
    torch.testing.assert_close(session.push(x[:, 4:]), whole(module, x)[:, 4:])
    torch.testing.assert_close(other.push(x[:, :0]), x.new_zeros(2, 0, other.step(x[:, 0]).shape[1]))


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_is_written_on_the_module_and_no_gradient_is_kept(name: str) -> None:
    module, x = layer(name), torch.randn(2, 9, 3, dtype=torch.float64)
    names = {key: sorted(one.__dict__) for key, one in module.named_modules()}
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    session = module.stream()
    cut(session, x)
    for y in (session.step(x[:, 0]), session.push(x), *(leaf for _, leaf in leaves(session.state))):
        assert y.is_inference() and not y.requires_grad
    assert names == {key: sorted(one.__dict__) for key, one in module.named_modules()}
    assert all(torch.equal(weights[key], value) for key, value in module.state_dict().items())
    whole(module, x.requires_grad_()).sum().backward()  # the module trains on after a session


def test_a_session_sees_weights_that_are_trained_on_loaded_or_replaced() -> None:
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    for name in ("GRU", "LSTM projected", "Recurrent lstm"):
        module = layer(name)
        session = module.stream()
        session.step(x[:, 0])
        module.load_state_dict(layer(name).state_dict())
        session.reset()
        torch.testing.assert_close(cut(session, x), whole(module, x))
    module = recurra.nn.GRU(3, 4, dtype=torch.float64)
    session = module.stream()
    session.step(x[:, 0])
    nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    module.parametrizations.weight_hh_l0.original0.data.fill_(0.5)
    session.reset()
    session.step(x[:, 0])
    torch.testing.assert_close(session.step(x[:, 1]), whole(module, x)[:, 1])
    session.reset()
    torch.testing.assert_close(cut(session, x), whole(module, x))


def test_two_directions_are_refused_with_the_layer_and_the_mend() -> None:
    with pytest.raises(
        NotStreamable, match=r"^LSTM\(bidirectional=True\): .* train with bidirectional=False to stream$"
    ):
        recurra.nn.LSTM(3, 4, bidirectional=True).stream()
    with pytest.raises(NotStreamable, match=r"layers\.0.* train with bidirectional=False to stream"):
        Recurrent("gru", 3, 4, bidirectional=True).stream()


def test_dropout_in_training_is_refused_at_the_first_call_and_at_any_later_one() -> None:
    for module in (recurra.nn.GRU(3, 4, 2, dropout=0.5), Recurrent("gru", 3, 4, zoneout=0.5)):
        with pytest.raises(InputError, match=r"training mode .* call eval\(\) first"):
            module.stream()
        session = module.eval().stream()
        session.step(torch.randn(3))
        module.train()
        with pytest.raises(InputError, match=r"call eval\(\) first"):
            session.step(torch.randn(3))
    recurra.nn.GRU(3, 4).train().stream().step(torch.randn(3))  # without dropout, training is no matter


def test_what_does_not_fit_is_refused_in_a_sentence_and_the_session_goes_on() -> None:
    session = recurra.nn.LSTM(3, 4).stream()
    with pytest.raises(ShapeError, match=r"^LSTM session, step: x has shape \[2, 5\], expected \[3\] or \[B, 3\]$"):
        session.step(torch.randn(2, 5))
    with pytest.raises(ShapeError, match=r"push: x has shape \[3\], expected \[T, 3\] or \[B, T, 3\]"):
        session.push(torch.randn(3))
    session.step(torch.randn(2, 3))
    with pytest.raises(ShapeError, match=r"a batch of 5, and this session began with 2; call reset\(\)"):
        session.step(torch.randn(5, 3))
    with pytest.raises(ShapeError, match="a batch of 1, and this session began with 2"):
        session.fork().push(torch.randn(4, 3))
    with pytest.raises(ShapeError, match=r"x is torch\.float64 on cpu, expected torch\.float32 on cpu"):
        session.step(torch.randn(2, 3).double())
    session.step(torch.randn(2, 3))
    session.reset()
    assert session.step(torch.randn(5, 3)).shape == (5, 4)
    other = recurra.nn.LSTM(3, 5).stream(recurra.nn.LSTM(3, 5).stream().state)
    other.step(torch.randn(3))
    with pytest.raises(ShapeError, match=r"LSTM\.stream: state\.layers\.0\.hidden has shape \[1, 5\]"):
        recurra.nn.LSTM(3, 4).stream(other.state)
    with pytest.raises(ShapeError, match="expected"):
        recurra.nn.LSTM(3, 4).stream((torch.zeros(1, 1, 4), torch.zeros(1, 1, 4)))


def test_an_empty_batch_streams() -> None:
    for module in (recurra.nn.GRU(3, 4, 2), recurra.nn.LSTMCell(3, 4), Recurrent("lstm", 3, 4)):
        session = module.stream()
        assert session.step(torch.randn(0, 3)).shape == (0, 4)
        assert session.push(torch.randn(0, 5, 3)).shape == (0, 5, 4)


@pytest.mark.parametrize("name", [*LAYERS, "GRUCell"])
def test_a_session_saved_and_taken_up_by_the_layer_goes_on_to_the_bit(name: str, tmp_path: Path) -> None:
    module = layer(name) if name in LAYERS else recurra.nn.GRUCell(3, 4, dtype=torch.float64)
    for rows, x in ((2, torch.randn(2, 9, 3, dtype=torch.float64)), (1, torch.randn(9, 3, dtype=torch.float64))):
        session = module.stream()
        session.push(x[..., :4, :])
        session.save(tmp_path / "state")
        later = copy.deepcopy(module).stream(tmp_path / "state")
        assert {leaf.shape[0] for _, leaf in leaves(later.state)} <= {rows}
        for t in range(4, 6):
            assert torch.equal(later.step(x[..., t, :]), session.step(x[..., t, :]))
        assert torch.equal(later.push(x[..., 6:, :]), session.push(x[..., 6:, :]))


def test_a_state_of_another_layer_or_other_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    session = recurra.nn.LSTM(3, 4).stream()
    with pytest.raises(InputError, match="LSTM session, save: there is no state yet; make a step first"):
        session.save(path)
    session.step(torch.randn(3))
    session.save(path)
    with pytest.raises(StateError, match=r"state\.layers is 1 parts, expected 2 parts"):
        recurra.nn.LSTM(3, 4, 2).stream(path)
    with pytest.raises(StateError, match=r"layers\.0 is LSTMState\(hidden, cell\), expected GRUState\(hidden\)"):
        Recurrent("gru", 3, 4).stream(str(path))
    with pytest.raises(StateError, match=r"holds a state of the weights .*those of this LSTM are"):
        recurra.nn.LSTM(3, 4).stream(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StateError, match="is damaged"):
        session._steps.module.stream(path)


def test_a_sessions_state_holds_no_chunk_alive() -> None:
    x = torch.randn(3, dtype=torch.float64)
    for name in LAYERS:
        session = layer(name).stream()
        for read in (lambda one: one.push(torch.randn(500, 3, dtype=torch.float64)), lambda one: one.step(x)):
            read(session)
            for path, leaf in leaves(session.state):
                assert leaf.untyped_storage().nbytes() == leaf.numel() * leaf.element_size(), (name, path)
