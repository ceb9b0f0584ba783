"""The files of a run folder: which there are, read within bounds, and the digests that bind them."""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra.errors import InputError, RunError
from recurra.files import parse_json, read_bounded

FORMAT = 1
MEGABYTE = 1 << 20
LIMITS = {  # the most that is read of each file
    "config.toml": MEGABYTE,
    "features.json": 256 * MEGABYTE,
    "tokenizer.json": 256 * MEGABYTE,
    "result.json": 16 * MEGABYTE,
    "manifest.json": MEGABYTE,
    "certificate.json": MEGABYTE,
    "model.safetensors": 16384 * MEGABYTE,
    "baselines.json": 256 * MEGABYTE,
    "baselines.safetensors": 256 * MEGABYTE,
}
BEGINNING = ("config.toml", "features.json", "tokenizer.json")
BASELINES = ("baselines.json", "baselines.safetensors")
DECISIVE = (*BEGINNING, "model.safetensors", *BASELINES)
WHOLE = "copy the whole run again, or train it again"


def read(folder: Path, name: str) -> bytes:
    """A file of the run, within its bound.

    Raises:
        RunError: it is missing, a link, no regular file or too large.
    """
    try:
        return read_bounded(folder / name, LIMITS[name])
    except InputError as error:
        raise RunError(f"{error}; {WHOLE}") from error


def read_if_there(folder: Path, name: str) -> bytes | None:
    """A file of the run; None where there is nothing at all (a link to nothing is something)."""
    return read(folder, name) if os.path.lexists(folder / name) else None


def json_object(path: Path, content: bytes) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        RunError: it holds something else.
    """
    try:
        value = parse_json(content)
    except ValueError as error:
        raise RunError(f"{path} is damaged: it is no JSON; {WHOLE}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: an object is expected; {WHOLE}")
    return value


def read_manifest(path: Path) -> dict[str, str]:
    """The digests of a manifest, by file.

    Raises:
        RunError: it is damaged, or of a format that this version does not know.
    """
    manifest = json_object(path, read(path.parent, path.name))
    if "format" in manifest and manifest["format"] != FORMAT:
        raise RunError(
            f"{path}: format {shown(manifest['format'])} is not one that this version reads ({FORMAT}); "
            "was the run written by a newer one?"
        )
    digests = manifest.get("files")
    if "format" not in manifest or not isinstance(digests, dict) or manifest.get("bound") != bind(digests):
        raise RunError(f"{path} is damaged: its entries are not those it was bound with; {WHOLE}")
    return digests


def digest(path: Path, content: bytes, without: str = "") -> str:
    """SHA-256 of a file; of a configuration by what it says, so that comments may change.

    Args:
        without: a table of the configuration that may change too.
    """
    if path.name == "config.toml":
        try:
            parsed = tomllib.loads(content.decode())
        except (ValueError, RecursionError) as error:  # bad TOML, bad UTF-8, a number of thousands of digits
            raise RunError(f"{path} is damaged: it is no TOML: {shown(error)}") from error
        parsed.pop(without, None)
        content = json.dumps(parsed, sort_keys=True, default=repr).encode()
    return hashlib.sha256(content).hexdigest()


def bind(digests: Mapping[str, Any]) -> str:
    """One digest of all digests: entries of two manifests cannot be mixed."""
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def shown(value: object) -> str:
    """A value of a file, or the first line of an error, short enough for a message."""
    return reprlib.repr(value) if not isinstance(value, Exception) else str(value).partition("\n")[0][:100]
