"""The JSON Schema (draft 2020-12) of a task's settings file, for editors and for programs that write one."""

from __future__ import annotations

from types import NoneType
from typing import Any, Literal, get_args, get_origin

from recurra.settings.names import CELLS
from recurra.settings.options import Option, groups, options
from recurra.settings.structure import NUMBER_OR_FILE

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string"}


def json_schema(task: str) -> dict[str, Any]:
    """What a settings file of a task may hold: every option with its type, default, names and documentation.

    Ranges are not in it: a value out of its range is refused when the file is read.

    Raises:
        SettingsError: no such task.
    """
    tables = {
        group: {
            "type": "object",
            "additionalProperties": False,
            "properties": {o.name: _option(o) for o in options(task).values() if o.group == group},
        }
        for group in groups(task)
    }
    return {
        "$schema": DIALECT,
        "title": f"Settings of recurra train {task}",
        "type": "object",
        "additionalProperties": False,
        "required": ["task"],
        "properties": {
            "task": {"const": task, "description": "The task."},
            **tables,
            "record": {"type": "object", "description": "What made a run: versions, and files with their SHA-256."},
        },
    }


def _option(option: Option) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": ["string", "number"]} if option.name in NUMBER_OR_FILE else _type(option.type)
    if option.name in ("cell", "decoder_cell"):
        kind["pattern"] = "^(NAME)(, ?(NAME))*$".replace("NAME", "|".join(CELLS))
    default = list(option.default) if isinstance(option.default, tuple) else option.default
    shown = {} if default is None else {"default": default}  # TOML has no null: a setting not set is left out
    return {**kind, **shown, "description": option.documentation}


def _type(kind: Any) -> dict[str, Any]:
    """The schema of a field's type."""
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) is tuple:
        item = _type(get_args(kind)[0])
        return {"anyOf": [{"type": "array", "items": item}, item]}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    several = [_type(one) for one in get_args(kind) if one is not NoneType]
    return several[0] if len(several) == 1 else {"anyOf": several}
