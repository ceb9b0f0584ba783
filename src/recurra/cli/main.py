"""The command `recurra`: its commands, and what becomes of an error.

Exit status: 0 done; 1 the work failed; 2 the user's input is at fault; 128 + n stopped by signal n. An error is one
sentence on standard error; --debug shows its traceback too.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError, UnusedCliTokensError

from recurra import __version__
from recurra.cli.processes import name_of_process, speaks
from recurra.errors import RecurraError
from recurra.memory import is_memory_fault

COMMANDS = (
    "train:train_app", "compare:compare_app", "configuration:config", "evaluate:evaluate", "predict:predict",
    "generate:generate", "explain:explain", "certify:certify", "info:info", "runs:runs", "demo:demo", "lab:lab",
    "doctor:doctor", "bench:bench",
)  # fmt: skip
"""Where each command stands. It is imported when it is asked for, so that one does not wait for the others."""

app = App(
    name="recurra",
    version=__version__,
    help="Train recurrent sequence models on your own data. `recurra COMMAND -h` lists a command's options.",
    help_epilogue="`--debug` shows the traceback of an error.",
    help_format="plaintext",  # markdown would take 60 ms to import
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
for command in COMMANDS:
    app.command(f"recurra.cli.{command}", name=command.rpartition(":")[2].removesuffix("_app"))
app.register_install_completion_command(name="--install-completion", add_to_startup=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    tokens, debug = _without_debug(list(sys.argv[1:] if arguments is None else arguments))
    try:
        if tokens[:1] in ([], ["-h"], ["--help"]):
            for command in app:
                app[command]  # imports it: the list of commands shows the first line of each one's own help
        status = app(tokens)
        if sys.stdout is not None:
            sys.stdout.flush()  # here a full disk or a closed pipe can still be answered
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exception(error)
        sentence, status = _answer(error)
        if sentence and speaks(error):
            print(f"{name_of_process()}: {_printable(sentence)}", file=sys.stderr)
    return status or 0


def _without_debug(tokens: list[str]) -> tuple[list[str], bool]:
    """The tokens without --debug, which is allowed anywhere before `--`."""
    end = tokens.index("--") if "--" in tokens else len(tokens)
    kept = [token for token in tokens[:end] if token != "--debug"]
    return kept + tokens[end:], len(kept) < end


def _answer(error: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit status."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{error.unused_tokens[0]!r} is not expected here; options begin with --, and -h lists them", 2
    if isinstance(error, CycloptsError):
        return str(error), 2
    if isinstance(error, RecurraError):
        stopped_by = getattr(error, "signal", None)
        return str(error), error.exit_status if stopped_by is None else 128 + int(stopped_by)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130
    if isinstance(error, BrokenPipeError):
        # the reader has gone; without this Python would complain once more when it closes standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "", 1
    if is_memory_fault(error):
        return "memory ran out; a smaller --batch-size, --max-length or --hidden-size needs less", 1
    if isinstance(error, OSError):
        return f"{error.filename or 'the output'}: {error.strerror or error}", 1
    fault = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"internal fault: {fault} (--debug shows where)", 1


def _printable(sentence: str) -> str:
    """One line, in which a file's content cannot command the terminal."""
    line = " ".join(sentence.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
