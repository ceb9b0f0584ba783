"""`recurra info RUN|FILE`: what is in a run, or what a data file looks like to a task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.show import facts, print_json, print_text
from recurra.errors import DataError, SettingsError
from recurra.settings.groups import DataSettings
from recurra.settings.options import documentation

DOCUMENTED = documentation(DataSettings)


def _documented(name: str) -> Parameter:
    return Parameter(help=DOCUMENTED[name], negative_iterable=(), show_default=False)


def info(
    path: Annotated[Path, Parameter(help="Run folder, or data file.")],
    /,
    *,
    input: Annotated[tuple[str, ...], _documented("input")] = (),
    target: Annotated[tuple[str, ...], _documented("target")] = (),
    id: Annotated[str, _documented("id")] = "",
    time: Annotated[str, _documented("time")] = "",
    delimiter: Annotated[str, _documented("delimiter")] = "",
    header: Annotated[bool, _documented("header")] = True,
    encoding: Annotated[str, _documented("encoding")] = "utf-8",
    json: Annotated[bool, Parameter(help="Print one JSON object.", negative="")] = False,
) -> None:
    """Show what is in a run, or what a data file looks like: columns, lengths, classes, problems."""
    data = DataSettings(
        input=input, target=target, id=id, time=time, delimiter=delimiter, header=header, encoding=encoding
    )
    if problems := data.problems():
        raise SettingsError("; ".join(problems))
    if path.is_dir():
        if data != DataSettings():
            raise SettingsError(f"{path} is a folder; --input, --target and the like describe a data file")
        from recurra import api

        content = api.load(path).describe()
    elif not path.exists():
        raise DataError("does not exist; give a run folder or a data file", path)
    else:
        from recurra import workflow

        content = workflow.describe_data(path, data)
    if json:
        print_json(content)
    else:
        print_text(facts(content))
