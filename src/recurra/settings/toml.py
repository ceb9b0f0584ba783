"""Settings ↔ TOML: a file that says every setting, defaults included, with the line that documents it.

    task = "classify"

    [model]
    # Features of the hidden state, per direction.
    hidden_size = 128

A setting whose value is None stands there as a comment. The table [record] holds what is no setting (which files
with which fingerprints made a run).
"""

from __future__ import annotations

import tomllib
from typing import Any

import tomlkit

from recurra.errors import SettingsError
from recurra.settings.groups import as_fraction
from recurra.settings.names import check_task, did_you_mean
from recurra.settings.options import groups, options
from recurra.settings.structure import NUMBER_OR_FILE, structure
from recurra.settings.tasks import TaskSettings

LARGEST_FILE = 1_000_000  # characters; a whole file of settings has some thousands
RECORD = "record"


def to_toml(task: str, settings: TaskSettings, record: dict[str, Any] | None = None) -> str:
    """All settings as a commented TOML text.

    Args:
        task: its name.
        settings: written whole, defaults included.
        record: what is no setting, as plain TOML values; entries that are None are left out.
    """
    document = tomlkit.document()
    document.add("task", task)
    for group in groups(task):
        table, values = tomlkit.table(), getattr(settings, group)
        for option in options(task).values():
            if option.group != group:
                continue
            value = getattr(values, option.name)
            table.add(tomlkit.comment(option.documentation))
            if value is None:
                table.add(tomlkit.comment(f"{option.name} = (not set)"))
            else:
                table.add(option.name, _plain(option.name, value))
        document.add(tomlkit.nl())
        document.add(group, table)
    if record:
        document.add(tomlkit.nl())
        document.add(RECORD, tomlkit.item(_without_none(record)))
    return tomlkit.dumps(document)


def from_toml(text: str, source: str) -> tuple[str, TaskSettings, dict[str, Any]]:
    """Read settings back; what the text does not name has its default.

    Args:
        text: the TOML.
        source: what error messages call it: the file.

    Returns:
        the task's name, its settings, and the table [record].

    Raises:
        SettingsError: no TOML, no known task, or every unknown key, wrong type and value out of range, in one report.
    """
    document = _parse(text, source)
    task = document.pop("task", None)
    if task is None:
        raise SettingsError(f'{source}: there is no task; the first line says it, as in task = "classify"')
    try:
        check_task(str(task))
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from None
    record = document.pop(RECORD, {})
    problems = [] if isinstance(record, dict) else [f"{RECORD}: is a value, and a table is expected"]
    tables = _known_tables(task, document, problems)
    settings, more = structure(task, tables)
    problems += more
    if settings is None or problems:
        raise SettingsError(f"{source}: {'; '.join(problems)}")
    return task, settings, record


def _parse(text: str, source: str) -> dict[str, Any]:
    if len(text) > LARGEST_FILE:
        raise SettingsError(f"{source}: is longer than {LARGEST_FILE} characters, more than settings can be")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{source}: is nested too deep for a file of settings") from None
    except ValueError as error:  # TOMLDecodeError, and integers of more than 4300 digits
        raise SettingsError(f"{source}: is not TOML: {error}") from error


def _known_tables(task: str, document: dict[str, Any], problems: list[str]) -> dict[str, dict[str, Any]]:
    """The tables with their known keys; what is unknown goes to the problems, with where it belongs."""
    known, tables = options(task), {}
    for group, table in document.items():
        if group not in groups(task):
            hint = f"it belongs under [{known[group].group}]" if group in known else did_you_mean(group, groups(task))
            what = "table" if isinstance(table, dict) else "setting outside the tables"
            problems.append(f"{group}: no such {what}; {hint}")
            continue
        if not isinstance(table, dict):
            problems.append(f"{group}: is a value, and a table is expected: [{group}]")
            continue
        own = [name for name, option in known.items() if option.group == group]
        for name in table:
            if name in own:
                continue
            hint = f"it belongs under [{known[name].group}]" if name in known else did_you_mean(name, own)
            problems.append(f"{group}.{name}: no such setting; {hint}")
        tables[group] = {name: value for name, value in table.items() if name in own}
    return tables


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if name in NUMBER_OR_FILE:
        fraction = as_fraction(value)
        if fraction is not None and str(fraction) == value:  # else "0.10" would come back as another text
            return fraction
    return value


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value
