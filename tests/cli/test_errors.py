"""A user's mistake is one sentence on standard error and exit status 2; never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recurra.cli import main as main_module
from recurra.errors import DataError, MissingExtra, RecurraError, WorkError

from .conftest import Call


class StoppedError(RecurraError):
    """As training raises it when a signal stops it."""

    signal = 15


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("trin", 'Unknown command "trin". Did you mean "train"?'),
        ("train", "name a task (classify, regress, tag, model, translate)"),
        ("train clasify --data a.csv", "task: 'clasify' is not known; did you mean 'classify'?"),
        ("train --data a.csv classify", "a task's options follow it: recurra train classify --data"),
        ("train --resme runs/a", "did you mean '--resume'?"),
        ("train classify", "give a file with --data"),
        ("train classify --hiden-size 3", "Did you mean --hidden-size?"),
        ("train classify --hidden-size x", "--hidden-size"),
        ("train classify --hidden-size", "--hidden-size requires an argument"),
        ("train classify --cell lstn --data a.csv", "cell: 'lstn' is not known; did you mean 'lstm'?"),
        ("train classify --cell gru,lstn --data a.csv", "cell: 'lstn' is not known; did you mean 'lstm'?"),
        ("train classify --dilation 1,x --data a.csv", "dilation: '1,x' is neither a whole number nor"),
        ("train classify --data a.csv --epochs 0 --lr -1", "epochs: 0 is below 1; lr: -1.0 is not a positive number"),
        ("train classify reviews.csv", "'reviews.csv' is not expected here"),
        ("predict", "RUN requires an argument"),
        ("predict a --form csv", "--form is no option of `recurra predict`; did you mean '--from'?"),
        ("predict a b c", "'c' is not expected here; predict reads one file"),
        ("info nowhere.csv", "nowhere.csv: does not exist"),
        ("info . --input text", "describe a data file"),
        ("doctor --jsn", "Did you mean --json?"),
        ("demo digit", 'Did you mean "digits"?'),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(call: Call, arguments: str, words: str) -> None:
    status, out, err = call(*arguments.split())
    assert (status, out) == (2, "")
    assert words in err
    assert err.startswith("recurra: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (DataError("is empty", "a.csv", 3), 2, "recurra: a.csv, line 3: is empty\n"),
        (MissingExtra("needs onnx"), 2, "recurra: needs onnx\n"),
        (WorkError("the disk is full"), 1, "recurra: the disk is full\n"),
        (StoppedError("saved"), 143, "recurra: saved\n"),
        (KeyboardInterrupt(), 130, "recurra: interrupted\n"),
        (MemoryError(), 1, "recurra: memory ran out; a smaller --batch-size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "recurra: memory ran out"),
        (OSError(28, "No space left on device", "a.json"), 1, "recurra: a.json: No space left on device\n"),
        (
            ZeroDivisionError("by zero"),
            1,
            "recurra: internal fault: ZeroDivisionError: by zero (--debug shows where)\n",
        ),
        (DataError("two\nlines \x1b[2J"), 2, "recurra: two lines \\x1b[2J\n"),
    ],
)
def test_each_kind_of_error_has_its_status(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, line: str
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(main_module, "app", fail)
    answer = call("doctor")
    assert (answer.status, answer.out) == (status, "")
    assert answer.err.startswith(line)
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("arguments", ["--debug info nowhere.csv", "info nowhere.csv --debug"])
def test_debug_shows_the_traceback_anywhere_on_the_line(call: Call, arguments: str) -> None:
    status, _, err = call(*arguments.split())
    assert status == 2
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("recurra: nowhere.csv: does not exist")


def test_a_word_after_the_end_of_options_is_no_debug(call: Call) -> None:
    status, _, err = call("info", "--", "--debug")
    assert status == 2
    assert err == "recurra: --debug: does not exist; give a run folder or a data file\n"


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    program = (
        "import sys; from recurra.cli import main as m\n"
        "m.app = lambda tokens: [print('x' * 100) for _ in range(100000)] and 0\n"
        "sys.exit(m.main(['doctor']))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands for a full disk")
def test_a_full_disk_behind_standard_output_is_said() -> None:
    program = "import sys; from recurra.cli.main import main; sys.exit(main(['--version']))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr.startswith("recurra: the output: No space left on device\n")
    assert done.returncode != 0
