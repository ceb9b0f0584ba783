"""`recurra config TASK`, and what `train --config FILE` makes of a settings file."""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, Parameter, Token

from recurra.cli.show import print_text
from recurra.errors import SettingsError
from recurra.settings.names import TASKS, check_task
from recurra.settings.options import SETTINGS, flat, options

CONFIG = "--config"
ConfigFile = Annotated[
    Path | None,
    Parameter(name=CONFIG, help="Settings file, as `recurra config` prints it; options given here override it."),
]


def config(
    task: Annotated[str, Parameter(help=f"Which task: {', '.join(TASKS)}.")],
    /,
    *,
    schema: Annotated[bool, Parameter(help="Print its JSON Schema (draft 2020-12) instead.", negative="")] = False,
) -> None:
    """Print every setting of a task with its default and what it does: a file for `recurra train --config`."""
    from recurra.settings.schema import json_schema
    from recurra.settings.toml import to_toml

    check_task(task)
    if schema:
        print_text(json.dumps(json_schema(task), indent=2))
    else:
        print_text(to_toml(task, SETTINGS[task]()).rstrip("\n"))


def fill_from_file(
    _: App, commands: tuple[str, ...], arguments: ArgumentCollection, without: Collection[str] = ()
) -> None:
    """Give the options of a task's command that are not on the command line the values of `--config FILE`.

    Args:
        commands: the last one is the task.
        arguments: filled.
        without: settings that the command chooses itself.

    Raises:
        InputError: the file cannot be read, or is of another task.
    """
    by_name = {name: argument for argument in arguments for name in argument.names}
    file = by_name.get(CONFIG)
    if file is None or not file.tokens or commands[-1] not in TASKS:
        return
    from recurra.configuration import read_configuration

    known = options(commands[-1])
    found = read_configuration(Path(file.tokens[-1].value), commands[-1])
    for name, value in flat(found.settings).items():
        argument = by_name[f"--{name.replace('_', '-')}"]
        if not argument.tokens and value != known[name].default and name not in without:
            for index, word in enumerate(_words(value)):
                argument.append(Token(keyword=name, value=word, source=str(found.path), index=index))


def task_of(tokens: tuple[str, ...]) -> str | None:
    """The task of the settings file that `--config` names among the tokens of a command; None without `--config`.

    Raises:
        InputError: no file follows, or it cannot be read.
    """
    for token, following in zip_longest(tokens, tokens[1:], fillvalue=""):
        name, equals, value = token.partition("=")
        if name == CONFIG:
            from recurra.configuration import read_configuration

            path = value if equals else following
            if not path:
                raise SettingsError("--config: no file follows; write: recurra train --config FILE.toml")
            return read_configuration(Path(path)).task
    return None


def _words(value: Any) -> list[str]:
    """A setting's value as it stands on a command line."""
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return [str(value).lower() if isinstance(value, bool) else str(value)]
