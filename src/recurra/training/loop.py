"""The training loop: steps, evaluations and checkpoints, to the best weights on validation data."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.engines.costs import in_use
from recurra.errors import DataError, RunError, SettingsError, WorkError
from recurra.files import make_folder, write_whole
from recurra.memory import memory_faults_named
from recurra.settings.groups import TrainingSettings
from recurra.settings.names import did_you_mean
from recurra.training import checkpoint as files
from recurra.training.averaging import make_average
from recurra.training.checkpoint import Checkpoint, Tally, TrainingState
from recurra.training.devices import check_precision, forked_generators, threads
from recurra.training.interruption import stop_requests
from recurra.training.optimisation import make_optimiser, optimiser_tensors, restore_optimiser
from recurra.training.processes import ALONE, Processes, share
from recurra.training.progress import ProgressDisplay
from recurra.training.protocol import Interrupted, Trainable, how_to_go_on
from recurra.training.schedule import rate_factor
from recurra.training.step import NonFinite, StepRecord, take_step

METRICS_FILE = "metrics.jsonl"
# these do not choose the numbers, but for the last bits; the last one decides what a training dies of
FREE_ON_RESUME = ("checkpoint_every", "threads", "device", "track", "on_nonfinite")
LESS_MEMORY = "give a smaller hidden_size, num_layers, embedding_size or vocabulary_size"
MOST_SKIPPED_IN_ROW = 10  # a bad row spoils one batch of an epoch; ten batches in a row are spoiled by the weights


@dataclass(frozen=True)
class FitResult:
    """What a training came to; the model itself carries the best weights."""

    steps: int
    """Optimiser steps taken."""
    epochs: float
    """Epochs, the part of the last one included."""
    seconds: float
    """Seconds of training, evaluations included, over all the processes that had a part in it."""
    best: dict[str, float]
    """The validation metrics of the best weights (NaN where one was not finite)."""
    best_step: int
    """Optimiser steps that had been taken when they were scored."""
    schedule_steps: int
    """Optimiser steps over which the learning rate's schedule went, or would have gone."""
    history: list[dict[str, Any]]
    """The lines of metrics.jsonl."""
    stopped: str
    """Why it ended: epochs, max_steps, max_time or patience."""
    skipped: int
    """Steps whose update was left out, for a loss or gradient that was not finite."""
    notes: list[str]
    """What a user should know: another torch, device or number of threads than before a resume."""


def fit(
    trainable: Trainable,
    settings: TrainingSettings,
    folder: Path,
    progress: ProgressDisplay,
    *,
    resume: bool = False,
    beginning: Mapping[str, str] | None = None,
    run_folder: Path | None = None,
    schedule_steps: int = 0,
    processes: Processes = ALONE,
) -> FitResult:
    """Train until a bound is reached or validation stalls; the model ends with its best weights, in evaluation mode.

    Writes `metrics.jsonl` and `checkpoints/` into the folder, which is made where it is not there; the caller holds
    it (`recurra.training.folder`). The caller's random generators, thread count and signal handlers are the same
    afterwards.

    Args:
        resume: go on from the folder's checkpoint, to the weights and metrics of a training that was never stopped;
            from the start where the earlier one was stopped before its first checkpoint.
        beginning: digests of the files that the run began with, by name; a checkpoint goes on with no others.
        run_folder: what goes on with this training, where `folder` lies inside it.
        schedule_steps: steps that the learning rate's schedule is laid over; 0: those that the training takes at most.
        processes: that train together, each in a call of its own; the first one alone writes and evaluates.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came, and all is saved.
        RunError: the folder's checkpoint is damaged or of another training, or it has one and `resume` is not given.
        SettingsError: the metric is not measured, or the device has no bf16.
        WorkError: a loss, gradient or weight is not finite (the last good weights are saved), memory is short, the
            disk fails, or another process is gone.
    """
    device = next(trainable.model.parameters()).device
    check_precision(settings.precision, device)
    if processes.first:
        make_folder(folder / files.FOLDER)
    with (
        memory_faults_named("training", partial(_model_in_words, trainable.model), LESS_MEMORY),
        threads(settings.threads),
        forked_generators(device),
        contextlib.closing(progress),
        stop_requests(at_once=processes.count == 1) as request,
    ):
        training = Training(
            trainable, settings, folder, beginning or {}, run_folder or folder, schedule_steps, processes
        )
        training.resume() if resume else training.begin()
        for note in training.notes:
            progress.note(note)
        progress.start(training.total_steps, metric=trainable.metric, step=training.state.step)
        stop = None
        while not training.state.stopped:
            stop = training.agree(request.signal)
            if stop is not None:
                training.save()
                break
            if training.evaluation_is_due():
                progress.evaluation(training.evaluate())
                training.save()
            else:
                try:
                    record = training.step()
                except NonFinite as error:
                    raise WorkError(f"{error}; {training.save_last_good()}") from error
                progress.step(record)
                if record.skipped:
                    progress.note(f"{record.skipped}; its update is left out ({training.state.skipped} until now)")
                if training.checkpoint_is_due():
                    training.save()
        if stop is None:  # one may have come in the last evaluation
            stop = training.agree_at_once(request.signal)
    trainable.model.eval()
    if stop is not None:
        raise Interrupted(stop, f"after step {training.state.step} and is saved; {how_to_go_on(run_folder or folder)}")
    return training.result()


