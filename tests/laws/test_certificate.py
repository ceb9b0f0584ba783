"""The certificate: sound modules hold, each planted fault is caught, and what a module cannot have says why."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recurra import nn as recurrent
from recurra.cells import CELLS
from recurra.errors import InputError
from recurra.laws import Certificate, certify_module
from recurra.models import SequenceModel
from recurra.nn import Recurrent
from recurra.sequence import valid_mask

SHORT = (5, 0, 1, 11, 2)


DEEP = pytest.mark.deep


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def failing(certificate: Certificate) -> set[str]:
    return {pair.name for pair in certificate.failing}


def verdicts(certificate: Certificate, verdict: str) -> set[str]:
    return {pair.name for pair in certificate.pairs if pair.verdict == verdict}


STREAMING = {
    "chunks", "chunks of a batch", "single steps", "two at once", "resumed", "fresh start", "sessions",
}  # fmt: skip


@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True), pytest.param(2, False, marks=DEEP)])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_certified(cell: str, layers: int, bidirectional: bool) -> None:
    layer = Recurrent(cell, 3, 4, layers, bidirectional=bidirectional, dtype=torch.float64)
    found = certify_module(layer, lengths=(4, 0, 1, 7))
    assert found.holds, found.failing
    away = verdicts(found, "does not apply")
    assert (away >= STREAMING) if bidirectional else not (STREAMING & away)
    assert {"padded", "left padded", "shuffled", "packed", "resets", "no steps", "gradients"} <= verdicts(
        found, "holds"
    )
    if bidirectional:
        assert "train with bidirectional=False" in found["chunks"].reason


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("pooling", ["last", "mean+max+attention"])
def test_a_model_with_one_answer_a_sequence_is_certified(pooling: str, bidirectional: bool) -> None:
    model = SequenceModel("lstm", 3, 4, 2, 2, pooling=pooling, bidirectional=bidirectional, pool_inputs=True)
    found = certify_module(model, input_size=3, lengths=SHORT)
    assert found.holds, found.failing
    assert ("both ends" in verdicts(found, "holds")) == bidirectional


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"num_layers": 2, "batch_first": True}])
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_drop_ins_and_torchs_own_are_certified(name: str, options: dict[str, Any]) -> None:
    ours = getattr(recurrent, name)(3, 4, **options)
    theirs = getattr(nn, name)(3, 4, **options)
    theirs.load_state_dict(ours.state_dict())
    found = certify_module(ours, lengths=SHORT, others={"of torch": theirs})
    assert found.holds, found.failing
    assert "module of torch" in verdicts(found, "holds")
    assert ("sessions" in verdicts(found, "holds")) == (not options.get("bidirectional"))
    assert certify_module(theirs, lengths=SHORT).holds


def test_a_model_of_ids_with_an_answer_a_step_is_certified() -> None:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.layer, self.head = nn.Embedding(9, 4), Recurrent("gru", 4, 5), nn.Linear(5, 9)

        def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> Any:
            outputs, state = self.layer(self.table(x), state, lengths=lengths)
            return self.head(outputs), state  # on padding stands the head's bias, which nothing compares

        def step(self, x: Tensor, state: Any = None) -> Any:
            outputs, state = self.layer.step(self.table(x), state)
            return self.head(outputs), state

    found = certify_module(Language(), vocabulary_size=9, lengths=SHORT)
    assert found.holds, found.failing
    assert found["packed"].reason == "forward takes no PackedSequence"


def test_a_users_module_with_torchs_state_is_certified() -> None:
    class Own(nn.Module):
        """Batch first, and a state whose batch is its second dimension."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(3, 4, 2, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: Tensor, hx: Any = None) -> Any:
            outputs, hx = self.lstm(x, hx)
            return self.head(outputs), {"hx": hx, "name": "own"}["hx"]

    found = certify_module(Own(), input_size=3, lengths=(3, 7, 13))
    assert found.holds, found.failing
    assert {"chunks", "single steps", "resumed", "shuffled", "two at once"} <= verdicts(found, "holds")
    assert found["padded"].reason == "forward takes no lengths"
    assert found["no steps"].reason == "no row has length 0"


