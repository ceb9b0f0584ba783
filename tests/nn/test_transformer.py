"""The Transformer layer against attention written out number by number, and what a memory of M steps means."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra import laws
from recurra.cells import TransformerCell
from recurra.engines.attention import SHORTEST_BLOCK, attend
from recurra.errors import NotStreamable, SettingsError, ShapeError
from recurra.models import SequenceModel
from recurra.nn import Recurrent

Numbers = list[float]


def written_out(cell: TransformerCell, x: Tensor) -> Tensor:
    """One row [T, I] → [T, H]: a pre-norm layer in loops over numbers, with what each step may read in its window."""
    weights = {name: value.detach().tolist() for name, value in cell.named_parameters()}

    def linear(name: str, values: Numbers) -> Numbers:
        rows, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return [sum(w * v for w, v in zip(row, values, strict=True)) + b for row, b in zip(rows, bias, strict=True)]

    def norm(name: str, values: Numbers) -> Numbers:
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        gain, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return [(v - mean) / math.sqrt(variance + 1e-5) * g + b for v, g, b in zip(values, gain, bias, strict=True)]

    def turned(head: Numbers, place: int) -> Numbers:
        pairs, found = len(head) // 2, list(head)
        for i in range(pairs):
            angle = place * 10_000.0 ** (-i / pairs)
            one, other = head[i], head[i + pairs]
            found[i] = one * math.cos(angle) - other * math.sin(angle)
            found[i + pairs] = one * math.sin(angle) + other * math.cos(angle)
        return found

    size, wide = cell.hidden_size // cell.heads, cell.hidden_size
    adds = [linear("input", row) if cell.input is not None else row for row in x.tolist()]
    joint = [linear("attention_in", norm("attention_norm", u)) for u in adds]
    outputs = []
    for t, u in enumerate(adds):
        read = range(len(adds)) if cell.bidirectional else range(max(0, t - cell.window + 1), t + 1)
        attended: Numbers = []
        for at in range(0, wide, size):
            query = turned(joint[t][at : at + size], t)
            scores = []
            for s in read:
                key = turned(joint[s][wide + at : wide + at + size], s)
                scores.append(math.exp(sum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(size)))
            for i in range(2 * wide + at, 2 * wide + at + size):
                weighted = sum(score * joint[s][i] for score, s in zip(scores, read, strict=True))
                attended.append(weighted / sum(scores))
        c = [a + b for a, b in zip(u, linear("attention_out", attended), strict=True)]
        inner = linear("feedforward_in", norm("feedforward_norm", c))
        inner = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in inner]
        y = [a + b for a, b in zip(c, linear("feedforward_out", inner), strict=True)]
        outputs.append(norm("output_norm", y) if cell.output_norm is not None else y)
    return torch.tensor(outputs, dtype=torch.float64)


def made(input_size: int = 3, hidden_size: int = 6, **options: Any) -> TransformerCell:
    cell = TransformerCell(input_size, hidden_size, dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return cell


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


CELLS: dict[str, dict[str, Any]] = {
    "one head": {"window": 100},
    "two heads of an odd size, a short window": {"heads": 2, "window": 3},
    "no projection, a norm after": {"input_size": 6, "heads": 3, "window": 4, "norm_output": True},
    "a window of one step": {"window": 1},
    "both ways": {"heads": 2, "bidirectional": True},
    "both ways, a norm after": {"input_size": 6, "bidirectional": True, "norm_output": True},
}


@pytest.mark.parametrize("name", CELLS)
def test_the_layer_equals_attention_written_out(name: str) -> None:
    cell = made(**CELLS[name])
    x, lengths = double(3, 9, cell.input_size), torch.tensor([9, 4, 0])
    expected = torch.zeros(3, 9, 6, dtype=torch.float64)
    for row, length in enumerate(lengths.tolist()):
        expected[row, :length] = written_out(cell, x[row, :length]) if length else 0.0
    for plain in (False, True):
        inside = x.masked_fill((torch.arange(9) >= lengths[:, None])[..., None], 0.0)
        outputs, _ = attend(cell, inside, cell.initial_state(3), lengths, plain=plain)
        torch.testing.assert_close(outputs, expected, rtol=1e-10, atol=1e-10)
    if not cell.bidirectional:
        state, stepped = cell.initial_state(1), []
        for t in range(9):
            y, state = cell.step(x[:1, t], state)
            stepped.append(y[0])
        torch.testing.assert_close(torch.stack(stepped), expected[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("window", "steps"), [(5, 300), (140, 450), (256, 200)])
def test_the_laws_hold_over_several_blocks_of_queries(window: int, steps: int) -> None:
    assert steps > 2 * max(window, SHORTEST_BLOCK) or window == 256
    layer = Recurrent(partial(TransformerCell, heads=2, window=window), 3, 8, dtype=torch.float64)
    x, lengths = double(3, steps, 3), torch.tensor([steps, steps // 2, 0])
    resets = torch.rand(3, steps) < 0.02
    with torch.no_grad():
        assert laws.steps_equal_whole(layer, x) < 1e-10
        assert laws.chunks_equal_whole(layer, x, [1, window, steps - 3]) < 1e-10
        assert laws.padding_is_never_read(layer, x, lengths, None, resets) < 1e-10
        assert laws.engines_agree(layer, x, lengths, None, resets) < 1e-10


def test_a_step_reads_its_window_and_nothing_before() -> None:
    layer = Recurrent("transformer", 3, 8, attention_window=4, dtype=torch.float64)
    x = double(1, 20, 3).requires_grad_()
    layer(x)[0][0, 12, 3].backward()
    reached = (x.grad[0] != 0).any(-1)
    assert reached.nonzero()[:, 0].tolist() == [9, 10, 11, 12]


def test_the_place_of_a_sequence_does_not_matter() -> None:
    layer = Recurrent("transformer", 3, 8, attention_window=6, dtype=torch.float64)
    x = double(2, 6, 3)
    _, state = layer(double(2, 5000, 3))
    later, _ = layer(x, state)  # after 5 more steps nothing of what came before is in the window
    torch.testing.assert_close(later[:, -1], layer(x)[0][:, -1])


def test_an_empty_part_of_a_memory_is_not_read_whatever_stands_there() -> None:
    layer = Recurrent("transformer", 3, 8, attention_window=5, dtype=torch.float64)
    x, before = double(3, 7, 3), double(3, 4, 3)
    _, state = layer(before, lengths=torch.tensor([0, 3, 4]))
    (begin,) = state.layers
    empty = (torch.arange(5) < 5 - begin.steps[:, None])[..., None]
    other = begin._replace(
        keys=torch.where(empty, double(3, 5, 8), begin.keys), values=torch.where(empty, 1e6, begin.values)
    )
    outputs, _ = layer(x, state._replace(layers=(other,)))
    for row, length in enumerate((0, 3, 4)):
        whole, _ = layer(torch.cat([before[row, :length], x[row]]))
        torch.testing.assert_close(outputs[row], whole[length:])


def test_both_ways_every_step_reads_every_valid_step_and_the_layer_is_as_wide_as_one() -> None:
    layer = Recurrent("transformer", 3, 8, bidirectional=True, dtype=torch.float64)
    x = double(1, 6, 3).requires_grad_()
    outputs, _ = layer(x, lengths=torch.tensor([4]))
    assert outputs.shape == (1, 6, 8) and layer.output_size == 8 and not layer.joined
    outputs[0, 1, 3].backward()
    assert (x.grad[0] != 0).any(-1).tolist() == [True] * 4 + [False] * 2


@pytest.mark.parametrize("engine", ["auto", "loop"])
def test_a_row_of_no_steps_gives_zeros_and_no_nan_in_any_gradient(engine: Any) -> None:
    for bidirectional in (False, True):
        layer = Recurrent("transformer", 3, 8, 2, bidirectional=bidirectional, engine=engine, dtype=torch.float64)
        outputs, _ = layer(torch.full((2, 4, 3), torch.nan).double(), lengths=torch.tensor([0, 0]))
        assert not bool(outputs.any())
        outputs, _ = layer(double(2, 4, 3), lengths=torch.tensor([0, 3]))
        outputs.pow(3).sum().backward()
        assert all(bool(one.grad.isfinite().all()) for one in layer.parameters())


def test_both_ways_cannot_step_and_says_so() -> None:
    layer = Recurrent("transformer", 3, 8, bidirectional=True)
    for call in (lambda: layer.step(torch.randn(2, 3)), layer.stream):
        with pytest.raises(NotStreamable, match=r"layers\.0.*train with bidirectional=False to stream"):
            call()
    with pytest.raises(NotStreamable, match="bidirectional=False"):
        TransformerCell(3, 8, bidirectional=True).step(torch.randn(2, 3), layer.initial_state(2).layers[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention", "max+mean"])
@pytest.mark.parametrize(
    ("cell", "bidirectional"), [("transformer", False), ("transformer", True), ("transformer,lstm", True)]
)
def test_a_model_with_any_pooling_reads_no_padding(cell: str, bidirectional: bool, pooling: str) -> None:
    model = SequenceModel(cell, 3, 8, 2, bidirectional=bidirectional, pooling=pooling).double()
    x, lengths = double(3, 6, 3), torch.tensor([6, 2, 0])
    padded = x.masked_fill((torch.arange(6) >= lengths[:, None])[..., None], torch.nan)
    logits, _ = model(padded, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(logits[row], model(x[row : row + 1, :length])[0][0])
    logits.sum().backward()
    assert all(bool(one.grad.isfinite().all()) for one in model.parameters() if one.grad is not None)


def test_heads_are_as_many_as_divide_and_have_32_features() -> None:
    assert [TransformerCell(4, size).heads for size in (1, 32, 64, 128, 100, 200)] == [1, 1, 2, 4, 2, 5]


def test_the_last_of_transformer_layers_in_a_row_ends_with_a_norm() -> None:
    layer = Recurrent("transformer,transformer,lstm,transformer", 3, 8)
    norms = [getattr(directions[0].cell, "output_norm", None) is not None for directions in layer.stack()]
    assert norms == [False, True, False, True]


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: TransformerCell(0, 8), ShapeError, "input_size is 0"),
        (lambda: TransformerCell(3, 8, heads=3), ShapeError, "3 heads do not divide hidden_size, which is 8"),
        (lambda: TransformerCell(3, 8, window=0), ShapeError, "window is 0"),
        (lambda: TransformerCell(3, 8, window=4, bidirectional=True), ShapeError, "leave window out"),
        (lambda: Recurrent("lstm", 3, 8, attention_window=4), SettingsError, "no layer is one"),
        (lambda: Recurrent("transformer", 3, 8, attention_window=0), SettingsError, "attention_window: 0 is below 1"),
        (lambda: Recurrent("transformer", 3, 8, bidirectional=True, attention_window=4), SettingsError, "every step"),
        (lambda: Recurrent("transformer", 3, 8, zoneout=0.1), SettingsError, "zoneout: not for TransformerCell"),
        (lambda: Recurrent("transformer", 3, 8, learned_state=True), SettingsError, "begins with an empty memory"),
        (lambda: Recurrent("transformer", 3, 8, engine="fused")(torch.randn(1, 2, 3)), SettingsError, "no fused"),
        (lambda: Recurrent("lstm", 3, 8, engine="attention")(torch.randn(1, 2, 3)), SettingsError, "no attention"),
        (
            lambda: Recurrent(partial(TransformerCell, bidirectional=True), 3, 8),
            SettingsError,
            "give bidirectional=True",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        make()


def test_bf16_on_a_cpu_keeps_the_states_dtype_and_stays_near() -> None:
    layer = Recurrent("transformer", 3, 16, 2, attention_window=5)
    x = torch.randn(4, 12, 3)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = layer(x)
        again, _ = layer(x, state)
    assert state.layers[0].keys.dtype == torch.float32
    torch.testing.assert_close(outputs.float(), layer(x)[0], rtol=0, atol=0.1)
    assert bool(again.isfinite().all())
