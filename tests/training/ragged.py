"""Ragged sequences and a model with every dropout, in float64: a training for one process, or for several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.data.partition import Given
from recurra.models import SequenceModel
from recurra.nn.door import entered_zeros
from recurra.nn.frontends import VectorInput
from recurra.randomness import generator, seed_of
from recurra.sequence import Sequence
from recurra.settings.groups import TrainingSettings
from recurra.settings.structure import from_keywords
from recurra.tasks import TASKS as BY_NAME
from recurra.tasks import TaskTraining
from recurra.training.loop import FitResult, fit
from recurra.training.processes import ALONE, Processes
from recurra.training.progress import Silent

EXAMPLES, LONGEST, STEPS = 31, 9, 20
EVERYTHING: dict[str, Any] = {
    "dropout": 0.3, "recurrent_dropout": 0.2, "weight_dropout": 0.2, "zoneout": 0.15, "output_dropout": 0.4,
    "num_layers": 2, "pooling": "mean+max", "learned_state": True,
}  # fmt: skip
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # batches of five: three rows and two; the last of an epoch has one row, and the second process nothing
    "every dropout": ({"cell": "lstm", **EVERYTHING}, {"batch_size": 5}),
    "accumulated, averaged": ({"cell": "gru", **EVERYTHING}, {"batch_size": 3, "accumulate": 2, "average": 0.9}),
    "both directions, twice": (
        {"cell": "lstm", "bidirectional": True, "num_layers": 2, "dropout": 0.3, "variational": True}, {"batch_size": 4}
    ),
    "carried": ({"cell": "gru", **EVERYTHING}, {"batch_size": 5}),
    "a row is not a number": (
        {"cell": "gru", "dropout": 0.2, "num_layers": 2}, {"batch_size": 5, "on_nonfinite": "skip"}
    ),
    "one row": ({"cell": "rnn", "recurrent_dropout": 0.3}, {"batch_size": 1}),
}  # fmt: skip


class Batch(NamedTuple):
    inputs: Sequence
    targets: Tensor
    marked: Tensor  # [B] bool, rows that a parameter of their own is for


class Ragged:
    """Three classes; a parameter of the model has a gradient from few rows only, and another one from none.

    By the variant's name every row goes through the model twice, as for R-Drop; or what a row's place in the batch
    answered is added to what it answers in the next one; or a row is not a number.
    """

    metric = "loss"
    higher_is_better = False

    def __init__(self, batch_size: int, name: str, **model: Any) -> None:
        draw = generator("ragged")
        self.values = torch.randn(EXAMPLES, LONGEST, 4, generator=draw, dtype=torch.float64)
        self.lengths = torch.randint(0, LONGEST + 1, (EXAMPLES,), generator=draw)
        self.targets = torch.randint(0, 3, (EXAMPLES,), generator=draw)
        self.batch_size, self.twice, self.carries = batch_size, "twice" in name, name == "carried"
        if "not a number" in name:
            self.values[int(self.lengths.argmax()), 0] = torch.nan
        self.state: Tensor | None = None
        self.before_batch: Callable[[int], None] = lambda count: None
        self.batches_made = 0
        with torch.random.fork_rng():
            torch.manual_seed(seed_of("weights"))
            body = SequenceModel(model.pop("cell"), 4, 5, 3, **model)
            self.model: nn.Module = nn.ModuleDict({"frontend": VectorInput(4, 0.1), "body": body}).double()
        self.model.register_parameter("marked", nn.Parameter(torch.ones(3, 1, dtype=torch.float64)))
        self.model.register_parameter("unused", nn.Parameter(torch.ones(3, 1, dtype=torch.float64)))

    def plan(self, epoch: int) -> list[list[int]]:
        order = torch.randperm(EXAMPLES, generator=generator("order", epoch)).tolist()
        batches = [order[i : i + self.batch_size] for i in range(0, EXAMPLES, self.batch_size)]
        return batches[:-1] if self.carries else batches

    def begin_step(self, step: int, total_steps: int) -> None:
        pass

    def batch(self, indices: list[int], step_seed: int) -> Batch:
        self.before_batch(self.batches_made)
        self.batches_made += 1
        lengths = self.lengths[indices]
        values = self.values[indices, : max(1, int(lengths.max()))]
        values = values + 0.1 * torch.randn(values.shape, generator=generator(step_seed))
        return Batch(Sequence(values, lengths), self.targets[indices], torch.tensor(indices) == 3)

    def size(self, batch: Batch) -> tuple[int, int]:
        return batch.inputs.batch_size, int(batch.inputs.lengths.sum())

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor | float]:
        parts = dict(self.model.named_children())
        inputs, targets, marked = batch.inputs, batch.targets, batch.marked
        if self.twice:
            inputs, targets, marked = inputs.twice(), torch.cat([targets, targets]), torch.cat([marked, marked])
        logits = parts["body"].run(entered_zeros(parts["frontend"](inputs.values), inputs.lengths))[0]
        if bool(marked.any()):
            logits = logits + marked[:, None] * self.model.get_parameter("marked")[:, 0]
        if self.carries and self.model.training:
            logits = logits if self.state is None else logits + self.state
            self.state = logits.detach().tanh()
        weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
        return F.cross_entropy(logits, targets, weights, reduction="sum"), weights[targets].sum()

    def carried(self) -> dict[str, Tensor]:
        return {} if self.state is None else {"state": self.state}

    def carry(self, tensors: dict[str, Tensor]) -> None:
        self.state = tensors.get("state")

    def evaluate(self) -> dict[str, float]:
        batch = self.batch(list(range(EXAMPLES)), 0)
        total, count = self.loss(batch)
        return {"loss": float(total / count)}

    def describe(self, indices: list[int]) -> str:
        return f"rows {', '.join(map(str, indices))}"


WORDS = ("a", "charming", "dull", "film", "mess", "with", "no", "end")
ROWS = [[WORDS[(row * 5 + place * place * 3) % 8] for place in range(1 + row * 7 % 6)] for row in range(40)]
TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "classify": (
        {"text": [" ".join(row) for row in ROWS], "label": [("one", "few", "many")[len(row) // 3] for row in ROWS]},
        {"batch_size": 5, "char_noise": 0.1, "word_dropout": 0.1, "embedding_dropout": 0.1, "rdrop": 0.5,
         "class_weights": "balanced", "label_smoothing": 0.1, "recurrent_dropout": 0.2, "bidirectional": True},
    ),
    "tag": (
        {"tokens": ROWS, "tags": [["DET" if word in ("a", "no") else word.upper() for word in row] for row in ROWS]},
        {"batch_size": 5, "embedding_dropout": 0.1, "output_dropout": 0.1, "crf": True, "dropout": 0.2},
    ),
    "model": (
        [" ".join(row) for row in ROWS],
        {"batch_size": 3, "bptt_length": 7, "num_layers": 2, "dropout": 0.3, "token_dropout": 0.2, "zoneout": 0.1,
         "embedding_dropout": 0.2, "output_dropout": 0.2, "weight_dropout": 0.2, "activation_penalty": 1.0,
         "slowness_penalty": 1.0},
    ),
}  # fmt: skip


def train_task(name: str, folder: Path, processes: Processes = ALONE) -> tuple[TaskTraining, FitResult]:
    """A task's own training of STEPS steps, with its chance in data and model, in float64."""
    data, chosen = TASKS[name]
    bounds = {"max_steps": STEPS, "evaluate_every": 9, "patience": 0, "epochs": 100, "threads": 1}
    settings = from_keywords(name, hidden_size=6, **bounds, **chosen)
    parts = BY_NAME[name].read(settings, Given(data=data))
    settings = replace(settings, data=parts.settings)
    task = BY_NAME[name].fit_features(settings, parts.train)
    task.model.double()
    training = task.training(parts)
    return training, fit(training, settings.training, folder, Silent(), processes=processes)


def train(
    name: str,
    folder: Path,
    processes: Processes = ALONE,
    before_batch: Callable[[int], None] = lambda count: None,
    resume: bool = False,
    **changes: Any,
) -> tuple[Ragged, FitResult]:
    """A variant's training of STEPS steps."""
    model, training = VARIANTS[name]
    ragged = Ragged(training["batch_size"], name, **model)
    ragged.before_batch = before_batch
    few = {"max_steps": STEPS, "evaluate_every": 7, "epochs": 100, "patience": 0, "lr": 0.02, "clip_norm": 0.5}
    settings = TrainingSettings(threads=1, weight_decay=0.1, **{**few, **training, **changes})
    return ragged, fit(ragged, settings, folder, Silent(), processes=processes, resume=resume)
