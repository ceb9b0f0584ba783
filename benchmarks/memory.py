"""How far back a cell remembers: the adding problem at 500 steps, and copying over a delay of 200.

    python benchmarks/memory.py adding|copy [--cell lstm ...] [--seeds 3] [--steps N] [--lr RATE] [--chrono] [--fixed]

Adding (Hochreiter and Schmidhuber, 1997): a row of numbers uniform in [0, 1], two of them marked, one in each half; the
answer is the sum of the two. Answering 1 every time has a squared error of 0.167. Copying (the same; sizes of Arjovsky
et al., 2016): ten symbols out of eight, a pause of 200 steps, a signal, then the ten symbols again, in order. A guess
has 2.079 nats a symbol and an accuracy of 0.125.

In the training on copying each batch has a pause of its own, drawn between 1 and 200 steps, and the loss is over the
ten symbols; the figures are at 200 steps always. `--fixed` trains as the problem was first put: always 200 steps, and
the loss over every step of the row. Every row is new, so there is nothing to overfit; figures are of 2,048 rows drawn
after training from a seed of their own. A training ends early where a smaller draw says that it is solved.

`--chrono` begins with gate biases for long memories (Tallec and Ollivier, 2018), a setting of `recurra.nn.Recurrent`:
up to the row's length for adding, three times it for copying. Rows of the table are kept in results/memory.json by
problem, cell, beginning and kind of training; a new run replaces its own.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells import CELLS
from recurra.lab.problems import draw_adding, draw_copying
from recurra.nn import Recurrent

ADDING_STEPS, DELAY, SYMBOLS, COPIED = 500, 200, 8, 10
BATCH, CLIP_NORM = 32, 1.0
HIDDEN, STEPS = {"adding": 64, "copy": 128}, {"adding": 1000, "copy": 3000}
LEARNING_RATES = {"adding": 0.01, "copy": 0.015}
CHRONO_LENGTHS = {"adding": ADDING_STEPS, "copy": 3 * (DELAY + 2 * COPIED)}
TEST_SEED, TEST_ROWS, GLANCE_ROWS, GLANCE_EVERY = 10_000, 2048, 256, 100
RESULTS = Path(__file__).parent / "results" / "memory.json"

Draw = Callable[[int, torch.Generator, int], tuple[Tensor, Tensor]]


class Model(nn.Module):
    """A recurrent layer and a linear one over the steps that count."""

    def __init__(self, cell: str, inputs: int, hidden_size: int, outputs: int, chrono_length: int | None) -> None:
        super().__init__()
        how = "orthogonal" if chrono_length is None else "chrono"
        self.layer = Recurrent(cell, inputs, hidden_size, initialization=how, chrono_length=chrono_length)
        self.head = nn.Linear(self.layer.output_size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0])


def loss_of(problem: str, outputs: Tensor, target: Tensor, fixed: bool) -> Tensor:
    """What is trained on."""
    if problem == "adding":
        return F.mse_loss(outputs[:, -1, 0], target)
    if not fixed:
        outputs, target = outputs[:, -COPIED:], target[:, -COPIED:]
    return F.cross_entropy(outputs.flatten(0, 1), target.flatten())


@torch.no_grad()
def figures(problem: str, model: Model, rows: int) -> dict[str, float]:
    """The squared error; or nats a symbol and accuracy over the ten."""
    generator = torch.Generator().manual_seed(TEST_SEED + rows)
    found: list[dict[str, float]] = []
    for _ in range(0, rows, GLANCE_ROWS):
        x, target = DRAW[problem](GLANCE_ROWS, generator, DELAY)
        outputs = model(x)
        if problem == "adding":
            found.append({"mse": F.mse_loss(outputs[:, -1, 0], target).item()})
        else:
            logits, right = outputs[:, -COPIED:], target[:, -COPIED:]
            nats = F.cross_entropy(logits.flatten(0, 1), right.flatten()).item()
            found.append({"nats": nats, "accuracy": (logits.argmax(-1) == right).double().mean().item()})
    return {name: statistics.fmean(one[name] for one in found) for name in found[0]}


def solved(problem: str, now: dict[str, float]) -> bool:
    return now["mse"] < 1e-3 if problem == "adding" else now["accuracy"] > 0.999


def train(given: argparse.Namespace, cell: str, seed: int) -> dict[str, Any]:
    """One training, and its figures."""
    torch.manual_seed(seed)
    problem, generator = given.problem, torch.Generator().manual_seed(seed)
    inputs, outputs = (2, 1) if problem == "adding" else (SYMBOLS + 2, SYMBOLS + 2)
    model = Model(cell, inputs, HIDDEN[problem], outputs, CHRONO_LENGTHS[problem] if given.chrono else None)
    optimiser = torch.optim.Adam(model.parameters(), given.lr)
    began, step = time.perf_counter(), 0
    for step in range(1, given.steps + 1):
        delay = DELAY if given.fixed else int(torch.randint(1, DELAY + 1, (), generator=generator))
        x, target = DRAW[problem](BATCH, generator, delay)
        for group in optimiser.param_groups:  # half a cosine, down to a tenth
            group["lr"] = given.lr * (0.55 + 0.45 * math.cos(math.pi * step / given.steps))
        optimiser.zero_grad()
        loss_of(problem, model(x), target, given.fixed).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimiser.step()
        if step % GLANCE_EVERY == 0:
            now = figures(problem, model, GLANCE_ROWS)
            if step % (5 * GLANCE_EVERY) == 0:
                print(f"  {cell} seed {seed} step {step}: {now} after {time.perf_counter() - began:.0f} s", flush=True)
            if solved(problem, now):
                break
    return {"seed": seed, "steps": step, "seconds": time.perf_counter() - began, **figures(problem, model, TEST_ROWS)}


DRAW: dict[str, Draw] = {
    "adding": lambda rows, generator, delay: draw_adding(rows, ADDING_STEPS, generator),
    "copy": lambda rows, generator, delay: draw_copying(rows, delay, generator, SYMBOLS, COPIED),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem", choices=tuple(DRAW))
    parser.add_argument("--cell", nargs="+", choices=tuple(CELLS), default=["lstm"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="default: 1000 for adding, 3000 for copy")
    parser.add_argument("--lr", type=float, help="default: 0.01 for adding, 0.015 for copy")
    parser.add_argument("--chrono", action="store_true")
    parser.add_argument("--fixed", action="store_true", help="copy: always 200 steps, and the loss over every step")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    given.steps, given.lr = given.steps or STEPS[given.problem], given.lr or LEARNING_RATES[given.problem]
    torch.set_num_threads(given.threads)
    for cell in given.cell:
        trainings = [train(given, cell, seed) for seed in range(given.seeds)]
        settings = {name: value for name, value in vars(given).items() if name not in ("cell", "seeds")}
        keep({"cell": cell, **settings, "trainings": trainings})
    print_table(json.loads(RESULTS.read_text())["rows"])


def keep(row: dict[str, Any]) -> None:
    """Put a row in the file, in place of an earlier one of the same kind."""
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    kind = ("problem", "cell", "chrono", "fixed")
    rows = [one for one in rows if [one[k] for k in kind] != [row[k] for k in kind]] + [row]
    rows.sort(key=lambda one: [str(one[k]) for k in kind])
    sizes = {"hidden_sizes": HIDDEN, "batch_size": BATCH, "clip_norm": CLIP_NORM}
    RESULTS.write_text(json.dumps({"torch": torch.__version__, **sizes, "rows": rows}, indent=1) + "\n")


def print_table(rows: list[dict[str, Any]]) -> None:
    """Each seed's figure beside the others'."""
    print("| problem | cell | chrono | delay in training | figure | each seed | steps | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        for name in ("mse", "nats", "accuracy"):
            if name in row["trainings"][0]:
                values = ", ".join(f"{one[name]:.4f}" for one in row["trainings"])
                steps, seconds = (", ".join(f"{one[k]:.0f}" for one in row["trainings"]) for k in ("steps", "seconds"))
                delay = "-" if row["problem"] == "adding" else f"{DELAY}" if row["fixed"] else f"1 to {DELAY}"
                kind = f"{row['problem']} | {row['cell']} | {'yes' if row['chrono'] else 'no'} | {delay}"
                print(f"| {kind} | {name} | {values} | {steps} | {seconds} |")


if __name__ == "__main__":
    main()
