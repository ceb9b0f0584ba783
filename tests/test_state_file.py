"""A state as a file: what is read is what was saved, and anything else is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from recurra.cells import GRUState, LSTMState
from recurra.errors import InputError, ShapeError, StateError, WorkError
from recurra.nn import RecurrentState
from recurra.state import Leaf, describe, leaves, map_state, owned, reset
from recurra.state_file import load_state, save_state, schema_of, weights_digest

OWN, OTHER = "a" * 64, "b" * 64


class Live(NamedTuple):
    """One of everything that a state may hold."""

    layers: RecurrentState
    chance: Tensor
    tail: Tensor
    nothing: tuple[()]


def live(rows: int = 2, seed: int = 0) -> Live:
    draw = torch.Generator().manual_seed(seed)
    hidden, cell = torch.randn(2, rows, 3, generator=draw)
    return Live(
        RecurrentState((LSTMState(hidden, cell), GRUState(torch.randn(rows, 5, generator=draw).double()))),
        torch.randint(0, 2**62, (rows, 2), generator=draw),
        torch.randint(0, 256, (rows, 7), generator=draw, dtype=torch.uint8),
        (),
    )


def same(one: Any, other: Any) -> bool:
    pairs = zip(leaves(one), leaves(other), strict=True)
    return all(a == b and x.dtype == y.dtype and torch.equal(x, y) for (a, x), (b, y) in pairs)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_state(tmp_path / "one.safetensors", live(), weights=OWN)
    return tmp_path / "one.safetensors"


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_what_is_loaded_is_what_was_saved(rows: int, tmp_path: Path) -> None:
    state = live(rows)
    save_state(tmp_path / "s", state, weights=OWN)
    found = load_state(tmp_path / "s", like=live(1, seed=1), weights=OWN)
    assert type(found) is Live and same(found, state) and found.nothing == ()
    assert all(leaf.data_ptr() % 64 == 0 for _, leaf in leaves(found)), "memory of its own, aligned"
    save_state(tmp_path / "s", live(rows, seed=5), weights=OWN)
    assert same(load_state(tmp_path / "s", like=state, weights=OWN), live(rows, seed=5))
    assert [one.name for one in tmp_path.iterdir()] == ["s"]


def test_a_state_of_views_or_of_one_tensor_is_saved_too(tmp_path: Path) -> None:
    chunk = torch.randn(2, 9, 3)
    views = LSTMState(chunk[:, 4], chunk[:, 4])
    save_state(tmp_path / "views", views, weights=OWN)
    assert same(load_state(tmp_path / "views", like=views, weights=OWN), views)
    save_state(tmp_path / "bare", chunk, weights=OWN)
    assert torch.equal(load_state(tmp_path / "bare", like=chunk[:1], weights=OWN), chunk)


def test_the_leaves_are_named_by_path_and_other_tools_can_read_them(path: Path) -> None:
    found = safetensors.torch.load_file(path)
    assert sorted(found) == [
        "chance",
        "layers.layers.0.cell",
        "layers.layers.0.hidden",
        "layers.layers.1.hidden",
        "tail",
    ]
    assert torch.equal(found["layers.layers.0.cell"], live().layers.layers[0].cell)
    assert schema_of(live().layers) == {
        "": "RecurrentState(layers)",
        "layers": "2 parts",
        "layers.0": "LSTMState(hidden, cell)",
        "layers.0.hidden": "float32 [*, 3]",
        "layers.0.cell": "float32 [*, 3]",
        "layers.1": "GRUState(hidden)",
        "layers.1.hidden": "float64 [*, 5]",
    }


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (
            live()._replace(layers=RecurrentState((GRUState(torch.zeros(1, 3)),) * 2)),
            r"state\.layers\.layers\.0 is LSTMState\(hidden, cell\), expected GRUState\(hidden\)",
        ),
        (
            live()._replace(layers=RecurrentState(live().layers.layers[:1])),
            r"state\.layers\.layers is 2 parts, expected 1",
        ),
        (live()._replace(tail=torch.zeros(1, 9).byte()), r"state\.tail is uint8 \[\*, 7\], expected uint8 \[\*, 9\]"),
        (live()._replace(chance=torch.zeros(1, 2)), r"state\.chance is int64 \[\*, 2\], expected float32 \[\*, 2\]"),
        (live().layers, r"state is Live\(layers, chance, tail, nothing\), expected RecurrentState\(layers\)"),
        (torch.zeros(1, 3), r"state is Live\(.*\), expected float32 \[\*, 3\]"),
    ],
)
def test_a_state_of_another_structure_is_refused_by_the_leaf(path: Path, like: Any, message: str) -> None:
    with pytest.raises(StateError, match=message + ".*does it come from another model"):
        load_state(path, like=like, weights=OWN)


def test_a_state_of_other_weights_is_refused_unless_allowed_by_name(path: Path) -> None:
    with pytest.raises(
        StateError, match=rf"{path.name} holds a state of the weights aaaaaaaaaaaa….*of runs/b are bbbbbb"
    ):
        load_state(path, like=live(), weights=OTHER, name="runs/b")
    assert same(load_state(path, like=live(), weights=OTHER, allow_other_weights=True), live())


def test_a_file_cut_at_any_length_is_refused(path: Path) -> None:
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for length in {*range(0, len(content), 7), *range(10), header - 1, header, header + 1, len(content) - 1}:
        path.write_bytes(content[:length])
        with pytest.raises(StateError, match="is damaged"):
            load_state(path, like=live(), weights=OWN)
    path.write_bytes(content + b"\0")
    with pytest.raises(StateError, match="its tensors end at"):
        load_state(path, like=live(), weights=OWN)


def test_every_flipped_byte_is_refused_or_changes_nothing(path: Path) -> None:
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    harmless = 0
    for index in [*range(0, header, 2), *range(header, len(content))]:
        path.write_bytes(content[:index] + bytes([content[index] ^ (1 << index % 7)]) + content[index + 1 :])
        try:
            found = load_state(path, like=live(), weights=OWN)
        except StateError as error:
            assert str(path) in str(error) and "\n" not in str(error) and len(str(error)) < 500
        else:
            assert same(found, live()) and index < header
            harmless += 1
    assert harmless < 10  # spaces at the end of the header


def forged(path: Path, **changes: Any) -> None:
    """The header changed by someone who knows how; None removes an entry."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for name, value in changes.items():
        place = header if name in header or name.startswith("new") else header["__metadata__"]
        place.pop(name) if value is None else place.update({name: value})
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recurra_state": "2"}, "is not the one that this version reads"),
        ({"recurra_state": None}, "is no state file"),
        ({"__metadata__": 3}, "is no state file"),
        ({"sha256": None}, "metadata are not those of a state"),
        ({"weights": "<script>"}, "digest of its weights is none"),
        ({"schema": "[1]"}, "its schema is none"),
        ({"schema": "["}, "its schema is no JSON"),
        ({"schema": "[" * 100_000}, "its schema is no JSON"),
        ({"recurra": "9"}, "SHA-256 is not the one"),
        ({"tail": None}, "its tensors are not those of its schema"),
        ({"new": {"dtype": "F32", "shape": [], "data_offsets": [0, 0]}}, "its tensors are not those of its schema"),
        ({"tail": {"dtype": "U8", "shape": [3, 7], "data_offsets": [0, 21]}}, "not the tensor of its schema"),
        ({"tail": {"dtype": "U8", "shape": [-2, 7]}}, "has no shape"),
        ({"tail": 1}, "has no shape"),
    ],
)
def test_a_forged_header_is_refused(path: Path, changes: dict[str, Any], message: str) -> None:
    forged(path, **changes)
    with pytest.raises(StateError, match=message):
        load_state(path, like=live(), weights=OWN)


