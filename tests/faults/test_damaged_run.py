"""A damaged run is refused by name, or gives the same answers."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

import recurra
from recurra.errors import RunError
from recurra.run import DECISIVE, load_run
from recurra.run.files import bind, digest

from .forks import Forks

QUESTIONS = ["a b c", "h g f e", "c a h", "", "d d d d d d d d", "never seen"]
TARGETS = [
    "manifest.json", "config.toml", "features.json", "tokenizer.json", "model.safetensors", "baselines.json",
    "baselines.safetensors", "result.json", "metrics.jsonl", "report.html",
]  # fmt: skip
BOUND = TARGETS[2:7]  # byte by byte; the configuration by what it says


@pytest.fixture(scope="module")
def run(forks: Forks) -> Path:
    """A run with every file that one can have: subwords, and a baseline beside the model."""
    return sealed_with_baseline(forks, forks.folder / "run", seed=0)


@pytest.fixture(scope="module")
def other(forks: Forks) -> Path:
    """Another run of the same shapes."""
    return sealed_with_baseline(forks, forks.folder / "another run", seed=5)


def sealed_with_baseline(forks: Forks, folder: Path, seed: int) -> Path:
    settings = {"unit": "bpe", "vocabulary_size": 270, "seed": seed, "epochs": 1}
    assert forks.train(folder, settings=settings).exit_status == 0
    return folder


def load_without_manifest(folder: Path) -> recurra.Run:
    """A run whose manifest was made anew by someone who knows how: what is left are the checks behind it."""
    digests = {
        name: digest(folder / name, (folder / name).read_bytes()) for name in DECISIVE if (folder / name).exists()
    }
    manifest = {"format": 1, "recurra": "0", "files": digests, "bound": bind(digests)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return load_run(folder)


def answers(folder: Path) -> Any:
    loaded = recurra.load(folder, device="cpu")
    return loaded.labels, loaded.settings, loaded.predict(QUESTIONS)


@pytest.fixture(scope="module")
def right_answers(run: Path) -> Any:
    """What the whole run says."""
    return answers(run)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for copies."""
    return tmp_path_factory.mktemp("copies")


def copied(run: Path, place: Path) -> Path:
    shutil.rmtree(place / "run", ignore_errors=True)
    return Path(shutil.copytree(run, place / "run"))


def refused_or_the_same(folder: Path, name: str, expected: Any) -> bool:
    """Whether it was refused; then by name."""
    try:
        found = answers(folder)
    except RunError as error:
        message = str(error)
        # without its manifest a folder is a training that has not ended
        assert str(folder / name) in message or (name == "manifest.json" and not (folder / name).exists()), message
        assert "\n" not in message and len(message) < 600
        return True
    assert found == expected
    return False


def flipped(content: bytes, place: float, bit: int) -> bytes:
    index = int(place * len(content))
    return content[:index] + bytes([content[index] ^ (1 << bit)]) + content[index + 1 :]


@pytest.mark.parametrize("name", TARGETS)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_by_name_or_changes_nothing(
    name: str, where: float, bit: int, run: Path, place: Path, right_answers: Any
) -> None:
    folder = copied(run, place)
    (folder / name).write_bytes(flipped((folder / name).read_bytes(), where, bit))
    refused = refused_or_the_same(folder, name, right_answers)
    if name in BOUND:
        assert refused


@pytest.mark.parametrize("name", TARGETS)
@given(where=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused_by_name_or_changes_nothing(
    name: str, where: float, run: Path, place: Path, right_answers: Any
) -> None:
    folder = copied(run, place)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(where * len(content))])
    refused = refused_or_the_same(folder, name, right_answers)
    if name in BOUND:
        assert refused


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("damage", ["empty", "missing", "longer", "a folder", "zeros"])
def test_a_file_that_is_empty_missing_or_something_else_is_refused_by_name(
    name: str, damage: str, run: Path, place: Path, right_answers: Any
) -> None:
    path = copied(run, place) / name
    content = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "longer": content + b"\0", "zeros": bytes(len(content))}[damage])
    refused = refused_or_the_same(path.parent, name, right_answers)
    assert refused or name in ("metrics.jsonl", "report.html")


@pytest.mark.parametrize("name", TARGETS)
def test_a_file_of_another_run_is_refused_by_name(
    name: str, run: Path, other: Path, place: Path, right_answers: Any
) -> None:
    folder = copied(run, place)
    shutil.copy(other / name, folder / name)
    if (other / name).read_bytes() == (run / name).read_bytes():
        assert name in ("tokenizer.json", "features.json", "report.html")  # these come from the same texts
        return
    if name == "manifest.json":  # then all the others are not its own
        with pytest.raises(RunError, match=r"config\.toml is damaged, or of another run"):
            recurra.load(folder)
    else:
        assert refused_or_the_same(folder, name, right_answers) == (name in (*BOUND, "config.toml"))


def test_two_files_of_one_run_exchanged_are_refused(run: Path, place: Path) -> None:
    for one in DECISIVE:
        for two in DECISIVE:
            if one < two:
                folder = copied(run, place)
                (folder / one).write_bytes((run / two).read_bytes())
                (folder / two).write_bytes((run / one).read_bytes())
                with pytest.raises(RunError, match="is damaged"):
                    recurra.load(folder)


def exchanged(entries: list[Any], one: int, two: int) -> None:
    entries[one], entries[two] = entries[two], entries[one]


@given(data=st.data())
def test_two_ids_or_two_labels_exchanged_are_refused(data: st.DataObject, run: Path, place: Path) -> None:
    folder = copied(run, place)
    saved = json.loads((folder / "features.json").read_text())
    what = data.draw(st.sampled_from(["vocabulary", "names"]))
    entries = saved["features"]["vocabulary"] if what == "vocabulary" else saved["labels"]["names"]
    one, two = data.draw(st.lists(st.integers(0, len(entries) - 1), min_size=2, max_size=2, unique=True))
    exchanged(entries, one, two)
    (folder / "features.json").write_text(json.dumps(saved))
    with pytest.raises(RunError, match=r"features\.json is damaged, or of another run"):
        recurra.load(folder)
    (folder / "manifest.json").unlink()  # nor does a training go on with it
    with pytest.raises(RunError, match=r"features\.json is damaged, or of another run"):
        recurra.resume(folder)


@pytest.mark.parametrize("name", ["manifest.json", *DECISIVE, "result.json"])
def test_links_pipes_and_devices_are_refused_by_name_and_at_once(name: str, run: Path, place: Path) -> None:
    for kind in ("link", "pipe", "device", "link to nothing"):
        path = copied(run, place) / name
        path.rename(path.with_name("elsewhere"))
        if kind == "pipe":
            os.mkfifo(path)
        else:
            targets = {"link": path.with_name("elsewhere"), "device": "/dev/zero", "link to nothing": "/nowhere"}
            path.symlink_to(targets[kind])
        with pytest.raises(RunError) as caught:
            recurra.load(path.parent)
        words = "is not a regular file" if kind == "pipe" else "is a link, and a file of its own is expected"
        assert str(caught.value).startswith(f"{path}: {words}")


def test_the_folder_itself_may_be_reached_by_a_link(run: Path, place: Path, right_answers: Any) -> None:
    (place / "latest").symlink_to(run)
    assert answers(place / "latest") == right_answers


def test_comments_and_spaces_of_the_configuration_may_change(run: Path, place: Path, right_answers: Any) -> None:
    folder = copied(run, place)
    text = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text("# mine\n\n" + text.replace(" = ", "  =  ") + "\n# the end\n")
    assert answers(folder) == right_answers


@pytest.mark.parametrize("format_", [2, 0, "1", None, [1], 10**30])
def test_a_manifest_of_another_format_is_refused_by_its_number(format_: Any, run: Path, place: Path) -> None:
    path = copied(run, place) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": format_}))
    with pytest.raises(RunError, match=r"manifest\.json: format .* is not one that this version reads \(1\)"):
        recurra.load(path.parent)


def test_a_file_that_a_newer_version_binds_is_not_passed_over(run: Path, place: Path) -> None:
    path = copied(run, place) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["certificate.json"] = "0" * 64
    path.write_text(json.dumps(manifest | {"bound": bind(manifest["files"])}))
    with pytest.raises(RunError, match=r"certificate\.json is part of this run and not known to this version"):
        recurra.load(path.parent)


# What a forger can do who makes the manifest anew: no code runs, and no memory is taken that is not there.


def changed_json(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        value = change(json.loads((folder / name).read_text()))
        (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))

    return do


def changed_config(old: str, new: str) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        text = (folder / "config.toml").read_text()
        assert old in text
        (folder / "config.toml").write_text(text.replace(old, new, 1))

    return do


def changed_weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], None]:
    def do(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(safetensors.torch.save(change(safetensors.torch.load(path.read_bytes()))))

    return do


FORGERIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a model of 4 terabytes": (
        changed_config("hidden_size = 3", "hidden_size = 1000000"),
        r"config\.toml describes a model that is larger|model\.safetensors does not hold",
    ),
    "a hidden size just below the file's": (
        changed_config("hidden_size = 3", "hidden_size = 4000"),
        r"model\.safetensors does not hold the weights",
    ),
    "an embedding of terabytes": (
        changed_config("embedding_size = 3", "embedding_size = 10000000000"),
        r"model\.safetensors does not hold the weights",
    ),
    "an embedding beyond all numbers": (
        changed_config("embedding_size = 3", "embedding_size = 9000000000000000000"),
        r"config\.toml describes a model that cannot be built",
    ),
    "layers without end": (
        changed_config("num_layers = 1", "num_layers = 1000000000"),
        r"config\.toml describes a model that is larger",
    ),
    "a name that is no cell": (changed_config('cell = "lstm"', 'cell = "os.system"'), r"config\.toml is damaged"),
    "a task that is none": (changed_config('task = "classify"', 'task = "os.system"'), r"config\.toml"),
    "another cell": (changed_config('cell = "lstm"', 'cell = "gru"'), r"model\.safetensors does not hold"),
    "a number of thousands of digits": (
        changed_config("hidden_size = 3", f"hidden_size = {'9' * 5000}"),
        r"config\.toml is damaged: it is no TOML",
    ),
    "a configuration nested without end": (
        changed_config("hidden_size = 3", f"hidden_size = {'[' * 20000}"),
        r"config\.toml is damaged",
    ),
    "no settings at all": (lambda folder: (folder / "config.toml").write_text("") and None, r"config\.toml is damaged"),
    "a path that is no text": (changed_config('path = "', 'path = 3 # "'), r"config\.toml is damaged: record\.files"),
    "features nested without end": (changed_json("features.json", lambda v: "[" * 100_000), r"features\.json"),
    "features that are a list": (changed_json("features.json", lambda v: [v]), r"features\.json"),
    "features without labels": (
        changed_json("features.json", lambda v: {"features": v["features"]}),
        r"features\.json",
    ),
    "a label twice": (
        changed_json("features.json", lambda v: v | {"labels": {"names": ["a", "a"], "several": False}}),
        r"features\.json",
    ),
    "a vocabulary of another length": (
        changed_json("features.json", lambda v: v | {"labels": {"names": ["a", "b", "c"], "several": False}}),
        r"features\.json|model\.safetensors",
    ),
    "a tokenizer that is none": (
        lambda folder: (folder / "tokenizer.json").write_text('{"version": "1.0"}') and None,
        r"tokenizer\.json|features\.json",
    ),
    "a result that is no object": (changed_json("result.json", lambda v: [v]), r"result\.json"),
    "a result with NaN": (changed_json("result.json", lambda v: '{"accuracy": NaN}'), r"result\.json"),
    "weights that are not finite": (
        changed_weights(lambda w: {name: value.fill_(float("nan")) for name, value in w.items()}),
        r"model\.safetensors holds weights that are not finite",
    ),
    "weights of another kind": (
        changed_weights(lambda w: {name: value.double() for name, value in w.items()}),
        r"model\.safetensors does not hold",
    ),
    "a weight too many": (
        changed_weights(lambda w: w | {"more": torch.zeros(1)}),
        r"model\.safetensors does not hold",
    ),
    "a header of exabytes": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 7 + b"\x7f{}") and None,
        r"model\.safetensors is damaged",
    ),
    "a pickle": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.") and None,
        r"model\.safetensors is damaged",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_run_is_refused_by_name(name: str, run: Path, place: Path) -> None:
    forge, words = FORGERIES[name]
    folder = copied(run, place)
    forge(folder)
    with pytest.raises(RunError, match=words) as caught:
        load_forged(folder, run)
    assert "\n" not in str(caught.value)


def load_forged(folder: Path, run: Path) -> None:
    """Load with all digests made anew, those in the configuration too."""
    config = folder / "config.toml"
    for name in ("features.json", "tokenizer.json"):
        old, new = (digest(one / name, (one / name).read_bytes()) for one in (run, folder))
        config.write_text(config.read_text().replace(old, new))
    load_without_manifest(folder)


def test_a_file_larger_than_any_of_its_kind_takes_no_memory(run: Path, place: Path) -> None:
    for name in ("manifest.json", "features.json", "model.safetensors"):
        folder = copied(run, place)
        with (folder / name).open("r+b") as file:
            file.truncate(1 << 40)  # a terabyte, without a block on the disk
        with pytest.raises(RunError, match=rf"{name}: is larger than \d+ bytes"):
            recurra.load(folder)


@pytest.mark.deep
@pytest.mark.parametrize("name", [name for name in TARGETS if name != "report.html"])
def test_every_flipped_bit_is_refused_by_name_or_changes_nothing(
    name: str, run: Path, place: Path, right_answers: Any
) -> None:
    folder = copied(run, place)
    content = (run / name).read_bytes()
    for index in range(len(content)):
        for bit in range(8):
            (folder / name).write_bytes(content[:index] + bytes([content[index] ^ (1 << bit)]) + content[index + 1 :])
            refused_or_the_same(folder, name, right_answers)
