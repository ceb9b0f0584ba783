"""The Python calls print nothing, write nothing outside the run folder, change no global state and open no socket."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GLOBALS = """
import importlib, logging, os, pkgutil, random, signal, sys, threading, warnings

opened = []
sys.addaudithook(lambda event, _: opened.append(event) if event.startswith("socket.") else None)
"""

STATE = """
import matplotlib, numpy, torch, recurra
for module in pkgutil.walk_packages(recurra.__path__, "recurra."):
    importlib.import_module(module.name)

# torch brings its compiler in with the first optimiser, whose imports set a filter of warnings and a variable
torch.optim.AdamW([torch.zeros(1, requires_grad=True)])

def state():
    root = logging.getLogger()
    return {
        "random": random.getstate(),
        "numpy": repr(numpy.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "root logger": (root.level, list(root.handlers), logging.root.manager.disable),
        "warnings": list(warnings.filters),
        "matplotlib": dict(matplotlib.rcParams),
        "backend": matplotlib.rcParams._get("backend") if hasattr(matplotlib.rcParams, "_get") else None,
        "pyplot": "matplotlib.pyplot" in sys.modules,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "mask": os.umask(os.umask(0o22)) and None,
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "running": sorted(thread.name for thread in threading.enumerate()),
        "hooks": (sys.excepthook, sys.displayhook, sys.stdout, sys.stderr),
    }
"""

CALLS = """
random.seed(1), numpy.random.seed(2), torch.manual_seed(3)
data = {"text": ["good film", "bad film"] * 20, "label": ["g", "b"] * 20}
small = {"epochs": 2, "hidden_size": 4, "embedding_size": 4, "threads": 1}
before = state()
run = recurra.train("classify", data=data, out="inside/a", **small)
run.evaluate(data), run.predict(["good"]), run.confusion(data), run.describe(), repr(run), run._repr_html_()
recurra.load("inside/a").predict(["bad"])
recurra.resume("inside/a")
numbers = {"x": [[float(i)] * 3 for i in range(40)], "y": [float(i) for i in range(40)]}
recurra.train("regress", data=numbers, target="y", out="inside/b", **{**small, "embedding_size": 128})
after = state()
for name in before:
    assert before[name] == after[name], name
"""

DEMO = """
from recurra import demos
from pathlib import Path
importlib.import_module("recurra.demos.digits").COMMON["epochs"] = 1
demos.run("digits", Path("inside/demo"), "none")
"""

COMMANDS = """
from recurra.cli.main import main
assert main(["runs", "inside"]) == 0
assert main(["config", "classify"]) == 0
assert main(["doctor"]) == 0
assert main(["train", "classify", "--data", "data.csv", "--epochs", "1", "--out", "inside/c"]) == 0
assert main(["evaluate", "inside/c"]) == 0
assert main(["predict", "inside/c", "data.csv"]) == 0
assert main(["info", "inside/c"]) == 0
"""

SOCKETS = "assert not opened, opened\n"


def python(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HOME": str(folder), "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(folder / ".mpl")}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_calls_print_nothing_write_nowhere_else_and_change_no_global_state(tmp_path: Path) -> None:
    done = python(GLOBALS + STATE + CALLS + SOCKETS, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert written - {".mpl"} == {"inside"}  # matplotlib keeps a list of fonts for itself
    assert {path.name for path in (tmp_path / "inside").iterdir()} == {"a", "b"}


def test_importing_the_package_draws_nothing_in_and_says_nothing(tmp_path: Path) -> None:
    done = python("import sys, recurra; assert 'torch' not in sys.modules", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_demo_and_commands_open_no_socket(tmp_path: Path) -> None:
    rows = "".join(f"{word} film {i},{word}\n" for i in range(20) for word in ("good", "bad"))
    (tmp_path / "data.csv").write_text("text,label\n" + rows)
    program = GLOBALS + "import recurra\n" + COMMANDS
    (tmp_path / "inside").mkdir()
    done = python(program + DEMO + SOCKETS, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("call", "event"), [("socket.socket()", "socket.__new__"), ("socket.gethostbyname('x')", "")])
def test_a_socket_would_be_seen(tmp_path: Path, call: str, event: str) -> None:
    program = f"{GLOBALS}import contextlib, socket\nwith contextlib.suppress(OSError): {call}\n{SOCKETS}"
    done = python(program, tmp_path)
    assert done.returncode == 1
    assert f"['socket.{event.removeprefix('socket.')}" in done.stderr
