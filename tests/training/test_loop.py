import json
import math
import signal
import threading

import pytest
import torch
import torch.nn.functional as F

from recurra.errors import DataError, RunError, SettingsError, WorkError
from recurra.training.checkpoint import checkpoints, read_checkpoint
from recurra.training.loop import fit
from recurra.training.progress import ProgressDisplay

from .tiny import Crash, Tiny, crash_at, equal, is_finite, settings, train, weights


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_training_learns_and_says_what_it_came_to(tmp_path):
    tiny = Tiny()
    first = F.cross_entropy(tiny.model.eval()(tiny.inputs[24:]), tiny.targets[24:]).item()
    result = train(tiny, tmp_path, epochs=6, evaluate_every=0)
    assert (result.steps, result.epochs, result.stopped) == (36, 6.0, "epochs")
    assert [line["step"] for line in result.history] == [6, 12, 18, 24, 30, 36]
    assert [line["epoch"] for line in result.history] == [1, 2, 3, 4, 5, 6]
    assert result.history == lines(tmp_path)
    assert result.best["accuracy"] == max(line["valid_accuracy"] for line in result.history) >= 0.8
    assert result.best["loss"] < first
    assert not tiny.model.training
    assert tiny.evaluate() == result.best
    assert result.history[-1].keys() == {
        "step", "epoch", "seconds", "train_loss", "learning_rate", "gradient_norm", "skipped",
        "examples_per_second", "tokens_per_second", "valid_loss", "valid_accuracy",
    }  # fmt: skip


def test_one_step_is_the_mean_gradient_clipped_and_the_rate_of_its_step(tmp_path):
    tiny, twin = Tiny(batch_size=24, dropout=0.0), Tiny(batch_size=24, dropout=0.0)
    train(tiny, tmp_path, epochs=1, optimizer="sgd", weight_decay=0, clip_norm=0.1, warmup_steps=2)
    F.cross_entropy(twin.model(twin.inputs[:24]), twin.targets[:24]).backward()
    norm = math.sqrt(sum(p.grad.square().sum().item() for p in twin.model.parameters()))
    assert norm > 0.1
    for parameter, trained in zip(twin.model.parameters(), tiny.model.parameters(), strict=True):
        expected = parameter - 0.05 * 0.5 * 1.9 * parameter.grad * 0.1 / norm
        assert torch.allclose(trained, expected, atol=1e-6)
    assert lines(tmp_path)[0]["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    assert lines(tmp_path)[0]["learning_rate"] == 0.025


def test_two_batches_accumulated_equal_one_of_twice_the_size(tmp_path):
    small = Tiny(batch_size=4, dtype=torch.float64, dropout=0.0)
    large = Tiny(batch_size=8, dtype=torch.float64, dropout=0.0)
    a = train(small, tmp_path / "small", accumulate=2, evaluate_every=3)
    b = train(large, tmp_path / "large", evaluate_every=3)
    assert a.steps == b.steps == 12
    for x, y in zip(small.model.parameters(), large.model.parameters(), strict=True):
        assert (x - y).abs().max() <= 1e-10
    for x, y in zip(a.history, b.history, strict=True):
        assert x["train_loss"] == pytest.approx(y["train_loss"], abs=1e-10)
        assert x["gradient_norm"] == pytest.approx(y["gradient_norm"], abs=1e-10)


def test_accumulated_batches_of_unequal_size_count_by_their_targets(tmp_path):
    tiny, twin = Tiny(dropout=0.0, dtype=torch.float64), Tiny(dropout=0.0, dtype=torch.float64)
    tiny.plan = lambda epoch: [[0], [1, 2, 3, 4, 5, 6]]
    twin.plan = lambda epoch: [[0, 1, 2, 3, 4, 5, 6]]
    train(tiny, tmp_path / "a", epochs=3, accumulate=2, evaluate_every=1)
    train(twin, tmp_path / "b", epochs=3, evaluate_every=1)
    for x, y in zip(tiny.model.parameters(), twin.model.parameters(), strict=True):
        assert (x - y).abs().max() <= 1e-10


def test_the_last_group_of_an_epoch_may_be_short(tmp_path):
    assert train(Tiny(), tmp_path, epochs=2, accumulate=4).steps == 4  # 6 batches an epoch: 4 and 2


def test_the_same_seed_trains_the_same_weights_and_another_seed_others(tmp_path):
    trained = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tiny = Tiny()
        torch.manual_seed(len(trained))  # what ran before makes no difference
        train(tiny, tmp_path / name, seed=seed)
        trained.append(weights(tiny))
    assert equal(trained[0], trained[1])
    assert not equal(trained[0], trained[2])


def test_the_callers_generator_threads_and_handlers_are_untouched(tmp_path):
    tiny, seen = Tiny(), set()
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    threads, handlers = torch.get_num_threads(), [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    tiny.before_batch = lambda count: seen.add(torch.get_num_threads())
    train(tiny, tmp_path, threads=threads + 1)
    assert seen == {threads + 1}
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_patience_stops_and_the_best_weights_are_kept(tmp_path):
    tiny, kept = Tiny(), []
    tiny.validation = [0.5, 0.7, 0.6, 0.7, 0.1, 0.9]
    evaluate = tiny.evaluate
    tiny.evaluate = lambda: kept.append(weights(tiny)) or evaluate()
    result = train(tiny, tmp_path, patience=3)
    assert (result.stopped, result.steps) == ("patience", 20)
    assert result.best["accuracy"] == 0.7
    assert equal(weights(tiny), kept[1])
    assert not equal(weights(tiny), kept[4])


def test_a_loss_is_better_when_it_is_lower(tmp_path):
    tiny = Tiny()
    tiny.higher_is_better = False
    tiny.validation = [0.5, 0.3, 0.4, 0.2, 0.6, 0.6]
    assert train(tiny, tmp_path).best["accuracy"] == 0.2


def test_a_metric_that_is_not_a_number_is_never_the_best_and_is_null_in_the_file(tmp_path):
    tiny = Tiny()
    tiny.validation = [math.nan, 0.3, math.inf, 0.2, 0.2, 0.2]
    result = train(tiny, tmp_path)
    assert result.best["accuracy"] == 0.3
    assert [line["valid_accuracy"] for line in lines(tmp_path)] == [None, 0.3, None, 0.2, 0.2, 0.2]
    tiny.validation = [math.nan] * 6
    assert math.isnan(train(tiny, tmp_path / "never").best["accuracy"])


def test_a_stalled_metric_cuts_the_rate_of_the_plateau_schedule(tmp_path):
    tiny = Tiny()
    tiny.validation = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    result = train(tiny, tmp_path, schedule="plateau", lr=0.1)
    assert [line["learning_rate"] for line in result.history] == [0.1, 0.1, 0.1, 0.05, 0.05, 0.025]


def test_max_steps_ends_in_mid_epoch_with_an_evaluation(tmp_path):
    result = train(Tiny(), tmp_path, max_steps=7, evaluate_every=0)
    assert (result.steps, result.stopped) == (7, "max_steps")
    assert result.epochs == pytest.approx(1 + 1 / 6)
    assert [line["step"] for line in result.history] == [6, 7]


def test_max_time_ends_after_a_step_with_an_evaluation(tmp_path):
    result = train(Tiny(), tmp_path, max_time=1e-6, evaluate_every=0)
    assert (result.steps, result.stopped, len(result.history)) == (1, "max_time", 1)


def test_averaged_weights_are_those_evaluated_and_kept(tmp_path):
    tiny, evaluated = Tiny(), []
    evaluate = tiny.evaluate
    tiny.evaluate = lambda: evaluated.append(weights(tiny)) or evaluate()
    train(tiny, tmp_path, average=0.5, max_steps=1)
    twin = Tiny()
    start = weights(twin)
    train(twin, tmp_path / "plain", max_steps=1)
    for name, after in weights(twin).items():
        assert torch.allclose(evaluated[0][name], 0.1 * start[name] + 0.9 * after, atol=1e-6)
    assert equal(weights(tiny), evaluated[0])


def test_averaging_does_not_change_the_training_itself(tmp_path):
    losses = [
        [line["train_loss"] for line in train(Tiny(), tmp_path / str(average), average=average).history]
        for average in (0.0, 0.9)
    ]
    assert losses[0] == losses[1]


def test_a_loss_that_is_not_a_number_names_step_rows_and_cause_and_leaves_finite_weights(tmp_path):
    tiny = Tiny()
    batches = tiny.plan(0)[:3]
    tiny.inputs[batches[2][1]] = math.nan
    tiny.plan = lambda epoch: batches
    row = ", ".join(map(str, batches[2]))
    with pytest.raises(WorkError, match=rf"step 3: the loss is nan on rows {row} of tiny; the likely cause is a .* lr"):
        train(tiny, tmp_path)
    assert is_finite(tiny)
    saved = read_checkpoint(checkpoints(tmp_path)[0], 10**6)
    assert saved.state.step == 2
    assert equal(saved.tensors["weights"], weights(tiny))


def test_a_first_loss_that_is_not_finite_points_at_the_inputs(tmp_path):
    tiny = Tiny()
    tiny.inputs.fill_(math.inf)
    with pytest.raises(WorkError, match=r"step 1: the loss is nan .* look for inputs that are very large"):
        train(tiny, tmp_path)


def test_a_gradient_that_is_not_finite_is_not_applied(tmp_path):
    tiny = Tiny()
    before = weights(tiny)
    loss = tiny.loss

    def steep(batch):
        value, count = loss(batch)
        zero = next(tiny.model.parameters()).sum() * 0
        return value + zero.abs().sqrt(), count  # the value is right and the slope at 0 is infinite

    tiny.loss = steep
    with pytest.raises(WorkError, match=r"step 1: the norm of the gradient is nan .* though the loss is finite"):
        train(tiny, tmp_path)
    assert equal(weights(tiny), before)


def test_weights_that_overflow_are_never_saved(tmp_path):
    tiny = Tiny()
    with pytest.raises(WorkError, match=r"step 1: the weight .* is no longer finite, so it is not saved"):
        train(tiny, tmp_path, lr=1e39, optimizer="sgd", schedule="constant")
    assert checkpoints(tmp_path) == []


def test_short_memory_names_the_batch_and_the_options_that_help(tmp_path):
    tiny = Tiny()

    def short(count):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")

    tiny.before_batch = short
    with pytest.raises(
        WorkError, match=r"step 1: the memory does not suffice for a batch of 4: rows .*; give a smaller batch_size"
    ):
        train(tiny, tmp_path)


def test_other_faults_come_out_as_they_are(tmp_path):
    tiny = Tiny()
    tiny.before_batch = crash_at(2)
    with pytest.raises(Crash):
        train(tiny, tmp_path)


def test_an_earlier_training_is_never_overwritten(tmp_path):
    train(Tiny(), tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="belongs to an earlier training"):
        train(Tiny(), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_a_metric_that_is_not_measured_is_refused_with_the_nearest(tmp_path):
    tiny = Tiny()
    tiny.metric = "acuracy"
    with pytest.raises(SettingsError, match="'acuracy' is not measured; did you mean 'accuracy'"):
        train(tiny, tmp_path)


def test_nothing_to_train_on_is_refused(tmp_path):
    tiny = Tiny()
    tiny.plan = lambda epoch: []
    with pytest.raises(DataError, match="nothing to train on"):
        train(tiny, tmp_path)


def test_a_checkpoint_is_written_at_each_evaluation_whatever_the_time_between(tmp_path):
    tiny = Tiny()
    tiny.before_batch = crash_at(11)
    with pytest.raises(Crash):
        train(tiny, tmp_path, checkpoint_every=1e9)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000008.safetensors"]


def test_training_works_in_a_thread_where_no_handler_can_be_set(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(train(Tiny(), tmp_path)))
    thread.start()
    thread.join()
    assert results[0].steps == 24


def test_bf16_trains_where_the_processor_has_it(tmp_path):
    try:
        result = train(Tiny(), tmp_path, precision="bf16", lr=0.1, epochs=6)
    except SettingsError as error:
        assert "bf16" in str(error)
    else:
        full = train(Tiny(), tmp_path / "full", lr=0.1, epochs=6)
        assert result.best["loss"] == pytest.approx(full.best["loss"], rel=0.1)
        assert result.history[0]["train_loss"] != full.history[0]["train_loss"]


def test_the_display_is_told_of_everything_and_closed(tmp_path):
    calls = []

    class Told(ProgressDisplay):
        def start(self, total_steps, *, metric, step=0):
            calls.append((total_steps, metric, step))

        def step(self, record):
            calls.append(record.step)

        def evaluation(self, record):
            calls.append("evaluation")

        def close(self):
            calls.append("closed")

    fit(Tiny(), settings(epochs=1, evaluate_every=0), tmp_path, Told())
    assert calls == [(6, "accuracy", 0), 1, 2, 3, 4, 5, 6, "evaluation", "closed"]