class Faulty(Recurrent):
    """A GRU with one fault."""

    fault = ""

    def forward(self, x: Any, state: Any = None, **options: Any) -> Any:
        fault, lengths = self.fault, options.get("lengths")
        if fault == "a dropped state":
            return super().forward(x, None, **options)
        if fault == "resets ignored":
            return super().forward(x, state, **{**options, "resets": None})
        if fault == "values leak from padding":
            return super().forward(x.nan_to_num(1.0), state, **{**options, "lengths": None})
        if fault == "the wrong side of left padding" and options.get("padding") == "left":
            options["padding"] = "right"
            return super().forward(x.nan_to_num(), state, **options)
        if fault == "a state kept on the module" and state is None:
            state = getattr(self, "kept", None)
            if state is not None and state.layers[0].hidden.shape[0] != x.shape[0]:
                state = None
        if fault == "one stream kept on the module" and state is not None:
            state = self.kept
        if fault == "a state changed in place" and state is not None:
            state.layers[0].hidden.mul_(0.5)
        if fault == "an input changed in place":
            x.mul_(0.5)
        if fault == "neighbours" and isinstance(x, Tensor):
            x = x - x.nan_to_num().mean(0, keepdim=True)
        outputs, end = super().forward(x, state, **options)
        if fault in ("a state kept on the module", "one stream kept on the module"):
            self.kept = end
        if fault == "a look ahead" and isinstance(outputs, Tensor):
            outputs = outputs.roll(-1, 1)
        if fault == "an empty row is answered" and lengths is not None and bool((lengths == 0).any()):
            end = type(end)(tuple(type(one)(one.hidden + 1) for one in end.layers))
        if fault == "padding reaches the weights" and lengths is not None:
            outputs = outputs + (x * 0.0).sum(-1, keepdim=True).nan_to_num() * self.layers[0][0].cell.bias_ih[:1]  # type: ignore[index]
            outputs = outputs + (outputs.sum(1, keepdim=True) - outputs.sum(1, keepdim=True).detach())
        if fault == "a counter that grows":
            self.calls.add_(1)
        return outputs, end

    def step(self, x: Tensor, state: Any = None, **options: Any) -> Any:
        y, state = super().step(x, state, **options)
        return (y * 1.001 if self.fault == "another step" else y), state


def faulty(fault: str) -> Faulty:
    layer = Faulty("gru", 3, 4)
    layer.fault = fault
    layer.register_buffer("calls", torch.zeros(1))
    return layer


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("a dropped state", {"chunks", "chunks of a batch", "resumed", "two at once"}),
        ("a look ahead", {"chunks", "single steps", "sessions"}),
        ("values leak from padding", {"padded", "shuffled"}),
        ("the wrong side of left padding", {"left padded"}),
        ("a state kept on the module", {"repeated"}),
        ("one stream kept on the module", {"two at once"}),
        ("a state changed in place", {"two at once"}),
        ("an input changed in place", {"two at once"}),
        ("neighbours", {"padded", "shuffled"}),
        ("resets ignored", {"resets"}),
        ("another step", {"single steps"}),
        ("an empty row is answered", {"no steps"}),
        ("padding reaches the weights", {"gradients"}),
        ("a counter that grows", {"repeated"}),
    ],
)
def test_a_planted_fault_is_caught(fault: str, caught_by: set[str]) -> None:
    assert certify_module(faulty(""), lengths=SHORT).holds
    found = certify_module(faulty(fault), lengths=SHORT)
    assert not found.holds
    assert caught_by <= failing(found), failing(found)


