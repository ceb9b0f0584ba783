"""A loss that is not finite: the training stops or skips as the user chose, and what is saved is finite."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.errors import WorkError
from recurra.training.checkpoint import checkpoints, read_checkpoint
from recurra.training.loop import MOST_SKIPPED_IN_ROW, fit
from recurra.training.progress import ProgressDisplay, evaluation_text

from ..training.tiny import Crash, Tiny, crash_at, equal, is_finite, settings, train, weights, without_times


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def spoiled(at: Callable[[int], bool], loss: float = math.nan) -> Tiny:
    """A task whose loss is not finite in those of its steps; a step is known by its seed, so also after a resume."""
    tiny = Tiny()
    from recurra.randomness import seed_of

    steps = {seed_of(0, "step", step, 0): step for step in range(100)}
    real_batch, real_loss = tiny.batch, tiny.loss
    now = [0]

    def batch(indices: list[int], step_seed: int) -> Any:
        now[0] = steps[step_seed]
        return real_batch(indices, step_seed)

    def spoil(batch: Any) -> Any:
        value, count = real_loss(batch)
        return (value * loss if at(now[0]) else value), count

    tiny.batch, tiny.loss = batch, spoil  # type: ignore[method-assign]
    return tiny


class Notes(ProgressDisplay):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def evaluation(self, record: dict[str, Any]) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_stop_says_where_the_last_good_weights_are_and_how_to_go_on(tmp_path: Path) -> None:
    tiny = spoiled(lambda step: step == 5)
    with pytest.raises(WorkError) as caught:
        train(tiny, tmp_path, checkpoint_every=1e9)  # the last checkpoint would be that of step 4
    path = tmp_path / "checkpoints" / "step-00000005.safetensors"
    rows = ", ".join(map(str, tiny.plan(0)[5]))
    assert str(caught.value) == (
        f"step 6: the loss is nan on rows {rows} of tiny; the likely cause is a learning rate that is too high "
        f"({0.05 * 0.5 * (1 + math.cos(math.pi * 5 / 24)):.3g} here); give a smaller lr; the weights of step 5, the "
        f'last good ones, are in {path}; to leave such steps out, write on_nonfinite = "skip" in '
        f"{tmp_path / 'config.toml'} and go on with: recurra train --resume {tmp_path}"
    )
    saved = read_checkpoint(path, 10**6)
    assert equal(saved.tensors["weights"], weights(tiny)) and is_finite(tiny)


def test_after_a_stop_it_goes_on_and_leaves_the_step_out_as_if_told_at_first(tmp_path: Path) -> None:
    with pytest.raises(WorkError):
        train(spoiled(lambda step: step == 5), tmp_path / "a")
    tiny, other = spoiled(lambda step: step == 5), spoiled(lambda step: step == 5)
    a = train(tiny, tmp_path / "a", resume=True, on_nonfinite="skip")
    b = train(other, tmp_path / "b", on_nonfinite="skip")
    assert equal(weights(tiny), weights(other))
    assert without_times(a.history) == without_times(b.history)
    assert a.skipped == b.skipped == 1


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_skipped_step_leaves_weights_moments_and_average_and_is_counted(loss: float, tmp_path: Path) -> None:
    tiny, notes = spoiled(lambda step: step == 2, loss), Notes()
    seen: list[Any] = []
    evaluate = tiny.evaluate
    tiny.evaluate = lambda: seen.append(weights(tiny)) or evaluate()  # type: ignore[method-assign,func-returns-value]
    changes = {"evaluate_every": 1, "average": 0.5, "max_steps": 5}
    result = fit(tiny, settings(**changes, on_nonfinite="skip"), tmp_path, notes)
    assert equal(seen[1], seen[2]) and not equal(seen[2], seen[3])
    assert [line["skipped"] for line in lines(tmp_path)] == [0, 0, 1, 0, 0]
    skipped = lines(tmp_path)[2]
    assert skipped["train_loss"] is None and skipped["gradient_norm"] is None
    assert "1 skipped" in evaluation_text(skipped) and "train loss" not in evaluation_text(skipped)
    assert (result.skipped, result.steps) == (1, 5)
    assert len(notes.notes) == 1
    assert notes.notes[0].startswith("step 3: the loss is ") and "rows " in notes.notes[0]
    assert notes.notes[0].endswith("; its update is left out (1 until now)")
    assert is_finite(tiny)


def test_the_mean_loss_and_norm_are_those_of_the_steps_that_were_made(tmp_path: Path) -> None:
    plain = Tiny()
    train(plain, tmp_path / "plain", evaluate_every=1, max_steps=2)
    one, two = lines(tmp_path / "plain")
    train(spoiled(lambda step: step == 2), tmp_path / "a", evaluate_every=3, max_steps=3, on_nonfinite="skip")
    line = lines(tmp_path / "a")[0]
    # the cosine of 24 and of 2 or 3 steps differ, so the second step's weights do; the first losses are the same
    assert line["skipped"] == 1
    assert math.isfinite(line["train_loss"]) and math.isfinite(line["gradient_norm"])
    assert line["train_loss"] == pytest.approx((one["train_loss"] + two["train_loss"]) / 2, rel=0.05)


def test_a_gradient_that_is_not_finite_is_skipped_too(tmp_path: Path) -> None:
    tiny = Tiny()
    loss = tiny.loss

    def steep(batch: Any) -> Any:
        value, count = loss(batch)
        zero = next(tiny.model.parameters()).sum() * 0
        return (value + zero.abs().sqrt() if tiny.batches_made == 3 else value), count

    tiny.loss = steep  # type: ignore[method-assign]
    result = train(tiny, tmp_path, on_nonfinite="skip")
    assert (result.skipped, result.steps) == (1, 24)
    assert is_finite(tiny)


@pytest.mark.parametrize("stops", [(2,), (3,), (4,), (3, 3), (9, 7)])
def test_a_training_that_skips_resumes_exactly(stops: tuple[int, ...], tmp_path: Path) -> None:
    def bad(step: int) -> bool:
        return step in (1, 2, 3, 9, 17)

    whole = spoiled(bad)
    expected = train(whole, tmp_path / "whole", on_nonfinite="skip", average=0.9)
    for again, stop in enumerate(stops):
        tiny = spoiled(bad)
        tiny.before_batch = crash_at(stop)
        with pytest.raises(Crash):
            train(tiny, tmp_path / "cut", resume=again > 0, on_nonfinite="skip", average=0.9)
    tiny = spoiled(bad)
    result = train(tiny, tmp_path / "cut", resume=True, on_nonfinite="skip", average=0.9)
    assert equal(weights(tiny), weights(whole))
    assert without_times(lines(tmp_path / "cut")) == without_times(expected.history)
    assert result.skipped == expected.skipped == 5


def test_after_ten_in_a_row_it_stops_with_the_last_good_weights(tmp_path: Path) -> None:
    tiny = spoiled(lambda step: step >= 6)
    with pytest.raises(WorkError) as caught:
        train(tiny, tmp_path, on_nonfinite="skip")
    assert MOST_SKIPPED_IN_ROW == 10
    assert str(caught.value).startswith("step 16: the loss is nan on rows ")
    assert "; it is the 10th step in a row that is left out; the weights of step 16" in str(caught.value)
    saved = read_checkpoint(checkpoints(tmp_path)[0], 10**6)
    assert (saved.state.step, saved.state.skipped, saved.state.skipped_in_row) == (16, 10, 10)
    assert equal(saved.tensors["weights"], weights(tiny)) and is_finite(tiny)


def test_nine_in_a_row_and_again_nine_do_not_stop_it(tmp_path: Path) -> None:
    tiny = spoiled(lambda step: 1 <= step <= 9 or 11 <= step <= 19)
    assert train(tiny, tmp_path, on_nonfinite="skip").skipped == 18


def test_weights_that_overflow_end_the_training_however_it_was_chosen(tmp_path: Path) -> None:
    for choice in ("stop", "skip"):
        with pytest.raises(WorkError, match="is no longer finite, so it is not saved"):
            train(Tiny(), tmp_path / choice, lr=1e39, optimizer="sgd", schedule="constant", on_nonfinite=choice)
        assert checkpoints(tmp_path / choice) == []


def test_weights_that_overflow_between_two_checkpoints_leave_the_earlier_one(tmp_path: Path) -> None:
    tiny = Tiny()

    def spoil(count: int) -> None:
        if count == 10:
            with torch.no_grad():
                next(tiny.model.parameters()).fill_(math.inf)

    tiny.before_batch = spoil
    with pytest.raises(WorkError) as caught:
        train(tiny, tmp_path, checkpoint_every=1e9)
    path = tmp_path / "checkpoints" / "step-00000008.safetensors"
    assert str(caught.value).startswith("step 11: the loss is nan on rows ")
    assert str(caught.value).endswith(f"; {path} has the last good weights; train again with a smaller lr")
    assert all(bool(one.isfinite().all()) for one in read_checkpoint(path, 10**6).tensors["weights"].values())


def test_a_stop_signal_in_a_row_of_skipped_steps_saves_them(tmp_path: Path) -> None:
    from recurra.training.protocol import Interrupted

    tiny = spoiled(lambda step: step in (3, 4))
    tiny.before_batch = lambda count: signal.raise_signal(signal.SIGTERM) if count == 3 else None
    with pytest.raises(Interrupted):
        train(tiny, tmp_path, on_nonfinite="skip", checkpoint_every=1e9)
    saved = read_checkpoint(checkpoints(tmp_path)[0], 10**6)
    assert (saved.state.step, saved.state.skipped_in_row) == (4, 1)
