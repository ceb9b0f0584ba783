"""Whatever the native kernels are given and wherever they run: right, or one clear error, and never a crash."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recurra.cells import CELLS
from recurra.engines import run, why_not
from recurra.engines.native import native
from recurra.engines.native.check import check_tensors
from recurra.engines.native.library import Library
from recurra.errors import ShapeError
from recurra.nn import Recurrent

CELLS_WITH_KERNELS = [name for name, cell in CELLS.items() if "native" not in why_not(cell(2, 2))]


def misaligned(*shape: int) -> Tensor:
    """Numbers that begin one byte behind a place for them."""
    count = int(torch.tensor(shape).prod())
    return torch.frombuffer(bytearray(4 * count + 1), dtype=torch.float32, offset=1).view(shape)


@pytest.mark.parametrize("kind", CELLS_WITH_KERNELS)
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (1, 1, 2, 3), (3, 1, 1, 1), (2, 5, 3, 1)], ids=str)
def test_the_smallest_sizes_are_right(library: Library, kind: str, sizes: tuple[int, int, int, int]) -> None:
    rows, steps, inputs, hidden = sizes
    hidden += "layernorm" in kind  # one unit normalised is always 0, and refused
    cell = CELLS[kind](inputs, hidden, dtype=torch.float64)
    x, state = torch.randn(rows, steps, inputs, dtype=torch.float64), cell.initial_state(rows)
    for lengths in (None, torch.zeros(rows, dtype=torch.int64), torch.arange(rows).clamp(max=steps)):
        found = run(cell, x, state, engine="native", lengths=lengths)
        plain = run(cell, x, state, engine="loop", lengths=lengths)
        torch.testing.assert_close(found[0], plain[0])
        for one, other in zip(found[1], plain[1], strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", CELLS_WITH_KERNELS)
def test_views_of_every_kind_are_read_as_what_they_show(library: Library, kind: str) -> None:
    cell = CELLS[kind](3, 4)
    straight = torch.randn(2, 5, 3)
    state = cell.initial_state(2)
    expected, _ = native(cell, straight, state)
    views: list[Tensor] = [
        straight.transpose(0, 1).contiguous().transpose(0, 1),
        torch.stack([straight, straight], -1)[..., 0],
        straight.flip(1).flip(1),
        torch.complex(torch.zeros_like(straight), -straight).conj().imag,  # a view that is negated when it is read
        torch.cat([torch.zeros(2, 1, 3), straight], 1)[:, 1:],
    ]
    for view in views:
        torch.testing.assert_close(native(cell, view, state)[0], expected)
    begin = misaligned(2, 5, 3)
    begin.copy_(straight)
    torch.testing.assert_close(native(cell, begin, state)[0], expected)
    with torch.no_grad():
        rows = torch.randn(1, 3).expand(2, 5, 3)  # one row for all: strides of 0
        torch.testing.assert_close(native(cell, rows, state)[0], run(cell, rows, state, engine="loop")[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.to("meta"), "x is torch.strided on meta, expected a dense tensor on cpu"),
        (lambda x: x.to_sparse(), "x is torch.sparse_coo on cpu, expected a dense tensor on cpu"),
        (lambda x: x[0], r"x has shape \[3, 3\], expected \[B, T, 3\]"),
        (lambda x: x[..., :2], r"x has shape \[2, 3, 2\], expected \[B, T, 3\]"),
    ],
    ids=["meta", "sparse", "rank", "width"],
)
def test_an_input_that_does_not_fit_is_refused(
    library: Library, change: Callable[[Tensor], Tensor], message: str
) -> None:
    cell = CELLS["gru"](3, 4)
    with pytest.raises(ShapeError, match=f"native GRUCell: {message}"):
        native(cell, change(torch.randn(2, 3, 3)), cell.initial_state(2))


def test_mixed_dtypes_are_refused(library: Library) -> None:
    cell = CELLS["gru"](3, 4)
    with pytest.raises(RuntimeError, match="dtype"):
        native(cell, torch.randn(2, 3, 3, dtype=torch.float64), cell.initial_state(2))
    cell.bias_hh.data = cell.bias_hh.data.double()
    with pytest.raises(ShapeError, match=r"bias_hh is torch\.float64 on cpu, expected a dense tensor, torch\.float32"):
        native(cell, torch.randn(2, 3, 3), cell.initial_state(2))


def test_weights_of_another_shape_are_refused(library: Library) -> None:
    cell = CELLS["lstm"](3, 4)
    cell.weight_hh.data = torch.randn(16, 5)
    with pytest.raises(ShapeError, match="has shape"):
        native(cell, torch.randn(2, 3, 3), cell.initial_state(2))


def test_memory_that_begins_between_two_numbers_is_refused(library: Library) -> None:
    with pytest.raises(ShapeError, match=r"here: h begins between two numbers of memory; give h.clone\(\)"):
        check_tensors("here", torch.float32, {"h": (misaligned(2, 4), (2, 4))})
    cell = CELLS["gru"](3, 4)
    with pytest.raises(ShapeError, match="hidden begins between two numbers"):
        native(cell, torch.randn(2, 3, 3), type(cell.initial_state(2))(misaligned(2, 4)))


def test_threads_train_at_once_and_get_the_gradients_they_got_alone(library: Library) -> None:
    layers = [Recurrent(kind, 3, 20, engine="native") for kind in CELLS_WITH_KERNELS]
    x = torch.randn(9, 30, 3)

    def gradient(layer: Recurrent) -> Tensor:
        given = x.clone().requires_grad_()
        return torch.autograd.grad(layer(given)[0].square().sum(), given)[0]

    alone = [gradient(layer) for layer in layers]
    agree: list[bool] = []

    def work(number: int) -> None:
        for at in range(len(layers)):
            at = (at + number) % len(layers)
            agree.append(torch.equal(gradient(layers[at]), alone[at]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]  # more than cores
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert agree == [True] * (6 * len(layers))


def test_more_threads_than_cores_change_nothing(library: Library) -> None:
    before = torch.get_num_threads()
    layer, x = Recurrent("gru", 3, 33, engine="native"), torch.randn(40, 20, 3)
    found = []
    try:
        for count in (1, 2, 3, 16):
            torch.set_num_threads(count)
            with torch.no_grad():
                found.append(layer(x, lengths=torch.arange(40) % 21)[0])
    finally:
        torch.set_num_threads(before)
    for one in found[1:]:
        torch.testing.assert_close(one, found[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_after_use_works_and_so_does_its_parent(library: Library) -> None:
    assert script(
        """
        layer, x = Recurrent("gru", 3, 64, engine="native"), torch.randn(64, 20, 3)
        torch.set_num_threads(1)  # torch's own threads do not outlive a fork
        torch.get_num_threads = lambda: 2  # the kernels' do
        with torch.no_grad():
            expected = layer(x)[0]
            child = os.fork()
            same = torch.allclose(layer(x)[0], expected)
            if child == 0:
                os._exit(0 if same else 3)
            _, status = os.waitpid(child, 0)
            print(same, os.waitstatus_to_exitcode(status))
        """
    ) == (0, "True 0\n")


def test_the_interpreter_ends_after_a_thread_that_trains(library: Library) -> None:
    assert script(
        """
        layer, x = Recurrent("lstm", 16, 64, engine="native"), torch.randn(32, 100, 16, requires_grad=True)
        began = threading.Event()
        def work():
            for _ in range(3):
                layer(x)[0].sum().backward()
                began.set()
        threading.Thread(target=work).start()
        began.wait()
        print("ends")
        """
    ) == (0, "ends\n")


def test_the_interpreter_may_end_while_a_kernel_runs(library: Library) -> None:
    # the kernel alone: a daemon thread that is in one of torch's own operators when Python ends takes the process down
    assert script(
        """
        import ctypes
        from recurra.engines.native.library import Sequences, load
        library, rows, steps, size = load(), 32, 2000, 64
        active = torch.full((steps,), rows)
        sequences = Sequences(rows, steps, size, active.data_ptr(), 2, size, 0, 3 * size)
        inputs, packed = torch.randn(rows * steps, 3 * size), torch.randn(3 * size * (size + 1))
        hidden, outputs = torch.zeros(rows, size), inputs[:, :size] * 1
        tensors = inputs, packed, hidden, outputs, hidden.clone()
        places, began = (ctypes.c_void_p * 6)(*[one.data_ptr() for one in tensors], None), threading.Event()
        run = library.function("gru_forward", torch.float32)
        def work():
            while True:
                run(library.level, sequences, 3 * size * size, places)
                began.set()
        threading.Thread(target=work, daemon=True).start()
        began.wait()
        print("ends")
        """
    ) == (0, "ends\n")


@pytest.mark.parametrize("calls", [2000, pytest.param(1_000_000, marks=pytest.mark.deep)])
def test_memory_stays_flat_over_many_calls_of_many_lengths(library: Library, calls: int) -> None:
    layer = Recurrent("lstm", 3, 8, engine="native")
    generator = torch.Generator().manual_seed(0)

    def work(count: int) -> None:
        for _ in range(count):
            rows, steps = (int(size) for size in torch.randint(1, 9, (2,), generator=generator))
            lengths = torch.randint(0, steps + 1, (rows,), generator=generator)
            layer(torch.randn(rows, steps, 3), lengths=lengths)[0].sum().backward()
            layer.zero_grad()

    work(calls // 4)
    gc.collect()
    before = resident()
    work(calls)
    gc.collect()
    assert resident() - before < 4 << 20


def resident() -> int:
    """Bytes of memory that this process holds."""
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("this system does not tell a process's memory in /proc")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def script(body: str) -> tuple[int, str]:
    """Exit status and output of a process of its own."""
    head = "import os, threading, torch\nfrom recurra.nn import Recurrent\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(body)], capture_output=True, text=True, timeout=120
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout
