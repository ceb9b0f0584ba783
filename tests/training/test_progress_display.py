import io
import json

from recurra.training.progress import Bar, JsonLines, Lines, Silent, clock, make_progress, short
from recurra.training.step import StepRecord

RECORD = {
    "step": 500, "epoch": 1.25, "seconds": 65.2, "train_loss": 0.5, "learning_rate": 0.001, "gradient_norm": 1.25,
    "examples_per_second": 1234.5, "tokens_per_second": 56789.0, "valid_loss": 0.25, "valid_macro_f1": 0.75,
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self):
        return True


def drive(display):
    display.start(1000, metric="macro_f1", step=10)
    display.note("threads was 2 and is now [1]")
    display.evaluation(RECORD)
    for step in range(11, 40):
        if isinstance(display, Bar):
            display._drawn = 0.0  # as if the last drawing were long ago
        display.step(StepRecord(step, 0.5, 4.0, 1.25, 0.001, 4, 12, 0.1))
    display.close()


def test_auto_is_a_bar_in_a_terminal_and_lines_elsewhere():
    assert type(make_progress("auto", Terminal())) is Bar
    assert type(make_progress("auto", io.StringIO())) is Lines
    assert type(make_progress("json", Terminal())) is JsonLines
    assert type(make_progress("none", Terminal())) is Silent


def test_lines_are_one_an_evaluation():
    stream = io.StringIO()
    drive(make_progress("lines", stream))
    assert stream.getvalue() == (
        "threads was 2 and is now [1]\n"
        "step 500  epoch 1.25  train loss 0.5000  valid loss 0.2500  valid macro_f1 0.7500  norm 1.25  "
        "1,234 examples/s  56,789 tokens/s  1:05\n"
    )


def test_json_is_one_object_an_evaluation():
    stream = io.StringIO()
    drive(make_progress("json", stream))
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"note": "threads was 2 and is now [1]"}, RECORD,
    ]  # fmt: skip


def test_none_says_nothing():
    stream = Terminal()
    drive(make_progress("none", stream))
    assert stream.getvalue() == ""


def test_the_bar_shows_step_loss_metric_norm_speed_and_time_left(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    drive(make_progress("bar", stream))
    shown = stream.getvalue()
    for part in ("39/1000", "━", "loss 0.500 ", "macro_f1 0.750 ", "norm 1.25", "ex/s", "tok/s", "left", "now [1]"):
        assert part in shown
    assert "valid loss 0.2500  valid macro_f1 0.7500" in shown
    assert "\x1b[3" not in shown and "\x1b[9" not in shown


def test_a_terminal_of_80_columns_shows_every_number(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    drive(make_progress("bar", stream))
    last = stream.getvalue().rsplit("\x1b[2K", 2)[1]
    for part in ("39/1000", "loss 0.500 ", "macro_f1 0.750 ", "norm 1.25", "ex/s", "tok/s", "left"):
        assert part in last


def test_the_bar_is_drawn_a_few_times_a_second_at_most(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    bar = make_progress("bar", stream)
    bar.start(10**6, metric="loss")
    drawn = len(stream.getvalue())
    for step in range(1, 500):
        bar._drawn = float("inf")
        bar.step(StepRecord(step, 0.5, 4.0, 1.25, 0.001, 4, 12, 0.1))
    assert len(stream.getvalue()) == drawn
    bar.close()


def test_a_terminal_that_went_away_stops_nothing():
    class Gone(Terminal):
        def write(self, text):
            raise OSError(5, "Input/output error")

    for kind in ("bar", "lines", "json"):
        drive(make_progress(kind, Gone()))
    closed = io.StringIO()
    closed.close()
    drive(Lines(closed))


def test_large_numbers_are_shortened():
    assert [short(n) for n in (7, 950, 1234, 12345, 3456789)] == ["7", "950", "1.2k", "12k", "3.5M"]


def test_a_clock_reads_as_people_read_it():
    assert [clock(seconds) for seconds in (0, 65, 3725.4)] == ["0:00", "1:05", "1:02:05"]
