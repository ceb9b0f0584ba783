"""Every option of a task as one list: its group, type, default and the line that documents it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, get_type_hints

from recurra.settings.names import check_task
from recurra.settings.tasks import (
    ClassifySettings,
    LanguageSettings,
    RegressSettings,
    TagSettings,
    TaskSettings,
    TranslateSettings,
)

SETTINGS: dict[str, type[TaskSettings]] = {
    "classify": ClassifySettings,
    "regress": RegressSettings,
    "tag": TagSettings,
    "model": LanguageSettings,
    "translate": TranslateSettings,
}


@dataclass(frozen=True)
class Option:
    """One setting: the same word is its option, its TOML key and its Python keyword."""

    name: str
    group: str
    type: Any
    default: Any
    documentation: str


@cache
def groups(task: str) -> dict[str, type[Any]]:
    """The groups of a task's settings by name, in their order.

    Raises:
        SettingsError: no such task.
    """
    check_task(task)
    return get_type_hints(SETTINGS[task])


@cache
def options(task: str) -> dict[str, Option]:
    """All options of a task by name, in their order.

    Raises:
        SettingsError: no such task.
    """
    found: dict[str, Option] = {}
    for group, kind in groups(task).items():
        types, lines = get_type_hints(kind), documentation(kind)
        for field in fields(kind):
            assert field.name not in found, f"{field.name} is an option of two groups"
            found[field.name] = Option(field.name, group, types[field.name], field.default, lines[field.name])
    return found


def flat(settings: TaskSettings) -> dict[str, Any]:
    """Every setting by its name alone."""
    return {
        field.name: getattr(group, field.name)
        for group in (getattr(settings, one.name) for one in fields(settings))
        for field in fields(group)
    }


def documentation(kind: type[Any]) -> dict[str, str]:
    """The string under each field of a dataclass, by field, inherited ones too: Python keeps it in the source only."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        found |= _own_documentation(base)
    return found


def _own_documentation(kind: type[Any]) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            found[statement.target.id] = " ".join(following.value.value.split())
    return found
