"""A state as a file: what a live sequence has come to, kept and taken up again in another process.

One safetensors file. Leaves are named by path (`layers.0.cell`). The metadata holds the format's version, the version
of recurra, the schema (the NamedTuples' names and fields, and each leaf's shape beyond the batch and dtype), the digest
of the weights that the state belongs to, and a SHA-256 over all of that and the tensors, because the format has no
checksum of its own. What is read is compared with the state expected before memory is taken for it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from recurra import __version__
from recurra.errors import DataError, InputError, ShapeError, StateError
from recurra.files import parse_json, regular_file, write_whole
from recurra.state import State, batch_size, dtype_name, leaves, map_state

FORMAT = "1"
MOST_HEADER = 1 << 20  # bytes
MOST_BYTES = 1 << 30  # of the tensors together
ROOT = "state"  # the name of a state that is one tensor
FIELDS = {"recurra_state", "recurra", "weights", "schema", "sha256"}
DIGEST = re.compile("[0-9a-f]{1,64}")
CODES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
"""The dtypes that a state may have, by the format's names."""


def weights_digest(module: nn.Module) -> str:
    """The SHA-256 of a module's weights: names, shapes, dtypes and bytes, in no order, wherever they were loaded.

    Args:
        module: buffers count too.

    Returns:
        64 hexadecimal digits.
    """
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor):
            _update(found, name, value)
    return found.hexdigest()


