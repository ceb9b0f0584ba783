"""Plain values → settings, each checked against its option's type, with every problem in one report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import cattrs

from recurra.errors import SettingsError
from recurra.settings.names import Automatic, did_you_mean
from recurra.settings.options import SETTINGS, Option, groups, options
from recurra.settings.tasks import TaskSettings

NUMBER_OR_FILE = ("valid", "test")  # a fraction may come as a number; the setting is text, as on the command line
WITH_COMMAS = ("cell", "decoder_cell", "dilation")  # one a layer: a text with commas, and from Python also a list
LARGEST_INTEGER = 2**63 - 1  # torch counts in 64 bits
SHOWN_CHARACTERS = 60


def from_keywords(task: str, **keywords: Any) -> TaskSettings:
    """Settings from flat names, as Python callers give them: `hidden_size=128, data="a.csv"`.

    Raises:
        SettingsError: no such task, or every unknown name, wrong type and value out of range, in one report.
    """
    known = options(task)
    problems = [f"{name}: no such setting; {did_you_mean(name, known)}" for name in keywords if name not in known]
    grouped: dict[str, dict[str, Any]] = {group: {} for group in groups(task)}
    for name, value in keywords.items():
        if name in known:
            grouped[known[name].group][name] = value
    settings, more = structure(task, grouped)
    problems += more
    if settings is None or problems:
        raise SettingsError("; ".join(problems))
    return settings


def structure(
    task: str, grouped: Mapping[str, Mapping[str, Any]]
) -> tuple[TaskSettings, list[str]] | tuple[None, list[str]]:
    """Settings from values grouped as in the TOML file; every name is known.

    Returns:
        the settings, or None where a group is at fault; and the problems, a sentence each.
    """
    known, built, problems = options(task), {}, []
    for group, kind in groups(task).items():
        values = {name: _as_text(name, value) for name, value in grouped.get(group, {}).items()}
        try:
            built[group] = _CONVERTER.structure(values, kind)
        except cattrs.ClassValidationError as error:
            at_fault = [note.name for _, note in error.group_exceptions()[0]]
            problems += [_wrong_type(known[name], values[name]) for name in at_fault]
            rest = _CONVERTER.structure({n: value for n, value in values.items() if n not in at_fault}, kind)
            problems += [problem for problem in rest.problems() if not any(name in problem for name in at_fault)]
        else:
            problems += built[group].problems()
    if problems:
        return None, problems
    return SETTINGS[task](**built), []


def _as_text(name: str, value: Any) -> Any:
    if name in NUMBER_OR_FILE and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if name in WITH_COMMAS and isinstance(value, list | tuple):
        return ",".join(map(str, value)) if all(isinstance(one, str | int) for one in value) else value
    if name == "dilation" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _wrong_type(option: Option, value: Any) -> str:
    if option.type == int | Automatic:
        return f"{option.name}: {_shortened(value)} is neither a whole number nor auto"
    kinds = [kind for kind in get_args(option.type) if kind is not type(None)]
    kind = kinds[0] if type(None) in get_args(option.type) else option.type
    if _is_names(kind):
        kind = get_args(kind)[0]
        names = value if isinstance(value, list | tuple) else [value]
        value = next((name for name in names if name not in get_args(kind)), value)
    received = _shortened(value)
    if get_origin(kind) is Literal:
        if isinstance(value, str):
            return f"{option.name}: {received} is not known; {did_you_mean(value, get_args(kind))}"
        return f"{option.name}: {received} is none of {', '.join(get_args(kind))}"
    return f"{option.name}: {received} is not {_IN_WORDS[kind]}"


def _shortened(value: Any) -> str:
    received = repr(value)
    return received if len(received) <= SHOWN_CHARACTERS else f"{received[: SHOWN_CHARACTERS - 1]}…"


_IN_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple[str, ...]: "a text or a list of texts",
}


def _boolean(value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _integer(value: Any, _: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_INTEGER:
        raise TypeError
    return value


def _number(value: Any, _: Any) -> float:
    return value if isinstance(value, float) else float(_integer(value, None))


def _text(value: Any, _: Any) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: Any, _: Any) -> tuple[str, ...]:
    if isinstance(value, str | os.PathLike):
        return (_text(value, None),)
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_text(item, None) for item in value)


def _integer_or_auto(value: Any, _: Any) -> int | str:
    return value if value == "auto" else _integer(value, None)


def _is_names(kind: Any) -> bool:
    """tuple[Literal[…], …]"""
    return get_origin(kind) is tuple and get_origin(get_args(kind)[0]) is Literal


def _names(value: Any, kind: Any) -> tuple[str, ...]:
    names = _texts(value, None)
    if not set(names) <= set(get_args(get_args(kind)[0])):
        raise TypeError
    return names


def _strict_converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_structure_hook(bool, _boolean)
    converter.register_structure_hook(int, _integer)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _texts)
    converter.register_structure_hook_func(lambda kind: kind == int | Automatic, _integer_or_auto)
    converter.register_structure_hook_func(_is_names, _names)
    return converter


_CONVERTER = _strict_converter()
