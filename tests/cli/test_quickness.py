"""Help, completion and --version answer at once: they load no torch."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_SECONDS = 0.4
ATTEMPTS = 4  # the best counts

DRIVER = """
import sys
from recurra.cli.main import main
status = main(sys.argv[1:])
heavy = [name for name in ("torch", "numpy", "pyarrow", "sklearn", "matplotlib", "tokenizers") if name in sys.modules]
print("heavy:", heavy, file=sys.stderr)
sys.exit(status)
"""

QUICK = [
    ("--help",), ("-h",), ("--version",), (), ("train", "-h"), ("train", "classify", "-h"), ("evaluate", "-h"),
    ("compare", "-h"), ("compare", "classify", "-h"), ("compare", "model"), ("predict", "-h"), ("info", "-h"),
    ("doctor", "-h"), ("demo", "-h"), ("lab", "-h"), ("runs", "-h"), ("config", "-h"), ("config", "classify"),
    ("train", "sentiment"), ("train", "classify", "--hidden-size", "0"),
]  # fmt: skip


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", DRIVER, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_an_answer_that_needs_no_model_loads_no_torch(arguments: tuple[str, ...]) -> None:
    assert "heavy: []" in run(*arguments).stderr


def test_completion_loads_no_torch() -> None:
    program = (
        "import sys; from recurra.cli.main import app; script = app.generate_completion(shell='bash');"
        "print('classify' in script, '--hidden-size' in script, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]


@pytest.mark.parametrize("arguments", [("--help",), ("train", "classify", "-h"), ("--version",)], ids=" ".join)
def test_help_is_quick(arguments: tuple[str, ...]) -> None:
    """In the processor's seconds: on a machine with nothing else to do they are the seconds a user waits."""
    assert min(processor_seconds(*arguments) for _ in range(ATTEMPTS)) < LIMIT_SECONDS


@pytest.mark.parametrize(
    ("shell", "script", "startup"),
    [
        ("bash", ".local/share/bash-completion/completions/recurra", ".bashrc"),
        ("zsh", ".zsh/completions/_cyclopts_recurra", ".zshrc"),
        ("fish", ".config/fish/completions/recurra.fish", None),
    ],
)
def test_completion_installs_itself_in_the_user_s_home(
    tmp_path: Path, shell: str, script: str, startup: str | None
) -> None:
    """For each shell: the script with every command and option, and the line of the start-up file that loads it."""
    environment = os.environ | {"HOME": str(tmp_path), "SHELL": f"/bin/{shell}"}
    for name in ("ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        environment.pop(name, None)
    command = [sys.executable, "-c", DRIVER, "--install-completion"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stderr
    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert set(written) == {script, startup} - {None}
    for word in ("classify", "regress", "runs", "config", "hidden-size", "dry-run", "track"):
        assert word in written[script], word
    if startup:
        assert script.rpartition("/")[0] in written[startup]


def processor_seconds(*arguments: str) -> float:
    """What one call costs, with the start of Python."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