def save_state(path: str | Path, state: State, *, weights: str) -> None:
    """Write a state, whole or not at all; a file of that name is replaced.

    Args:
        path: by custom with the ending .safetensors.
        state: any tree of NamedTuples of tensors, batch first.
        weights: the digest of what the state belongs to, as `weights_digest` gives it.

    Raises:
        ShapeError: it is no state: rows differ, or a dtype has no place in the format.
        InputError: the folder does not exist.
        WorkError: the disk is full or fails.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; make it first")
    batch_size(state)
    # each with memory of its own: two leaves may be views of one tensor
    tensors = {name or ROOT: leaf.detach().cpu().contiguous().clone() for name, leaf in leaves(state)}
    for name, leaf in tensors.items():
        if leaf.dtype not in CODES:
            raise ShapeError(f"{path}: state.{name} is {leaf.dtype}, which a state file does not hold")
    metadata = {
        "recurra_state": FORMAT,
        "recurra": __version__,
        "weights": weights,
        "schema": json.dumps(schema_of(state)),
    }
    metadata["sha256"] = _checksum(metadata, tensors)
    write_whole(path, safetensors.torch.save(tensors, metadata))


def load_state(
    path: str | Path, *, like: State, weights: str, allow_other_weights: bool = False, name: str = "this model"
) -> State:
    """Read what `save_state` wrote.

    Args:
        path: the file.
        like: a state of the structure expected, of any batch size, such as `layer.initial_state(1)`.
        weights: the digest of the weights that are to go on with it, as `weights_digest` gives it.
        allow_other_weights: take the state of other weights too, such as those before a fine-tuning.
        name: of the model that is to go on with it, for messages.

    Returns:
        The state, on the device of `like`, each leaf in memory of its own.

    Raises:
        StateError: it is missing, no state file, damaged, of another structure (naming the leaf) or of other weights.
    """
    path = Path(path)
    try:
        with regular_file(path) as (file, size):
            head, header = _read_header(path, file, size)
            metadata = _metadata(path, header)
            _check_schema(path, metadata["schema"], like)
            if metadata["weights"] != weights and not allow_other_weights:
                raise StateError(
                    f"{path} holds a state of the weights {metadata['weights'][:12]}…, and those of {name} are "
                    f"{weights[:12]}…; go on with the model that it was saved from, or take it all the same by "
                    "load_state(…, allow_other_weights=True)"
                )
            length = _check_leaves(path, header, like)
            if size != len(head) + length:
                raise _damaged(path, f"it has {size} bytes, and its tensors end at {len(head) + length}")
            content = head + file.read(length)
    except DataError as error:
        raise StateError(str(error)) from error
    try:
        tensors = safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError) as error:
        raise _damaged(path, "it is no safetensors file") from error
    if metadata["sha256"] != _checksum({key: metadata[key] for key in metadata if key != "sha256"}, tensors):
        raise _damaged(path, "its SHA-256 is not the one it was saved with")
    names = iter([name or ROOT for name, _ in leaves(like)])
    # cloned: torch's own memory is aligned, and the last bits of a product may hang on that
    return map_state(lambda leaf: tensors[next(names)].clone().to(leaf.device), like)


def schema_of(state: State, path: str = "") -> dict[str, str]:
    """The structure of a state, node by node: path → `LSTMState(hidden, cell)`, `2 parts`, or `float32 [*, 64]`."""
    if isinstance(state, Tensor):
        return {path: f"{dtype_name(state)} [{', '.join(['*', *map(str, state.shape[1:])])}]"}
    if not isinstance(state, tuple):
        raise ShapeError(f"state: a {type(state).__name__} stands where a tensor or a (named) tuple is expected")
    fields = getattr(state, "_fields", None)
    found = {path: f"{type(state).__name__}({', '.join(fields)})" if fields else f"{len(state)} parts"}
    for name, part in zip(fields or range(len(state)), state, strict=True):
        found |= schema_of(part, f"{path}.{name}" if path else str(name))
    return found


def _read_header(path: Path, file: BinaryIO, size: int) -> tuple[bytes, dict[str, Any]]:
    """The bytes before the tensors, and what they say."""
    length = file.read(8)
    if len(length) < 8:
        raise _damaged(path, f"it has {size} bytes, which is too short")
    count = int.from_bytes(length, "little")
    if not 2 <= count <= min(MOST_HEADER, size - 8):
        raise _damaged(path, "its header does not fit into it")
    content = file.read(count)
    try:
        header = parse_json(content)
    except ValueError as error:
        raise _damaged(path, "its header is no JSON") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no object")
    return length + content, header


def _metadata(path: Path, header: Mapping[str, Any]) -> dict[str, str]:
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or "recurra_state" not in metadata:
        raise StateError(f"{path} is no state file: save one with save_state, or a session's save")
    if metadata["recurra_state"] != FORMAT:
        raise StateError(
            f"{path}: the format of this state is not the one that this version reads ({FORMAT}); "
            "was it saved by a newer one?"
        )
    if metadata.keys() != FIELDS or not all(isinstance(value, str) for value in metadata.values()):
        raise _damaged(path, "its metadata are not those of a state")
    if not DIGEST.fullmatch(metadata["weights"]):
        raise _damaged(path, "the digest of its weights is none")
    return metadata


def _check_schema(path: Path, text: str, like: State) -> None:
    """Refuse another structure by the first place that differs."""
    try:
        found = parse_json(text)
    except ValueError as error:
        raise _damaged(path, "its schema is no JSON") from error
    expected = schema_of(like)
    if not isinstance(found, dict) or not all(isinstance(node, str) for node in found.values()):
        raise _damaged(path, "its schema is none")
    for place in (*expected, *found):
        if found.get(place) != expected.get(place):
            raise StateError(
                f"{path}: {'.'.join(filter(None, ('state', place)))} is {_short(found.get(place, 'not there'))}, "
                f"expected {expected.get(place, 'no such part')}; does it come from another model?"
            )


def _check_leaves(path: Path, header: Mapping[str, Any], like: State) -> int:
    """Compare the tensors that the header names with those expected; the bytes that they take."""
    rows: int | None = None
    total = 0
    expected = {name or ROOT: leaf for name, leaf in leaves(like)}
    if header.keys() - {"__metadata__"} != expected.keys():
        raise _damaged(path, "its tensors are not those of its schema")
    for name, leaf in expected.items():
        entry = header[name]
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not isinstance(shape, list) or not shape or not all(type(size) is int and size >= 0 for size in shape):
            raise _damaged(path, f"state.{name} has no shape")
        rows = shape[0] if rows is None else rows
        if shape != [rows, *leaf.shape[1:]] or entry.get("dtype") != CODES.get(leaf.dtype):
            raise _damaged(path, f"state.{name} is not the tensor of its schema")
        total += math.prod(shape) * leaf.element_size()
    if total > MOST_BYTES:
        raise StateError(f"{path}: its tensors would take {total} bytes; {MOST_BYTES} are the most that is read here")
    return total


def _checksum(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, leaf in sorted(tensors.items()):
        _update(found, name, leaf)
    return found.hexdigest()


def _update(digest: Any, name: str, value: Tensor) -> None:
    """A tensor added to a digest: its name, shape, dtype and bytes."""
    digest.update(json.dumps([name, list(value.shape), dtype_name(value)]).encode())
    digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())


def _short(text: str) -> str:
    """What a file says, fit for a message."""
    return text if len(text) <= 100 and text.isprintable() else reprlib.repr(text)


def _damaged(path: Path, reason: str) -> StateError:
    return StateError(f"{path} is damaged: {reason}; copy it again, or begin a new stream")