def test_a_header_of_endless_length_and_tensors_of_endless_size_take_no_memory(path: Path) -> None:
    content = path.read_bytes()
    for count in (1 << 62, 1 << 21, 0):
        path.write_bytes(count.to_bytes(8, "little") + content[8:])
        with pytest.raises(StateError, match="does not fit"):
            load_state(path, like=live(), weights=OWN)
    path.write_bytes(content)
    rows = 1 << 40
    leafs = {"chance": ("I64", 2), "tail": ("U8", 7), "layers.layers.0.hidden": ("F32", 3)}
    leafs |= {"layers.layers.0.cell": ("F32", 3), "layers.layers.1.hidden": ("F64", 5)}
    forged(path, **{name: {"dtype": code, "shape": [rows, width]} for name, (code, width) in leafs.items()})
    with pytest.raises(StateError, match="are the most that is read here"):
        load_state(path, like=live(), weights=OWN)


def test_what_is_no_file_of_its_own_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "weights")
    for name, message in {
        "gone": "does not exist", "link": "is a link", "pipe": "not a regular file", "weights": "is no state file",
    }.items():  # fmt: skip
        with pytest.raises(StateError, match=message) as caught:
            load_state(tmp_path / name, like=live(), weights=OWN)
        assert caught.value.exit_status == 2


def test_what_cannot_be_saved_is_said_and_leaves_the_old_file(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"the folder .* does not exist"):
        save_state(tmp_path / "none" / "s", live(), weights=OWN)
    with pytest.raises(ShapeError, match=r"state\.cell has shape \[3, 1\], expected 2 rows"):
        save_state(path, LSTMState(torch.zeros(2, 1), torch.zeros(3, 1)), weights=OWN)
    with pytest.raises(ShapeError, match="complex64"):
        save_state(path, torch.zeros(2, dtype=torch.complex64), weights=OWN)
    with pytest.raises(WorkError, match="could not be written"):
        save_state(tmp_path / ("n" * 300), live(), weights=OWN)
    assert path.read_bytes() == before


def test_the_digest_of_weights_is_that_of_names_shapes_dtypes_and_bytes() -> None:
    def module(**changes: Any) -> nn.Module:
        made = nn.Linear(2, 3)
        made.load_state_dict({"weight": torch.arange(6.0).view(3, 2), "bias": torch.ones(3)} | changes)
        return made

    first = weights_digest(module())
    assert len(first) == 64 and weights_digest(module()) == first
    turned = nn.Module()
    turned.bias, turned.weight = module().bias, module().weight  # another order
    assert weights_digest(turned) == first
    others = [module(bias=torch.tensor([1.0, 1.0, 1.5])), module().double(), nn.Sequential(module())]
    wide = nn.Linear(3, 2)
    wide.load_state_dict({"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)})
    assert len({first, *map(weights_digest, [*others, wide])}) == 5
    assert weights_digest(nn.Linear(2, 2).bfloat16()) != weights_digest(nn.Linear(2, 2).bfloat16())


def test_rows_are_put_back_to_an_initial_state() -> None:
    state = LSTMState(torch.arange(6.0).view(3, 2), torch.arange(6, 12.0).view(3, 2))
    initial = LSTMState(torch.tensor([[-1.0, -2.0]]), torch.tensor([[-3.0, -4.0]]))
    for rows in (torch.tensor([2, 0]), torch.tensor([True, False, True])):
        found = reset(state, rows, initial)
        assert found.hidden.tolist() == [[-1, -2], [2, 3], [-1, -2]]
        assert found.cell.tolist() == [[-3, -4], [8, 9], [-3, -4]]
    each = map_state(lambda leaf: -leaf, state)
    assert reset(state, torch.tensor([1]), each).hidden.tolist() == [[0, 1], [-2, -3], [4, 5]]
    assert same(reset(state, torch.tensor([], dtype=torch.int64), initial), state)
    assert state.hidden[0].tolist() == [0, 1]
    for rows, message in (([3], "from 0 to 2"), ([-1], "from 0 to 2"), ([True, False], r"expected \[3\]")):
        with pytest.raises(ShapeError, match=message):
            reset(state, torch.tensor(rows), initial)
    with pytest.raises(ShapeError, match=r"reset, initial: state\.cell is torch\.float64"):
        reset(state, torch.tensor([1]), initial._replace(cell=initial.cell.double()))
    assert reset((), torch.tensor([1]), ()) == ()
    with pytest.raises(ShapeError, match="has 2 rows, expected 3, or 1 for all"):
        reset(state, torch.tensor([1]), map_state(lambda leaf: leaf[:2], state))


def test_a_state_shows_what_it_holds_and_can_own_its_memory() -> None:
    assert describe(live().layers)[1:] == [
        Leaf("layers.0.cell", (2, 3), "float32"),
        Leaf("layers.1.hidden", (2, 5), "float64"),
    ]
    chunk = torch.randn(1, 100, 3)
    whole = torch.zeros(1, 3)
    found = owned(LSTMState(chunk[:, 7], whole))
    assert torch.equal(found.hidden, chunk[:, 7]) and found.hidden.untyped_storage().nbytes() == 12
    assert found.cell is whole
