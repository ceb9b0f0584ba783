"""The options of a task on the command line: every setting, under the heading of its group."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from recurra.settings.names import TaskName
from recurra.settings.options import SETTINGS, groups
from recurra.settings.tasks import TaskSettings

HELP: dict[TaskName, str] = {
    "classify": "Classify sequences: texts, series of numbers or vectors, single vectors; one label a row or several.",
    "regress": "Answer a number for each sequence: texts, series of numbers or vectors, single vectors.",
    "tag": "Tag tokens: parts of speech, names, any tag for each token of a sentence.",
    "model": "Model a language: the next character, byte, subword or word of plain text.",
    "translate": "Translate texts: a text in, a text out, as in translations, summaries and replies.",
}
EXAMPLES: dict[str, str] = {
    "classify": "--data reviews.csv",
    "regress": "--data prices.csv",
    "tag": "--data treebank.conllu",
    "model": "--data book.txt",
    "translate": "--source train.en --target train.fr",
}
HEADINGS = {
    "data": "Data", "text": "Text", "tokens": "Tokens", "model": "Model", "training": "Training",
    "classify": "Classification", "regress": "Regression", "tag": "Tagging", "language": "Language model",
    "translate": "Translation",
}  # fmt: skip
"""Of each group of settings, in the order in which help shows them."""


def add_tasks(app: App, run: type[Any], work: Callable[[TaskName, TaskSettings, Any], int | None]) -> None:
    """Give an app a command for each task, with all its options.

    Args:
        app: of the command line.
        run: a dataclass: the options that are no settings of a run, shown first.
        work: what a command does: (task, settings, an object of `run`) → exit status.
    """
    for task in HELP:
        app.command(_command(task, run, work), name=task)


def flat(title: str, order: int) -> Parameter:
    """The fields of a settings group as options of their own, under one heading of the help."""
    return Parameter(
        name="*",
        group=Group(title, sort_key=order),
        negative_iterable=(),
        show_default=lambda value: None if value is None or value in ((), "") else str(value),
    )


def no_data(task: str, command: str) -> str:
    """What to say where there are no data."""
    named = " and ".join(word for word in EXAMPLES[task].split() if word.startswith("--"))
    return f"there is no data; give a file with {named}, as in: recurra {command} {task} {EXAMPLES[task]}"


def _command(
    task: TaskName, run: type[Any], work: Callable[[TaskName, TaskSettings, Any], int | None]
) -> Callable[..., int | None]:
    kinds: dict[str, type[Any]] = {name: groups(task)[name] for name in HEADINGS if name in groups(task)}

    def command(**given: Any) -> int | None:
        options = given.pop("run", None)
        defaults = {name: kind() for name, kind in kinds.items()}
        return work(task, SETTINGS[task](**{**defaults, **given}), run() if options is None else options)

    annotations = {"run": Annotated[run, flat("Run", 1)]} | {
        name: Annotated[kind, flat(HEADINGS[name], order)] for order, (name, kind) in enumerate(kinds.items(), 2)
    }
    signature = inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=kind(), annotation=annotations[name])
            for name, kind in {**kinds, "run": run}.items()
        ]
    )
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = annotations
    command.__name__, command.__doc__ = task, HELP[task]
    return command
