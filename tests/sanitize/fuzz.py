"""The native kernels over random shapes against the loop, for `make sanitize`.

    python tests/sanitize/fuzz.py [--seconds 60] [--seed 0] [--library FILE] [--workers 1] [--guarded]

Every cell that has kernels, both number types, every instruction set that this processor has: outputs, ends and
gradients of whole sequences, under autocast too, and single steps. Sizes stand around the widths of registers and
tiles, and now and then where threads share units; lengths are equal, unequal, zero. --library takes kernels compiled
otherwise, such as with sanitizers; --workers runs as many threads at once; --guarded asks that `guard.c` is loaded.
Exit status 1 where numbers differ; what the sanitizers find ends the process.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import sys
import threading
import time
from pathlib import Path

import torch

from recurra import laws
from recurra.cells import CELLS
from recurra.engines.native import LEVELS, Stepper, library, why_not
from recurra.errors import SettingsError
from recurra.nn import Recurrent
from recurra.state import map_state

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 24, 25, 31, 32, 33, 40, 47, 48, 49, 64, 65, 70)
ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 19, 24, 25, 31, 33)
THREADS = (1, 2, 3, 4)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--library", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--guarded", action="store_true")
    options = parser.parse_args()
    if options.library:
        library.PATH = options.library
    cells = [name for name, cell in CELLS.items() if why_not(cell(2, 2)) is None]
    if not cells:
        print(library.why_absent(), file=sys.stderr)
        return 1
    if options.workers > 1:  # ThreadSanitizer knows the kernels' threads, and takes OpenMP's, torch's, for races
        torch.set_num_threads(1)
        torch.get_num_threads = lambda: 3
    faults: list[str] = []
    counts = [0] * options.workers
    end = time.monotonic() + options.seconds

    def work(number: int) -> None:
        draw = random.Random(options.seed * 1000 + number)
        while time.monotonic() < end and not faults:
            for name in cells:
                found = one_case(draw, name, alone=options.workers == 1)
                counts[number] += 1
                if found:
                    faults.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(options.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    guarded = guarded_allocations()
    print(
        f"{sum(counts)} cases of {', '.join(cells)} on {library.PATH.name}; {guarded} guarded allocations; "
        f"{'; '.join(faults) or 'all agree'}"
    )
    if options.guarded and not guarded:
        print("nothing was guarded: load guard.c with LD_PRELOAD", file=sys.stderr)
        return 1
    return 1 if faults else 0


def one_case(draw: random.Random, name: str, alone: bool) -> str:
    """A random shape of a cell; the fault in words, or nothing."""
    dtype = draw.choice((torch.float32, torch.float64))
    inputs, hidden, rows, steps = draw.choice((1, 3, 8)), draw.choice(SIZES), draw.choice(ROWS), draw.randint(1, 6)
    if alone:  # both are the process's
        library.load().level = draw.randint(0, library.load().functions.recurra_best_level())
        torch.set_num_threads(draw.choice(THREADS))
    elif dtype == torch.float64:  # so much work that the kernels' threads share it
        steps *= 10
    if draw.random() < 0.1:  # few rows and so much work that threads share the units
        hidden, rows, dtype = draw.choice((96, 130, 160)), draw.choice((1, 1, 2)), torch.float64
        steps = 2**22 // hidden**2 // (1 if "rnn" in name else 3) + 5
    if "layernorm" in name:  # below, a normalised vector turns its smallest errors into signs
        hidden, dtype = max(hidden, 2), dtype if hidden > 8 else torch.float64
    options = {"bidirectional": draw.random() < 0.3, "num_layers": draw.choice((1, 1, 2))}
    layer = Recurrent(name, inputs, hidden, dtype=dtype, engine="native", **options)
    lengths = torch.tensor([draw.choice((steps, draw.randint(0, steps))) for _ in range(rows)])
    if draw.random() < 0.3:
        lengths[:] = draw.choice((steps, steps, 0))
    x = torch.randn(rows, steps, inputs, dtype=dtype)
    state = map_state(torch.randn_like, layer.initial_state(rows))
    what = f"{name} {hidden} {dtype} rows {rows} lengths {lengths.tolist()} {options} {LEVELS[library.load().level]}"
    far = laws.engines_agree(layer, x, lengths, state, engine="native")
    if not laws.within(far, dtype):
        return f"{what}: {far} from the loop"
    if dtype == torch.float32:  # with matrices of bfloat16, for what is read and written; tests compare the numbers
        with torch.autocast("cpu", torch.bfloat16):
            outputs, _ = layer(x, state, lengths=lengths)
        outputs.sum().backward()
    return stepped(layer.layers[0][0].cell, x, what)


def stepped(cell: torch.nn.Module, x: torch.Tensor, what: str) -> str:
    """The same of a live layer, where the cell has a stepper."""
    try:
        stepper = Stepper(cell, x.shape[0])
    except SettingsError:
        return ""
    state = cell.initial_state(x.shape[0])
    for t in range(x.shape[1]):
        with torch.no_grad():
            y, state = cell.step(x[:, t], state)
        far = laws.difference((stepper.step(x[:, t].contiguous()), stepper.state), (y, state))
        if not laws.within(far, x.dtype):
            return f"{what}, step {t}: {far} from the cell"
    return ""


def guarded_allocations() -> int:
    """How many allocations `guard.c` has guarded; 0 where it is not loaded."""
    try:
        return int(ctypes.CDLL(None).guard_allocations())
    except AttributeError:
        return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # the sanitizers are asked for the kernels, not for the interpreter's end
