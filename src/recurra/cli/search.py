"""The options of a search, which a translator's answers can be asked for with in place of the run's own."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from recurra.errors import SettingsError
from recurra.settings.options import documentation
from recurra.settings.translation import TranslateOptions

if TYPE_CHECKING:
    from recurra.run import Run

DOCUMENTED = documentation(TranslateOptions)
_GROUP = Group("Search (translate; default: as the run was trained)", sort_key=9)


def _documented(name: str) -> Parameter:
    return Parameter(help=DOCUMENTED[name], group=_GROUP, show_default=False)


@dataclass(frozen=True, kw_only=True)
class SearchChoices:
    """What is given anew; None: as in the run."""

    beam: Annotated[int | None, _documented("beam")] = None
    length_penalty: Annotated[float | None, _documented("length_penalty")] = None
    coverage_penalty: Annotated[float | None, _documented("coverage_penalty")] = None
    min_target_length: Annotated[int | None, _documented("min_target_length")] = None
    max_target_length: Annotated[int | None, _documented("max_target_length")] = None
    no_repeat_ngram: Annotated[int | None, _documented("no_repeat_ngram")] = None
    copy_unknown: Annotated[bool | None, _documented("copy_unknown")] = None


Search = Annotated[SearchChoices, Parameter(name="*")]


def option_name(field: str) -> str:
    """`beam` → `--beam`."""
    return f"--{field.replace('_', '-')}"


def chosen(search: SearchChoices, run: Run, place: Path, **more: Any) -> dict[str, Any]:
    """The options that were given, by name; none for a run of another task.

    Args:
        more: others that only a translator has; what is None or False was not given.

    Raises:
        SettingsError: one was given for such a run.
    """
    values = {field.name: getattr(search, field.name) for field in fields(search)}
    found = {name: value for name, value in values.items() if value is not None}
    found |= {name: value for name, value in more.items() if value is not None and value is not False}
    if found and run.task != "translate":
        raise SettingsError(f"{option_name(next(iter(found)))}: it is for translate, and {place} is a {run.task} run")
    return found