class Training:
    """A training under way: its optimiser, its average and best weights, and where it stands.

    Args:
        trainable: what is trained.
        settings: how.
        folder: the run folder, held by the caller.
        beginning: digests of the files that the run began with, by name.
        run_folder: what goes on with this training: `folder`, or the one it lies in.
        schedule_steps, processes: as for `fit`.
    """

    def __init__(
        self,
        trainable: Trainable,
        settings: TrainingSettings,
        folder: Path,
        beginning: Mapping[str, str],
        run_folder: Path,
        schedule_steps: int,
        processes: Processes = ALONE,
    ) -> None:
        self.trainable, self.settings, self.folder, self.beginning = trainable, settings, folder, dict(beginning)
        self.run_folder, self.processes = run_folder, processes
        self.model = trainable.model
        self.state = TrainingState()
        self.notes: list[str] = []
        self.optimiser = make_optimiser(self.model, settings)
        self.average = make_average(self.model, settings)
        self.best: dict[str, Tensor] = {}
        self._batches = self._plan(0)
        steps = settings.epochs * math.ceil(len(self._batches) / settings.accumulate)
        self.total_steps = min(steps, settings.max_steps or steps)
        self.schedule_steps = schedule_steps or self.total_steps
        self._began, self._elapsed, self._saved = time.perf_counter(), 0.0, 0.0

    def begin(self) -> None:
        """Start anew.

        Raises:
            RunError: the folder has a checkpoint, which would be lost.
        """
        earlier = files.checkpoints(self.folder) if self.processes.first else []
        if earlier:
            raise RunError(
                f"{earlier[0]} belongs to an earlier training; go on with it (--resume), or give another --out"
            )
        self._begin_together()

    def resume(self) -> None:
        """Go on from the folder's checkpoint; start anew where there is none.

        Raises:
            RunError: the checkpoint is damaged, or of another model, other settings or other data.
        """
        step = self.processes.found(self._read)
        if not self.processes.first and self._read() != step:
            raise RunError(
                f"{self.folder}: process {self.processes.rank} finds the checkpoint of step {self.state.step} there, "
                f"and the first one that of step {step}; to go on, all machines need the same folder"
            )
        self._begin_together()
        self._write_metrics()

    def agree(self, signal: int | None) -> int | None:
        """The signal that told this process or another one to stop; the clock of all is then the first one's."""
        word = self.processes.say(signal, time.perf_counter() - self._began)
        self._elapsed = max(self._elapsed, word.seconds)
        return word.signal

    def agree_at_once(self, signal: int | None) -> int | None:
        """`agree`, with a message of its own."""
        self.agree(signal)
        self.processes.add([], [])
        return self.agree(signal)

    def step(self) -> StepRecord:
        """Take one optimiser step.

        Raises:
            NonFinite: the loss or the gradient is not finite, or has been so for too many steps in a row.
        """
        state, settings = self.state, self.settings
        fraction = self.elapsed() / settings.max_time if settings.max_time else 0.0
        factor = rate_factor(
            settings.schedule, state.step, self.schedule_steps, settings.warmup_steps, fraction, state.plateau.factor
        )
        batches = self._batches[state.position : state.position + settings.accumulate]
        self.trainable.begin_step(state.step, self.schedule_steps)
        record = take_step(
            self.trainable, settings, self.optimiser, state.step, batches, settings.lr * factor, self.processes
        )
        if self.average is not None and not record.skipped:
            self.average.after_step(state.step)
        state.step += 1
        state.skipped += bool(record.skipped)
        state.skipped_in_row = state.skipped_in_row + 1 if record.skipped else 0
        state.position += len(batches)
        state.tally.add(record)
        if state.position >= len(self._batches):
            state.epoch, state.position = state.epoch + 1, 0
            if state.epoch < settings.epochs:
                self._batches = self._plan(state.epoch)
        if state.skipped_in_row >= MOST_SKIPPED_IN_ROW:
            raise NonFinite(f"{record.skipped}; it is the {state.skipped_in_row}th step in a row that is left out")
        return record

    def evaluation_is_due(self) -> bool:
        """Whether the steps taken ask for an evaluation that has not been made."""
        state, every = self.state, self.settings.evaluate_every
        if not state.tally.steps:
            return False
        return (state.step % every == 0 if every else state.position == 0) or bool(self._bound())

    def evaluate(self) -> dict[str, Any]:
        """Score the weights, keep them if they are the best, and see whether to stop; the new line of metrics.jsonl.

        Evaluation is made in the model's own precision: that is how it will answer.
        """
        state, history = self.state, self.state.history
        self.model.eval()
        with torch.no_grad(), self.average.applied() if self.average else contextlib.nullcontext():
            metrics = self._found()
            if self.trainable.metric not in metrics:
                raise SettingsError(
                    f"metric: {self.trainable.metric!r} is not measured; {did_you_mean(self.trainable.metric, metrics)}"
                )
            improved = self._is_best(metrics[self.trainable.metric])
            if improved or not history:  # the first is kept whatever it is: there are always weights to end with
                state.best = len(history)
                self.best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.train()
        state.seconds = self.elapsed()
        history.append(self._line(metrics))
        state.tally = Tally()
        state.plateau = state.plateau.after(improved)
        stalled = len(history) - 1 - state.best
        out_of_patience = bool(self.settings.patience) and stalled >= self.settings.patience
        state.stopped = self._bound() or ("patience" if out_of_patience else "")
        if state.stopped:
            self.model.load_state_dict(self.best)
        self._write_metrics()
        return history[-1]

    def checkpoint_is_due(self) -> bool:
        """Whether the last checkpoint is old enough for another."""
        return self._elapsed - self._saved >= self.settings.checkpoint_every

    def save(self) -> None:
        """Write a checkpoint.

        Raises:
            WorkError: a weight is not finite, or the disk fails; the earlier checkpoint is still there.
        """
        name = self._non_finite_weight()
        if name:
            raise WorkError(
                f"step {self.state.step}: the weight {name} is no longer finite, so it is not saved; "
                "the likely cause is a learning rate that is too high; give a smaller lr"
            )
        self.state.seconds = self.elapsed() if not self.state.stopped else self.state.seconds
        tensors = {"weights": dict(self.model.state_dict())}
        if not self.state.stopped:  # a training that ended needs its weights alone
            tensors["optimiser"] = optimiser_tensors(self.model, self.optimiser)
            tensors["best"] = self.best
            tensors["average"] = self.average.tensors if self.average else {}
            tensors["carried"] = self._carried()
        if self.processes.first:
            files.save_checkpoint(
                self.folder,
                Checkpoint(self.state, _plain(self.settings), self._surroundings(), tensors, self.beginning),
            )
        self._saved = self._elapsed

    def save_last_good(self) -> str:
        """Save the weights before a step that failed, and say how to go on; the end of a sentence.

        Raises:
            WorkError: the disk fails.
        """
        if self._non_finite_weight():
            earlier = files.checkpoints(self.folder)
            saved = f"{earlier[0]} has the last good weights" if earlier else "no good weights were saved"
            return f"{saved}; train again with a smaller lr"
        self.save()
        there = (
            f"the weights of step {self.state.step}, the last good ones, are in "
            f"{files.checkpoint_path(self.folder, self.state.step)}"
        )
        if self.settings.on_nonfinite == "skip":
            return f"{there}; train again with a smaller lr, or without those rows"
        config, goes_on = self.run_folder / "config.toml", how_to_go_on(self.run_folder)
        return f'{there}; to leave such steps out, write on_nonfinite = "skip" in {config} and {goes_on}'

    def elapsed(self) -> float:
        """Seconds trained until now, or until the processes last agreed on the time."""
        return self._elapsed

    def result(self) -> FitResult:
        """What the training came to."""
        state = self.state
        best = {
            name.removeprefix("valid_"): math.nan if value is None else value
            for name, value in state.history[state.best].items()
            if name.startswith("valid_")
        }
        best_step = state.history[state.best]["step"]
        # a bound in time has brought the schedule to its end at the last step
        schedule_steps = state.step if state.stopped == "max_time" else self.schedule_steps
        return FitResult(
            state.step,
            self._epochs(),
            state.seconds,
            best,
            best_step,
            schedule_steps,
            list(state.history),
            state.stopped,
            state.skipped,
            self.notes,
        )

    def _read(self) -> int:
        """Take over the folder's checkpoint, where there is one; the steps taken until then."""
        found = files.load_checkpoint(self.folder, limit=8 * _bytes(self.model.state_dict()) + 2**26)
        if found is not None:
            self._check_beginning(found)
            self._check_settings(found.settings)
            try:
                self._restore(found)
            except (LookupError, ValueError, RuntimeError) as error:
                raise RunError(f"the checkpoint of {self.folder} is not of this training: {error}") from error
            self.notes = _differences(found.surroundings, self._surroundings())
            self._elapsed = self._saved = self.state.seconds
            self._began = time.perf_counter() - self._elapsed
        return self.state.step

    def _begin_together(self) -> None:
        """All have the first process's weights, whose last bits may be others on another kind of machine.

        None of them writes before all have read.
        """
        self.processes.begin(list(self.model.state_dict().values()))
        self.model.train()

    def _found(self) -> dict[str, float]:
        """The metrics that the first process measures, and its clock after that."""

        def measured() -> tuple[dict[str, float], float]:
            metrics = {name: float(value) for name, value in self.trainable.evaluate().items()}
            return metrics, time.perf_counter() - self._began

        metrics, self._elapsed = self.processes.found(measured)
        return metrics

    def _carried(self) -> dict[str, Tensor]:
        """What goes over from batch to batch, the rows of all processes together."""
        own = self.trainable.carried()
        names = self.processes.add([], [float(len(own))])[0]
        if names != self.processes.count * len(own):
            raise SettingsError(
                f"batch_size: it is smaller than the number of processes, {self.processes.count}, and each needs a row "
                "that goes on from batch to batch; give a larger batch_size, or start fewer processes"
            )
        return {name: self.processes.joined_rows(tensor) for name, tensor in sorted(own.items())}

    def _write_metrics(self) -> None:
        if self.processes.first:
            text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in self.state.history)
            write_whole(self.folder / METRICS_FILE, text)

    def _plan(self, epoch: int) -> list[list[int]]:
        batches = self.trainable.plan(epoch)
        if not batches:
            raise DataError("there is nothing to train on: the training data make no batch")
        return batches

    def _epochs(self) -> float:
        return self.state.epoch + self.state.position / len(self._batches)

    def _bound(self) -> str:
        settings, state = self.settings, self.state
        if settings.max_steps and state.step >= settings.max_steps:
            return "max_steps"
        if state.epoch >= settings.epochs:
            return "epochs"
        return "max_time" if settings.max_time and self.elapsed() >= settings.max_time else ""

    def _is_best(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.state.best < 0:
            return True
        best = self.state.history[self.state.best][f"valid_{self.trainable.metric}"]
        if best is None:
            return True
        return bool(value > best) if self.trainable.higher_is_better else bool(value < best)

    def _line(self, metrics: dict[str, float]) -> dict[str, Any]:
        tally = self.state.tally
        seconds = max(tally.seconds, 1e-9)
        made = tally.steps - tally.skipped
        return {
            "step": self.state.step,
            "epoch": self._epochs(),
            "seconds": round(self.state.seconds, 3),
            "train_loss": tally.loss / (tally.targets or 1.0) if made else None,
            "learning_rate": tally.learning_rate,
            "gradient_norm": tally.gradient_norm / made if made else None,
            "skipped": tally.skipped,
            "examples_per_second": round(tally.examples / seconds, 1),
            "tokens_per_second": round(tally.tokens / seconds, 1),
        } | {f"valid_{name}": _number(value) for name, value in metrics.items()}

    def _surroundings(self) -> dict[str, Any]:
        device = next(self.model.parameters()).device
        kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
            "device": kind,
            "threads": torch.get_num_threads(),
            "processes": self.processes.count,
            **{f"engines, {name}": value for name, value in in_use().items()},
        }

    def _non_finite_weight(self) -> str:
        """The name of a weight, of those now or of those kept, that is not finite; empty where all are."""
        average = self.average.tensors if self.average else {}
        for tensors in (self.model.state_dict(), average, self.best):
            for name, tensor in tensors.items():
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    return name
        return ""

    def _check_beginning(self, found: Checkpoint) -> None:
        for name, digest in self.beginning.items() if found.beginning else ():
            if found.beginning.get(name) != digest:
                raise RunError(
                    f"{files.checkpoint_path(self.folder, found.state.step)} was not written with the {name} that is "
                    "here: one of them is of another run; put the right one back, or train again into a new folder"
                )

    def _check_settings(self, earlier: dict[str, Any]) -> None:
        now = _plain(self.settings)
        earlier = _plain(type(self.settings)()) | earlier  # a setting that is newer than the checkpoint had its default
        for name in sorted(now.keys() | earlier.keys()):
            if name not in FREE_ON_RESUME and now.get(name) != earlier.get(name):
                raise RunError(
                    f"the checkpoint of {self.folder} was written with {name} = {earlier.get(name)!r}, "
                    f"and {name} is now {now.get(name)!r}; go on with the same settings, or give another --out"
                )

    def _restore(self, found: Checkpoint) -> None:
        self.state = found.state
        expected = self.model.state_dict()
        _check_alike("weights", found.tensors.get("weights", {}), expected)
        self.model.load_state_dict(found.tensors["weights"])
        if self.state.stopped:
            return
        restore_optimiser(self.model, self.optimiser, found.tensors.get("optimiser", {}))
        self.best = {n: t.to(expected[n].device) for n, t in found.tensors.get("best", {}).items()}
        if self.state.history:
            _check_alike("best", self.best, expected)
        if self.average is not None:
            average = found.tensors.get("average", {})
            _check_alike("average", average, self.average.expected(len(self.state.history)))
            self.average.restore(average)
        carried = found.tensors.get("carried", {})
        self.trainable.carry({name: share(tensor, self.processes) for name, tensor in carried.items()})
        self._batches = self._plan(self.state.epoch)
        if self.state.position >= len(self._batches):
            raise ValueError(
                f"epoch {self.state.epoch} has {len(self._batches)} batches, and {self.state.position} are done"
            )


