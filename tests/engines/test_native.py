"""The native kernels over whole sequences, against the loop: outputs, ends and gradients."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from itertools import product

import pytest
import torch

from recurra import laws
from recurra.cells import CELLS
from recurra.engines import run, select_engine
from recurra.engines.native import native
from recurra.engines.native.library import Library
from recurra.errors import SettingsError, ShapeError
from recurra.nn import Recurrent
from recurra.state import map_state

KINDS = ("gru", "lstm")
DTYPES = (torch.float64, torch.float32)
SIZES = [
    (1, 1),
    (1, 5),
    (3, 2),
    (17, 1),
    (17, 5),
    (33, 2),
    (33, 5),
    (70, 13),
    (16, 30),
]  # hidden, batch: blocks and tiles, whole and cut


def drawn(kind: str, hidden: int, dtype: torch.dtype = torch.float64, **options: object) -> Recurrent:
    torch.manual_seed(hidden)
    return Recurrent(kind, 3, hidden, dtype=dtype, engine="native", **options)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_shape_equals_the_loop(level: str, kind: str, dtype: torch.dtype) -> None:
    for hidden, rows in SIZES:
        layer = drawn(kind, hidden, dtype)
        state = map_state(torch.randn_like, layer.initial_state(rows))
        for steps in (1, 7):
            x = torch.randn(rows, steps, 3, dtype=dtype)
            for lengths in (torch.full((rows,), steps), torch.randint(0, steps + 1, (rows,))):
                far = laws.engines_agree(layer, x, lengths, state, engine="native")
                assert laws.within(far, dtype), (level, hidden, rows, steps, lengths, far)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(level: str, kind: str) -> None:
    layer = drawn(kind, 3)
    cell, lengths = layer.layers[0][0].cell, torch.tensor([4, 0, 2])
    x = torch.randn(3, 4, 3, dtype=torch.float64, requires_grad=True)
    state = [torch.randn(3, 3, dtype=torch.float64, requires_grad=True) for _ in cell.initial_state(1)]

    def outputs_and_ends(x: torch.Tensor, *leaves: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs, end = native(cell, x, type(cell.initial_state(1))(*leaves), lengths)
        return outputs, *end

    assert torch.autograd.gradcheck(outputs_and_ends, (x, *state))


@pytest.mark.parametrize("kind", KINDS)
def test_far_inputs_saturate_and_small_ones_keep_their_digits(level: str, kind: str) -> None:
    for dtype, scale in product(DTYPES, (1e-7, 1e4)):
        layer = drawn(kind, 5, dtype)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.mul_(0 if parameter.dim() == 1 else 1)
            x = torch.randn(2, 3, 3, dtype=dtype) * scale
            ours, plain = (
                layer(x)[0],
                run(layer.layers[0][0].cell, x, layer.initial_state(2).layers[0], engine="loop")[0],
            )
        torch.testing.assert_close(ours, plain, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-30)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_in_the_input_reaches_the_output(level: str, kind: str) -> None:
    layer = drawn(kind, 3)
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    x[0, 1] = float("nan")
    outputs, _ = layer(x)
    assert outputs[0, 1:].isnan().all() and not outputs[0, 0].isnan().any() and not outputs[1].isnan().any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows,steps", [(0, 4), (3, 0), (0, 0)])
def test_an_empty_batch_gives_empty_outputs_and_the_state_as_given(
    library: Library, kind: str, rows: int, steps: int
) -> None:
    layer = drawn(kind, 3)
    state = map_state(torch.randn_like, layer.initial_state(rows))
    outputs, end = layer(torch.randn(rows, steps, 3, dtype=torch.float64), state)
    assert outputs.shape == (rows, steps, 3)
    assert all(torch.equal(a, b) for a, b in zip(end.layers[0], state.layers[0], strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_all_empty_keep_their_state_and_pass_its_gradient(library: Library, kind: str) -> None:
    layer = drawn(kind, 3)
    state = map_state(lambda leaf: torch.randn_like(leaf).requires_grad_(), layer.initial_state(2))
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    outputs, end = layer(x, state, lengths=torch.tensor([0, 0]))
    assert not outputs.any() and torch.equal(end.layers[0].hidden, state.layers[0].hidden)
    (given,) = torch.autograd.grad(end.layers[0].hidden.sum(), state.layers[0].hidden)
    assert torch.equal(given, torch.ones_like(given))


@pytest.mark.parametrize("kind", KINDS)
def test_strides_and_frozen_weights_change_nothing(library: Library, kind: str) -> None:
    layer = drawn(kind, 4, bidirectional=True)
    x = torch.randn(5, 3, 6, dtype=torch.float64)
    straight, _ = layer(x.transpose(1, 2).contiguous().clone())
    turned, _ = layer(x.transpose(1, 2))
    assert torch.equal(straight, turned)
    frozen = copy.deepcopy(layer).requires_grad_(False)
    given = x.transpose(1, 2).clone().requires_grad_()
    frozen(given)[0].sum().backward()
    other = given.detach().clone().requires_grad_()
    layer(other)[0].sum().backward()
    assert given.grad is not None and torch.equal(given.grad, other.grad)  # type: ignore[arg-type]


def test_a_second_derivative_is_refused_in_words(library: Library) -> None:
    layer = drawn("gru", 3)
    x = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(SettingsError, match="first derivatives only, and a second one is asked for"):
        torch.autograd.grad(layer(x)[0].sum(), x, create_graph=True)


def test_several_threads_at_once_get_their_own_answers(library: Library) -> None:
    layer = drawn("lstm", 33, torch.float32)
    inputs = [torch.randn(4, 40, 3) for _ in range(4)]
    alone = [layer(x)[0].detach() for x in inputs]
    found: dict[int, list[bool]] = {}

    def work(number: int) -> None:
        found[number] = [torch.equal(layer(inputs[number])[0], alone[number]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [True] * 5 for number in range(4)}


def test_it_runs_where_it_is_asked_for(library: Library) -> None:
    cell = CELLS["gru"](2, 2)
    assert select_engine("native", cell) == "native"


def test_what_it_cannot_run_is_refused_by_name(library: Library) -> None:
    x = torch.randn(2, 3, 3)
    with pytest.raises(
        SettingsError, match="engine 'native' cannot run this layer: there is no native kernel for Coupled"
    ):
        Recurrent("lstm_coupled", 3, 4, engine="native")(x)
    with pytest.raises(SettingsError, match=r"native.*no zoneout; give engine 'auto' or 'loop'"):
        Recurrent("gru", 3, 4, engine="native", zoneout=0.1)(x)
    with pytest.raises(SettingsError, match=r"native.*no dropout inside the recurrence"):
        Recurrent("gru", 3, 4, engine="native", recurrent_dropout=0.1)(x)
    with pytest.raises(
        SettingsError, match=r"float32 and float64 on the CPU, and the weights are torch.float16 on cpu"
    ):
        select_engine("native", CELLS["gru"](3, 4, dtype=torch.float16))


def test_lengths_states_and_inputs_that_do_not_fit_are_refused(library: Library) -> None:
    cell = CELLS["gru"](3, 4)
    x, state = torch.randn(2, 5, 3), cell.initial_state(2)
    with pytest.raises(ShapeError, match="native GRUCell: lengths go from 1 to 6, expected 0 to 5, the steps of x"):
        native(cell, x, state, torch.tensor([6, 1]))
    with pytest.raises(ShapeError, match="lengths go from -1 to 2"):
        native(cell, x, state, torch.tensor([-1, 2]))
    with pytest.raises(ShapeError, match=r"lengths are torch.int64 \[3\] on cpu, expected torch.int64 \[2\] on cpu"):
        native(cell, x, state, torch.tensor([1, 2, 3]))
    with pytest.raises(ShapeError, match=r"native GRUCell: hidden has shape \[2, 3\], expected \[2, 4\]"):
        native(cell, x, type(state)(torch.zeros(2, 4)[:, :3]))
    with pytest.raises(
        ShapeError, match=r"native GRUCell: hidden is torch.float64 on cpu, expected a dense tensor, torch.float32"
    ):
        native(cell, x, type(state)(torch.zeros(2, 4, dtype=torch.float64)))
    with pytest.raises(ShapeError, match=r"hidden has shape \[1, 4\], expected \[2, 4\]"):
        native(cell, x, cell.initial_state(1), torch.tensor([5, 5]))
    lstm = CELLS["lstm"](3, 4)
    with pytest.raises(ShapeError, match="native LSTMCell: the state is a GRUState, expected LSTMState"):
        native(lstm, x, state)
    with pytest.raises(ShapeError, match=r"native LSTMCell: cell has shape \[3, 4\], expected \[2, 4\]"):
        native(lstm, x, type(lstm.initial_state(1))(torch.zeros(2, 4), torch.zeros(3, 4)))


@pytest.mark.parametrize("kind", (*KINDS, "rnn", "rnn_relu"))
def test_threads_that_share_the_units_of_a_row_give_the_same_bits(
    level: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden, rows, dtype = 130, 2, torch.float32
    steps = 2**22 // hidden**2 + 3  # as much work as a team is called for
    layer, x = drawn(kind, hidden, dtype), torch.randn(rows, steps, 3)
    for lengths in (None, torch.tensor([steps // 3, steps])):
        state = map_state(torch.randn_like, layer.initial_state(rows))
        found = []
        for threads in (1, 3, 4, 7, 3):
            monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
            given = x.clone().requires_grad_()
            layer.zero_grad()
            outputs, end = layer(given, state, lengths=lengths)
            (outputs.square().sum() + end.layers[0].hidden.sum()).backward()
            found.append([outputs, *end.layers[0], given.grad, *(one.grad.clone() for one in layer.parameters())])
        for other in found[1:]:
            assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True)), (kind, lengths)


def test_any_number_of_threads_gives_the_same_bits(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, hidden, rows in product(KINDS, (40, 70), (2, 9, 33)):
        layer, x = drawn(kind, hidden, torch.float32), torch.randn(rows, 60, 3)
        for lengths in (None, torch.randint(0, 61, (rows,))):
            found = []
            for threads in (1, 2, 5):  # of the library; torch's products stay as they are
                monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
                given = x.clone().requires_grad_()
                layer.zero_grad()
                outputs, end = layer(given, lengths=lengths)
                (outputs.square().sum() + end.layers[0].hidden.sum()).backward()
                found.append([outputs, *end.layers[0], given.grad, *(one.grad.clone() for one in layer.parameters())])
            for other in found[1:]:
                assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True)), (kind, hidden, rows)


def test_a_process_may_fork_after_use_and_end_during_it(library: Library) -> None:
    program = """
import ctypes, os, sys, threading, torch
from recurra.engines.native.library import Sequences, load
from recurra.nn import Recurrent
torch.set_num_threads(1)
layer, x = Recurrent("gru", 4, 64, engine="native"), torch.randn(8, 200, 4)
torch.get_num_threads = lambda: 4
with torch.no_grad():
    first = layer(x)[0]
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(layer(x)[0], first) else 1)
    assert os.waitpid(child, 0)[1] == 0
active, room = torch.full((200,), 8), torch.zeros(2_000_000)
library, at = load(), room.data_ptr()
box = Sequences(8, 200, 64, active.data_ptr(), 4, 64, 0, 3 * 64)
places = (ctypes.c_void_p * 6)(at, at + 4_000_000, at + 5_000_000, at + 5_500_000, at + 6_500_000, None)
function = library.function("gru_forward", torch.float32)
def work(room, active):  # holds its memory. Not by torch, whose functions end the process there
    while True:
        function(library.level, box, 3 * 64 * 64, places)
for _ in range(2):
    threading.Thread(target=work, args=(room, active), daemon=True).start()
with torch.no_grad():
    assert all(torch.equal(layer(x)[0], first) for _ in range(5))
print("ended")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr
