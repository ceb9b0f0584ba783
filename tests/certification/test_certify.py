"""A run certified: the file, the card, the command, faults that it catches, and a certificate that has become stale."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import recurra
from recurra.certification.model import model_subject
from recurra.certification.rows import given_to, next_prime
from recurra.errors import RunError, WorkError
from recurra.laws.certificate import certify_subject
from recurra.models import SequenceModel
from recurra.nn import Recurrent
from recurra.nn.door import entered_zeros
from recurra.nn.pooling import LastPooling
from recurra.run.certificate import certified
from recurra.sequence import Sequence, first_tensor
from recurra.state_file import save_state
from tests.cli.conftest import Call, call  # noqa: F401  a fixture

OPTIONS: dict[str, Any] = {"epochs": 2, "hidden_size": 6, "embedding_size": 5, "threads": 1}
TEXTS = [("a fine film", "good"), ("a bad film", "bad"), ("so fine", "good"), ("so very bad", "bad")] * 6
STREAMING = {"chunks", "chunks of a batch", "single steps", "two at once", "resumed", "resumed in another process"}
ELSEWHERE = {"predicted in another process", "resumed in another process", "sessions in another process"}
SESSIONS = {"sessions", "sessions in another process"}


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in TEXTS))
    return path


@pytest.fixture(scope="module")
def trained(csv: Path) -> Path:
    return recurra.train("classify", data=csv, out=csv.parent / "run", bidirectional=False, **OPTIONS).path


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Short sequences, and what the other process does done in this one: faults that are planted are there too."""
    from recurra.certification import another_process, elsewhere, rows

    class Done:
        returncode, stderr = 0, ""

    def run(command: list[str], **options: Any) -> Done:
        elsewhere.go_on(Path(command[-2]), Path(command[-1]))
        return Done()

    monkeypatch.setattr(another_process.subprocess, "run", run)
    monkeypatch.setattr(rows, "LENGTHS", (7, 0, 1, 13, 2, 5))
    yield


def failing(run: Any) -> set[str]:
    return {pair.name for pair in recurra.certify(run).failing}


def test_a_run_is_certified_and_its_folder_says_so(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert recurra.load(folder).describe()["certificate"].startswith("none")
    found = recurra.certify(folder)
    assert found.holds, found.failing
    held = {pair.name for pair in found.pairs if pair.verdict == "holds"}
    assert held >= STREAMING | SESSIONS | {
        "padded", "left padded", "shuffled", "packed", "fresh start", "no steps", "gradients", "engine loop",
        "engine fused",
        "predictions together", "predictions shuffled", "loaded again", "predicted in another process",
    }  # fmt: skip
    longest = recurra.load(folder).parts.features.max_length
    assert {0, 1, 2, 3, 5, 7, 13} <= set(found.lengths) and max(found.lengths) > longest
    kept = json.loads((folder / "certificate.json").read_text())
    assert kept["holds"] is True and kept["rows"] == "steps of its test data"
    assert [pair["name"] for pair in kept["pairs"]] == [pair.name for pair in found.pairs]
    assert recurra.load(folder).describe()["certificate"].startswith("holds: ")
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert set(after) - set(before) <= {"certificate.json", ".lock"}
    assert {name for name in before if before[name] != after[name]} == {"README.md"}


@pytest.mark.usefixtures("_here")
def test_only_the_cards_section_is_written_anew(folder: Path) -> None:
    card = folder / "README.md"
    card.write_bytes(card.read_bytes() + "\n\nA note of my own: \\1 é.\n".encode())
    old = card.read_text()
    recurra.certify(folder)
    new = card.read_text()
    assert "Not certified." in old and "Certified: one shot of a sequence and" in new
    head, _, rest = new.partition("## Certificate\n\n")
    assert old.startswith(head) and old.endswith(rest[rest.index("\n\n## Use") :])
    recurra.certify(folder)
    assert card.read_text() == new
    card.unlink()
    recurra.certify(folder)
    assert not card.exists()


@pytest.mark.usefixtures("_here")
def test_a_model_in_both_directions_cannot_stream_and_is_certified_all_the_same(
    csv: Path,
    call: Call,  # noqa: F811
) -> None:
    run = recurra.train("classify", data=csv, out=csv.parent / "both", bidirectional=True, **OPTIONS)
    answer = call("certify", run.path)
    assert answer.status == 0, answer.out
    assert answer.out.rstrip().endswith("certificate.json")
    pairs = {one["name"]: one for one in certified(run.path).content["pairs"]}
    assert pairs["both ends"]["verdict"] == "holds"
    for name in STREAMING | SESSIONS:
        assert pairs[name]["verdict"] == "does not apply"
        assert "bidirectional" in pairs[name]["reason"]
    card = (run.path / "README.md").read_text()
    assert "These do not apply to this model: chunks" in card


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("data", "options"),
    [
        ([[0.1 * i, 1.0, -0.5 * i] for i in range(24)], {"cell": "feedforward", "input_kind": "vector"}),
        ([[[0.1 * i, k] for k in range(i % 5 + 1)] for i in range(24)], {"cell": "gru", "bidirectional": False}),
    ],
    ids=["vectors", "series"],
)
def test_a_run_without_files_is_certified_on_drawn_inputs(
    data: list[Any], options: dict[str, Any], tmp_path: Path
) -> None:
    small = {name: value for name, value in OPTIONS.items() if name != "embedding_size"}
    table = {"input": data, "target": [float(i) for i in range(24)]}
    run = recurra.train("regress", data=table, out=tmp_path / "run", **small, **options)
    found = recurra.certify(run)
    assert found.holds, found.failing
    assert certified(run.path).content["rows"] == "drawn steps"
    assert recurra.certify(recurra.load(run.path)).holds


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("unit", ["word", "bpe"])
def test_texts_of_every_unit_are_certified_though_their_file_is_gone(unit: str, tmp_path: Path) -> None:
    data = tmp_path / "gone.csv"
    data.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in TEXTS))
    more = {"vocabulary_size": 300} if unit == "bpe" else {"char_ngrams": unit == "word"}
    run = recurra.train("classify", data=data, out=tmp_path / "run", unit=unit, bidirectional=False, **OPTIONS, **more)
    data.unlink()
    assert recurra.certify(run).holds
    assert certified(run.path).content["rows"] == "drawn steps"


def test_the_same_rows_come_again_and_one_is_longer_than_any_in_training(trained: Path) -> None:
    one, other = (given_to(recurra.load(trained)) for _ in range(2))
    assert one.inputs == other.inputs
    assert all(torch.equal(first_tensor(a), first_tensor(b)) for a, b in zip(one.rows, other.rows, strict=True))
    assert [next_prime(n) for n in (1, 2, 13, 127, 4096)] == [2, 3, 17, 131, 4099]


@pytest.mark.usefixtures("_here")
def test_a_language_model_is_certified(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The quick brown fox jumps over the lazy dog.\n" * 60)
    small = {name: value for name, value in OPTIONS.items() if name != "epochs"}
    run = recurra.train("model", data=text, out=tmp_path / "run", epochs=1, bptt_length=16, **small)
    found = recurra.certify(run)
    assert found.holds, found.failing
    held = {pair.name for pair in found.pairs if pair.verdict == "holds"}
    assert held >= STREAMING | {"padded", "left padded", "resets", "fresh start", "predictions together"}
    assert certified(run.path).content["rows"] == "steps of its test data"


@pytest.mark.usefixtures("_here")
def test_a_stale_certificate_is_noticed(folder: Path, csv: Path) -> None:
    recurra.certify(folder)
    other = recurra.train("classify", data=csv, out=folder.parent / "other", seed=5, bidirectional=False, **OPTIONS)
    shutil.copy(folder / "certificate.json", other.path / "certificate.json")
    assert certified(other.path).state == "stale"
    assert recurra.load(other.path).describe()["certificate"].startswith("stale: it is of other files")
    (other.path / "certificate.json").write_text('{"seal": 3')
    assert recurra.load(other.path).describe()["certificate"].startswith("damaged")
    assert recurra.certify(other).holds
    assert certified(other.path).state == "holds"


def test_a_certificate_with_wrong_fields_is_damaged_and_no_traceback(folder: Path) -> None:
    from recurra.run.certificate import seal_of

    for pairs in (None, [1], [{"name": "a"}], [{"name": "a", "verdict": "holds", "difference": "b"}]):
        content = {"seal": seal_of(folder), "holds": True, "pairs": pairs, "lengths": [], "rows": "", "versions": {}}
        (folder / "certificate.json").write_text(json.dumps(content))
        assert certified(folder).state == "damaged"


@pytest.mark.usefixtures("_here")
def test_a_new_training_in_the_folder_takes_the_certificate_away(folder: Path, csv: Path) -> None:
    recurra.certify(folder)
    recurra.train("classify", data=csv, out=folder, overwrite=True, bidirectional=False, **OPTIONS)
    assert not (folder / "certificate.json").exists()
    assert "\n\n## Certificate\n\nNot certified.\n\n## Use" in (folder / "README.md").read_text()


def test_the_column_that_is_last_instead_of_the_last_valid_step_is_caught(
    folder: Path,
    call: Call,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    _here: None,
) -> None:
    def wrong(self: Any, state: Any, values: Tensor, lengths: Tensor) -> Any:
        return type(state)(values[:, -1], state.steps + lengths.to(values.device))

    monkeypatch.setattr(LastPooling, "update", wrong)
    run = recurra.load(folder)
    body: Any = run.model.get_submodule("body")
    body.pooling = LastPooling(body.pooling.size)
    body.head = torch.nn.Linear(body.pooling.output_size, body.head.out_features)
    found = {pair.name for pair in recurra.certify(run).failing}
    assert {"padded", "shuffled", "predictions together"} <= found
    assert "Not certified: one shot of a sequence is not the same as" in (folder / "README.md").read_text()
    assert certified(folder).state == "fails"
    assert recurra.load(folder).describe()["certificate"].startswith("fails: ")


def test_a_dropped_state_is_caught_and_the_command_ends_with_1(
    folder: Path,
    call: Call,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    _here: None,
) -> None:
    real = SequenceModel.run
    monkeypatch.setattr(SequenceModel, "run", lambda self, entered, state=None: real(self, entered, None))
    answer = call("certify", folder)
    assert answer.status == 1
    assert "fails: chunks" in answer.out
    answer = call("certify", folder, "--json")
    assert answer.status == 1
    names = {pair["name"] for pair in json.loads(answer.out)["pairs"] if pair["verdict"] == "fails"}
    assert {"chunks", "chunks of a batch", "resumed", "two at once", "resumed in another process"} <= names


def test_an_answer_that_depends_on_the_neighbours_is_caught(
    folder: Path, monkeypatch: pytest.MonkeyPatch, _here: None
) -> None:
    real = SequenceModel.run

    def leaking(self: Any, entered: Any, state: Any = None) -> Any:
        logits, state = real(self, entered, state)
        return logits - 0.1 * logits.mean(0, keepdim=True), state

    monkeypatch.setattr(SequenceModel, "run", leaking)
    assert {"padded", "shuffled", "predictions together", "predictions shuffled"} <= failing(folder)


@pytest.mark.parametrize("fault", ["a reset that does not", "a step of its own", "a file that forgets"])
def test_a_session_at_fault_is_caught(
    fault: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    _here: None,
) -> None:
    from recurra.models import ClassifierSteps
    from recurra.streaming import Session

    if fault == "a reset that does not":
        monkeypatch.setattr(Session, "reset", lambda self: None)
    elif fault == "a step of its own":
        real = ClassifierSteps.run
        monkeypatch.setattr(ClassifierSteps, "run", lambda self, x, state: (*real(self, x, state)[:1], state))
    else:

        def fresh(self: Any, path: Any) -> None:
            save_state(path, Session(self._pipeline).state, weights=self._pipeline.weights())

        monkeypatch.setattr(Session, "save", fresh)
    caught = failing(folder)
    assert "sessions" in caught
    assert ("sessions in another process" in caught) == (fault != "a reset that does not")


def test_another_process_that_answers_otherwise_is_caught(
    folder: Path, monkeypatch: pytest.MonkeyPatch, _here: None
) -> None:
    from recurra.certification import elsewhere

    real = elsewhere.load_run

    def other(path: Path, device: Any) -> Any:
        run = real(path, device)
        with torch.no_grad():
            next(run.model.parameters()).add_(0.1)
        return run

    monkeypatch.setattr(elsewhere, "load_run", other)
    assert failing(folder) == ELSEWHERE


def test_a_process_that_dies_fails_its_pairs_with_its_last_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recurra.certification import another_process

    monkeypatch.setattr(another_process, "ELSEWHERE", "recurra.certification.nowhere")
    found = recurra.certify(folder)
    assert {pair.name for pair in found.failing} == ELSEWHERE
    assert "No module named" in found["predicted in another process"].reason


@pytest.mark.usefixtures("_here")
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the failing write is told by Linux's /proc")
def test_a_full_disk_leaves_card_and_certificate_as_they_were(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recurra.certify(folder)
    before = {name: (folder / name).read_bytes() for name in ("certificate.json", "README.md")}
    real = os.fsync

    def full(handle: int) -> None:
        if ".certificate.json." in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkError, match=r"certificate\.json could not be written: No space left"):
        recurra.certify(folder)
    assert before == {name: (folder / name).read_bytes() for name in before}
    assert not list(folder.glob("*.part")) and not list(folder.glob(".*.part"))
    assert recurra.load(folder).predict(["a fine film"])


def test_what_is_no_run_is_refused(tmp_path: Path, call: Call) -> None:  # noqa: F811
    answer = call("certify", tmp_path)
    assert answer.status == 2
    assert "is no run folder" in answer.err
    with pytest.raises(RunError, match="no such folder"):
        recurra.certify(tmp_path / "nothing")


def test_names_of_real_people_are_certified(shared_data: Path, tmp_path: Path, _here: None) -> None:
    few = tmp_path / "few.csv"
    rows = ["name,language"]
    for language in ("Czech", "Greek", "Japanese"):
        names = (shared_data / "names" / f"{language}.txt").read_text(encoding="utf-8").splitlines()
        rows += [f"{name},{language}" for name in names[:40]]
    few.write_text("\n".join(rows), encoding="utf-8")
    run = recurra.train("classify", data=few, input=("name",), target=("language",), out=tmp_path / "run", **OPTIONS)
    assert recurra.certify(run).holds


def test_a_tagger_whose_characters_are_read_both_ways_streams_and_is_left_padded() -> None:
    class Tagger(torch.nn.Module):
        """Ids of characters [B, T, C] in, a row of logits a token out, as a run calls it."""

        def __init__(self) -> None:
            super().__init__()
            self.frontend = Characters()
            self.encoder = Recurrent("gru", 4, 5)

        def forward(self, x: Sequence, state: Any = None) -> Any:
            return self.encoder.run(entered_zeros(self.frontend(x.values), x.lengths), state)

    class Characters(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(9, 3, padding_idx=0)
            self.encoder = torch.nn.GRU(3, 2, batch_first=True, bidirectional=True, bias=False)

        def forward(self, values: Tensor) -> Tensor:
            read = self.encoder(self.table(values.flatten(0, 1)))[0].sum(1)
            return read.view(*values.shape[:2], 4)

    torch.manual_seed(0)
    rows = [torch.randint(1, 9, (1, steps, 3)) for steps in (5, 0, 1, 7, 2)]
    found = certify_subject(model_subject(Tagger()), rows, "tagger")
    assert found.holds, found.failing
    held = {pair.name for pair in found.pairs if pair.verdict == "holds"}
    assert held >= {"left padded", "chunks", "chunks of a batch", "single steps", "two at once", "resumed"}