class Last(nn.Module):
    """Many to one, as often taught: the last column of the batch."""

    def __init__(self, read: str, bidirectional: bool = False) -> None:
        super().__init__()
        self.layer, self.read = nn.GRU(3, 4, 2, batch_first=True, bidirectional=bidirectional), read
        self.head = nn.Linear(8 if bidirectional else 4, 2)

    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> Any:
        if lengths is not None:
            x = torch.where(valid_mask(lengths, x.shape[1])[..., None], x, 0.0)
        outputs, state = self.layer(x, state)
        if self.read == "out[:, -1]" or lengths is None:
            last = outputs[:, -1]
        else:
            last = outputs[torch.arange(len(x)), lengths - 1]
        if self.read == "both ends":
            half = last.shape[1] // 2
            last = torch.cat([last[:, :half], outputs[:, 0, half:]], 1)
        return self.head(last), None


LENGTHS = (5, 3, 13, 7)


def test_the_last_column_of_a_padded_batch_is_caught() -> None:
    assert {"padded", "shuffled"} <= failing(certify_module(Last("out[:, -1]"), input_size=3, lengths=LENGTHS))
    told = dict.fromkeys(STREAMING, "it gives no state")
    assert certify_module(Last("lengths"), input_size=3, lengths=LENGTHS, does_not_apply=told).holds


def test_the_last_column_of_two_directions_is_caught_though_every_batch_agrees() -> None:
    wrong = certify_module(BothWays("lengths"), input_size=3, lengths=LENGTHS)
    assert failing(wrong) == {"both ends"}, wrong.failing
    assert {"padded", "shuffled", "both ends"} <= failing(
        certify_module(BothWays("out[:, -1]"), input_size=3, lengths=LENGTHS)
    )
    assert certify_module(BothWays("both ends"), input_size=3, lengths=LENGTHS).holds