def _model_in_words(model: nn.Module) -> str:
    parameters = sum(one.numel() for one in model.parameters())
    return f"a model of {parameters:,} parameters, with its optimiser and its checkpoint"


def _plain(settings: TrainingSettings) -> dict[str, Any]:
    """Settings as JSON has them, so that those of a file can be compared."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


def _check_alike(kind: str, tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name in sorted(tensors.keys() | expected.keys()):
        if name not in tensors or name not in expected:
            raise ValueError(f"{kind}: {name} is {'missing' if name not in tensors else 'not in this model'}")
        if tensors[name].shape != expected[name].shape or tensors[name].dtype != expected[name].dtype:
            raise ValueError(
                f"{kind}: {name} is {list(tensors[name].shape)} {tensors[name].dtype}, "
                f"and this model has {list(expected[name].shape)} {expected[name].dtype}"
            )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    # older checkpoints do not say it, and were made before "auto" took the native engine
    before = {"processes": 1, "engines, costs": "none", "engines, native": "none"} | before
    return [
        f"{name} was {before.get(name)} and is now {now[name]}: the last bits may differ from a training never stopped"
        for name in now
        if before.get(name) != now[name]
    ]


def _number(value: float) -> float | None:
    """A metric as JSON has it: NaN and infinity are no JSON."""
    return float(value) if math.isfinite(value) else None


def _bytes(tensors: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
