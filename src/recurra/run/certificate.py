"""What a run's `certificate.json` says, told without a model: whether there is one, and of which weights it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from recurra.errors import RunError
from recurra.run.files import bind, json_object, read_if_there, read_manifest

CERTIFICATE = "certificate.json"

State = Literal["none", "holds", "fails", "stale", "damaged"]


class Certified(NamedTuple):
    """What a run folder's certificate comes to. content: what the file holds; empty where there is none of this run."""

    state: State
    content: dict[str, Any]

    @property
    def words(self) -> str:
        """In a line: what `recurra info` shows."""
        if self.state == "none":
            return "none; recurra certify makes one"
        if self.state in ("stale", "damaged"):
            reason = "of other files than this run's" if self.state == "stale" else "damaged"
            return f"{self.state}: it is {reason}; certify again"
        failing = [pair["name"] for pair in self.content["pairs"] if pair["verdict"] == "fails"]
        if failing:
            return f"fails: {', '.join(failing)}"
        held = sum(pair["verdict"] == "holds" for pair in self.content["pairs"])
        return f"holds: {held} pairs, at most {largest(self.content):.1e} apart"


def seal_of(folder: Path) -> str:
    """One digest of all files that decide a run's answers, from its manifest: what a certificate is bound to.

    Raises:
        RunError: the manifest is missing or damaged.
    """
    return bind(read_manifest(folder / "manifest.json"))


def certified(folder: Path) -> Certified:
    """What a run's certificate comes to; a damaged one is no fault of the run."""
    try:
        content = read_if_there(folder, CERTIFICATE)
        if content is None:
            return Certified("none", {})
        found = json_object(folder / CERTIFICATE, content)
        if found.get("seal") != seal_of(folder):
            return Certified("stale", {})
        holds = found["holds"] is True and all(pair["verdict"] != "fails" for pair in found["pairs"])
        largest(found)
        found["rows"], found["lengths"], found["versions"].items()
    except (RunError, KeyError, TypeError, ValueError, AttributeError):
        return Certified("damaged", {})
    return Certified("holds" if holds else "fails", found)


def largest(content: dict[str, Any]) -> float:
    """The largest difference of the pairs that hold, `float64` apart, which is rounding."""
    numbers = [p["difference"] for p in content["pairs"] if p["verdict"] == "holds" and p["name"] != "float64"]
    return max((float(one) for one in numbers), default=0.0)