class BothWays(Last):
    """The same in both directions, packed so that the backward direction begins at each row's own end."""

    def __init__(self, read: str) -> None:
        super().__init__(read, bidirectional=True)

    def forward(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> Any:
        if lengths is None:
            return super().forward(x, state)
        rows = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(self.layer(rows)[0], batch_first=True, total_length=x.shape[1])
        last = outputs[:, -1] if self.read == "out[:, -1]" else outputs[torch.arange(len(x)), lengths - 1]
        if self.read == "both ends":
            last = torch.cat([last[:, :4], outputs[:, 0, 4:]], 1)
        return self.head(last), None


class Convolved(nn.Module):
    """A causal convolution before the layer; whether it remembers the steps before a chunk is the question."""

    def __init__(self, remembers: bool) -> None:
        super().__init__()
        self.filter, self.layer, self.remembers = nn.Conv1d(3, 3, 3), Recurrent("gru", 3, 4), remembers

    def forward(self, x: Tensor, state: Any = None) -> Any:
        before, inner = (x.new_zeros(x.shape[0], 2, 3), None) if state is None else state
        context = before if self.remembers else torch.zeros_like(before)
        whole = torch.cat([context, x], 1)
        outputs, inner = self.layer(self.filter(whole.transpose(1, 2)).transpose(1, 2), inner)
        return outputs, (whole[:, -2:], inner)


def test_a_chunk_boundary_that_forgets_is_caught() -> None:
    assert certify_module(Convolved(True), input_size=3, lengths=LENGTHS).holds
    found = certify_module(Convolved(False), input_size=3, lengths=LENGTHS)
    assert {"chunks", "single steps", "resumed"} <= failing(found)


def test_an_engine_that_differs_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from recurra.engines import selection

    layer = Recurrent("lstm", 3, 4)
    real = selection.unroll

    def wrong(*given: Any, **options: Any) -> Any:
        outputs, state = real(*given, **options)
        return outputs * (1 + 1e-3), state

    monkeypatch.setattr(selection, "unroll", wrong)
    found = certify_module(layer, lengths=LENGTHS)
    assert failing(found) == {"engine loop"}
    other = Recurrent("lstm", 3, 4)
    assert "module port" in failing(certify_module(layer, lengths=LENGTHS, others={"port": other}))


def test_a_session_whose_reset_does_not_reset_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from recurra.nn.stream import LayerSession

    monkeypatch.setattr(LayerSession, "reset", lambda self: None)
    assert failing(certify_module(Recurrent("gru", 3, 4), lengths=LENGTHS)) == {"sessions"}


def test_a_state_that_loses_something_on_its_way_is_caught() -> None:
    def forgets(state: Any) -> Any:
        return type(state)(tuple(type(one)(torch.zeros_like(one.hidden)) for one in state.layers))

    assert failing(certify_module(Recurrent("gru", 3, 4), lengths=LENGTHS, keep=forgets)) == {"resumed"}


def test_a_module_that_raises_in_one_way_fails_that_pair_with_its_words() -> None:
    class Raises(Recurrent):
        def step(self, x: Tensor, state: Any = None, **options: Any) -> Any:
            raise KeyError("no\nstep")

    found = certify_module(Raises("gru", 3, 4), lengths=LENGTHS)
    assert failing(found) == {"single steps"}
    assert found["single steps"].reason == "KeyError: 'no\\nstep'"
    assert found["single steps"].difference is None


def test_the_module_is_left_as_it_was() -> None:
    layer = Recurrent("gru", 3, 4, 2, dropout=0.5)
    layer.layers[0].eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    names = {name: sorted(vars(part)) for name, part in layer.named_modules()}
    assert certify_module(layer, lengths=SHORT).holds
    assert layer.training and not layer.layers[0].training and layer.engine == "auto"
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert names == {name: sorted(vars(part)) for name, part in layer.named_modules()}
    assert all(one.grad is None for one in layer.parameters())


def test_rounding_that_a_model_amplifies_is_no_failure_and_a_fault_still_is() -> None:
    layer = Recurrent("rnn", 3, 32, initialization="torch")
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(4.0)  # chaotic: a difference in the last bit grows with every step
    found = certify_module(layer, lengths=(13, 61, 251))
    assert found.holds, found.failing
    assert 251 not in found.lengths and found.rounding <= 1e-3
    assert found["float64"].verdict == "holds"
    layer.__class__, layer.fault = Faulty, "a dropped state"
    assert "chunks" in failing(certify_module(layer, lengths=(13, 61, 251)))


def test_a_module_that_answers_otherwise_in_float64_is_caught() -> None:
    class Otherwise(Recurrent):
        def forward(self, x: Tensor, state: Any = None, **options: Any) -> Any:  # type: ignore[override]
            outputs, state = super().forward(x, state, **options)
            return (outputs * 2 if x.dtype == torch.float64 else outputs), state

    found = certify_module(Otherwise("gru", 3, 4), lengths=LENGTHS)
    assert "float64" in failing(found)
    assert found["chunks"].reason == "there is no row to compare"


def test_a_certificate_is_plain_json_and_a_table() -> None:
    found = certify_module(faulty("a dropped state"), lengths=SHORT)
    read = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert read["holds"] is False
    assert read["lengths"] == list(SHORT)
    chunks = next(pair for pair in read["pairs"] if pair["name"] == "chunks")
    assert chunks["verdict"] == "fails" and chunks["difference"] > 1e-3 and chunks["tolerance"] == pytest.approx(1e-5)
    assert "steps" in chunks["reason"]
    assert [row[0] for row in found.rows()] == [pair.name for pair in found.pairs]
    assert "not certified" in found._repr_html_()


def test_what_cannot_be_certified_is_refused_in_a_sentence() -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(InputError, match="has no input_size; give input_size, vocabulary_size"):
        certify_module(Nothing())
    with pytest.raises(InputError, match="a sequence of 2 steps or more is needed"):
        certify_module(Nothing(), input_size=3, lengths=(0, 1))
    with pytest.raises(InputError, match="one shot of GRUCell does not run"):
        certify_module(nn.GRUCell(3, 4), lengths=LENGTHS)
    with pytest.raises(InputError, match=r"torch\.float16"):
        certify_module(Recurrent("gru", 3, 4).half())
