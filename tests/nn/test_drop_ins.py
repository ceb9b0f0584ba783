"""The drop-ins against torch.nn: values, states and gradients on every kind of packed input, and torch's manners."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

import recurra.nn
import recurra.nn.dropin
from recurra.laws.agreement import difference

KINDS = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
LENGTHS = {"unsorted": [3, 7, 5, 6], "sorted": [7, 5, 5, 4], "equal": [4, 4, 4, 4], "one row": [5]}


def pair(kind: str, *given: Any, **options: Any) -> tuple[nn.Module, nn.Module]:
    """torch's module and ours with the same weights."""
    theirs, ours = getattr(nn, kind)(*given, **options), getattr(recurra.nn, kind)(*given, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def packed(lengths: list[int], dtype: torch.dtype = torch.float64, features: int = 3) -> PackedSequence:
    x = torch.randn(len(lengths), max(lengths), features, dtype=dtype)
    given = sorted(lengths, reverse=True) == lengths
    return pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=given)


def leaves(end: Any) -> tuple[Tensor, ...]:
    return end if isinstance(end, tuple) else (end,)


def results(module: nn.Module, given: PackedSequence, hx: Any, seed: int = 7) -> list[Tensor]:
    """Outputs, final states and every gradient."""
    data = given.data.detach().clone().requires_grad_()
    states = [one.detach().clone().requires_grad_() for one in leaves(hx)] if hx is not None else []
    begin = None if hx is None else tuple(states) if isinstance(hx, tuple) else states[0]
    torch.manual_seed(seed)
    outputs, end = module(given._replace(data=data), begin)
    assert (outputs.batch_sizes, outputs.sorted_indices) == (given.batch_sizes, given.sorted_indices)
    total = sum(
        (one * torch.arange(one.numel()).view_as(one).add(0.7).sin()).sum() for one in (outputs.data, *leaves(end))
    )
    inputs = [data, *states, *module.parameters()]
    return [outputs.data, *leaves(end), *torch.autograd.grad(total, inputs)]


@pytest.fixture
def padded_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Counts the padded passes, and takes them however little they pay."""
    runs: list[int] = []
    real = recurra.nn.dropin.run_padded

    def counted(*given: Any) -> Any:
        runs.append(1)
        return real(*given)

    monkeypatch.setattr(recurra.nn.dropin, "run_padded", counted)
    monkeypatch.setattr("recurra.nn.padded.pays", lambda *_: True)
    yield runs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_packed_input_gives_torchs_values_states_and_gradients(
    kind: str, dtype: torch.dtype, padded_runs: list[int]
) -> None:
    for layers, bidirectional, bias, given, (name, lengths) in product(
        (1, 2), (False, True), (True, False), (False, True), LENGTHS.items()
    ):
        options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, "dtype": dtype}
        theirs, ours = pair(kind, 3, 4, **options)
        x = packed(lengths, dtype)
        shape = (layers * (1 + bidirectional), len(lengths), 4)
        hx = tuple(torch.randn(shape, dtype=dtype) for _ in range(1 + (kind == "LSTM"))) if given else None
        hx = hx[0] if hx is not None and kind != "LSTM" else hx
        found = difference(results(ours, x, hx), results(theirs, x, hx))
        assert found <= TOLERANCE[dtype], (options, given, name, found)
    assert len(padded_runs) == 64


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_between_layers_drops_what_torchs_does_under_the_same_seed(kind: str, padded_runs: list[int]) -> None:
    for bidirectional in (False, True):
        theirs, ours = pair(kind, 3, 4, 3, dropout=0.4, bidirectional=bidirectional, dtype=torch.float64)
        x = packed([3, 7, 5, 6])
        assert difference(results(ours, x, None), results(theirs, x, None)) <= 1e-10
        assert difference(results(ours, x, None, 1), results(ours, x, None, 2)) > 1e-3
        theirs.eval(), ours.eval()
        assert difference(results(ours, x, None, 1), results(theirs, x, None, 2)) <= 1e-10
    assert len(padded_runs) == 8


def test_a_relu_network_is_run_with_relu(padded_runs: list[int]) -> None:
    theirs, ours = pair("RNN", 3, 4, nonlinearity="relu", dtype=torch.float64)
    x = packed([3, 7, 5, 6])
    assert difference(results(ours, x, None), results(theirs, x, None)) <= 1e-10
    assert padded_runs


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_through_a_packed_batch_are_right(kind: str, padded_runs: list[int]) -> None:
    layer = getattr(recurra.nn, kind)(2, 2, bidirectional=True, dtype=torch.float64)
    x = packed([2, 3], features=2)

    def run(data: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        outputs, end = layer(x._replace(data=data))
        return outputs.data, *leaves(end)

    inputs = (x.data.requires_grad_(), *layer.parameters())
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)
    assert padded_runs


LEFT_TO_TORCH: dict[str, Any] = {
    "proj_size": lambda: (pair("LSTM", 3, 4, proj_size=2), packed([3, 2], torch.float32), None),
    "bfloat16": lambda: (pair("LSTM", 3, 4, dtype=torch.bfloat16), packed([3, 2], torch.bfloat16), None),
    "a list as state": lambda: (
        pair("LSTM", 3, 4),
        packed([3, 2], torch.float32),
        [torch.ones(1, 2, 4), torch.ones(1, 2, 4)],
    ),
}


@pytest.mark.parametrize("case", LEFT_TO_TORCH)
def test_what_the_padded_pass_cannot_do_is_left_to_torch(case: str, padded_runs: list[int]) -> None:
    (theirs, ours), x, hx = LEFT_TO_TORCH[case]()
    (one, end), (other, last) = ours(x, hx), theirs(x, hx)
    assert torch.equal(one.data, other.data)
    assert all(torch.equal(a, b) for a, b in zip(leaves(end), leaves(last), strict=True))
    assert not padded_runs


def test_a_batch_that_is_mostly_padding_is_left_to_torch_and_a_full_one_is_not() -> None:
    from recurra.nn.padded import fits

    layer = recurra.nn.LSTM(64, 64)
    assert fits(layer, packed([50] * 16, torch.float32, 64), None)
    assert not fits(layer, packed([50] + [1] * 63, torch.float32, 64), None)


FAULTS: dict[str, Any] = {
    "width": lambda m: m(pack_sequence([torch.randn(3, 9)])),
    "dtype": lambda m: m(pack_sequence([torch.randn(3, 3, dtype=torch.float64)])),
    "rank": lambda m: m(PackedSequence(torch.randn(3, 1, 3), torch.tensor([1, 1, 1]))),
    "state": lambda m: m(pack_sequence([torch.randn(3, 3)]), torch.randn(1, 2, 4)),
    "state dtype": lambda m: m(pack_sequence([torch.randn(3, 3)]), torch.ones(1, 1, 4).double()),
    "state of another cell": lambda m: m(pack_sequence([torch.randn(3, 3)]), (torch.randn(1, 1, 4),) * 2),
    "batch sizes": lambda m: m(PackedSequence(torch.randn(3, 3), torch.tensor([1, 2]))),
    "no steps": lambda m: m(torch.randn(0, 2, 3)),
    "4 dimensions": lambda m: m(torch.randn(1, 1, 1, 3)),
    "construction": lambda m: type(m)(3, 0),
    "projection": lambda m: type(m)(3, 4, proj_size=5),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_errors_are_torchs_own(fault: str, padded_runs: list[int]) -> None:
    theirs, ours = pair("GRU", 3, 4)
    with pytest.raises(Exception) as expected:
        FAULTS[fault](theirs)
    with pytest.raises(type(expected.value)) as found:
        FAULTS[fault](ours)
    assert str(found.value) == str(expected.value)
    assert not padded_runs


def test_a_length_of_zero_is_refused_as_torch_does() -> None:
    with pytest.raises(RuntimeError, match="greater than 0"):
        pack_padded_sequence(torch.randn(2, 3, 3), torch.tensor([3, 0]), batch_first=True)


@pytest.mark.parametrize("kind", [*KINDS, *CELLS])
def test_a_drop_in_is_torchs_module_in_class_repr_and_weights(kind: str) -> None:
    torch.manual_seed(0)
    theirs = getattr(nn, kind)(3, 4, bias=False)
    torch.manual_seed(0)
    ours = getattr(recurra.nn, kind)(3, 4, bias=False)
    assert isinstance(ours, getattr(nn, kind)) and repr(ours) == repr(theirs)
    assert difference(dict(ours.state_dict()), dict(theirs.state_dict())) == 0
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_a_drop_in_warns_as_torch_does_and_where_it_is_made(kind: str) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        getattr(nn, kind)(3, 4, dropout=0.5)
        getattr(recurra.nn, kind)(3, 4, dropout=0.5)
    assert str(found[0].message) == str(found[1].message) and found[0].filename == found[1].filename


@pytest.mark.parametrize("kind", KINDS)
def test_a_copied_or_pickled_drop_in_gives_the_same_answers(kind: str, padded_runs: list[int]) -> None:
    layer = getattr(recurra.nn, kind)(3, 4, 2)
    x = packed([3, 7, 5, 6], torch.float32)
    expected = layer(x)[0].data
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(file, weights_only=False)]  # noqa: S301
    for one in copies:
        assert type(one) is type(layer) and torch.equal(one(x)[0].data, expected)
        assert not {p.data_ptr() for p in one.parameters()} & {p.data_ptr() for p in layer.parameters()}
    assert len(padded_runs) == 4


def test_hooks_replaced_weights_and_parametrizations_act_on_packed_input(padded_runs: list[int]) -> None:
    theirs, ours = pair("GRU", 3, 4)
    x, seen = packed([3, 7, 5, 6], torch.float32), []
    handle = ours.register_forward_hook(lambda module, given, result: seen.append(result[0]))
    weights = {name: torch.randn_like(value) for name, value in theirs.named_parameters()}
    one, other = (torch.func.functional_call(module, weights, (x,))[0].data for module in (ours, theirs))
    torch.testing.assert_close(one, other)
    assert len(seen) == 1
    handle.remove()
    for module in (ours, theirs):
        nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
        module.parametrizations.weight_hh_l0.original0.data.fill_(0.5)
    torch.testing.assert_close(ours(x)[0].data, theirs(x)[0].data)
    assert isinstance(ours, recurra.nn.GRU) and len(padded_runs) == 2


def test_autocast_gives_torchs_dtypes_and_values(padded_runs: list[int]) -> None:
    theirs, ours = pair("LSTM", 3, 4)
    x = packed([3, 7], torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (one, end), (other, last) = ours(x), theirs(x)
    assert one.data.dtype == other.data.dtype and torch.equal(one.data, other.data)
    assert torch.equal(end[0], last[0]) and not padded_runs


def test_forward_mode_derivatives_go_where_torchs_packed_kernels_have_them(padded_runs: list[int]) -> None:
    from torch.autograd import forward_ad

    theirs, ours = pair("LSTM", 3, 4)
    x = packed([3, 7], torch.float32)
    tangents = []
    for module in (ours, theirs):
        with forward_ad.dual_level():
            outputs, _ = module(x._replace(data=forward_ad.make_dual(x.data, torch.ones_like(x.data))))
            tangents.append(forward_ad.unpack_dual(outputs.data).tangent)
    torch.testing.assert_close(*tangents)
    assert not padded_runs


def test_gradients_by_functional_transforms_equal_torchs() -> None:
    """On padded input: torch's packed kernels have none, and the drop-ins leave packed input there to them."""
    theirs, ours = pair("GRU", 3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)

    def loss(module: nn.Module) -> Any:
        return lambda weights: torch.func.functional_call(module, weights, (x,))[0].sin().sum()

    one, other = (torch.func.grad(loss(module))(dict(module.named_parameters())) for module in (ours, theirs))
    assert difference(one, other) <= 1e-10


def test_vmap_over_weights_does_as_torch_does() -> None:
    """Torch has a rule for the cells, and none for the layers: the drop-ins neither gain nor lose one."""
    cell = recurra.nn.GRUCell(3, 4)
    weights = {name: torch.stack([value, 2 * value]) for name, value in cell.named_parameters()}
    x, h = torch.randn(5, 3), torch.randn(5, 4)
    many = torch.vmap(lambda w: torch.func.functional_call(cell, w, (x, h)))(weights)
    twice = torch.func.functional_call(cell, {name: value[1] for name, value in weights.items()}, (x, h))
    torch.testing.assert_close(many[1], twice)
    theirs, ours = pair("LSTM", 3, 4)
    data, sizes = torch.randn(2, 5, 3), torch.tensor([2, 2, 1])
    for module in (theirs, ours):
        with pytest.raises(RuntimeError, match="Batching rule not implemented for aten::lstm"):
            torch.vmap(lambda one, m=module: m(PackedSequence(one, sizes))[0].data)(data)


class Padded(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Packed(Padded):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(pack_padded_sequence(x, torch.tensor([5, 2])))[0].data


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", [*KINDS, *CELLS])
def test_torchscript_compiles_torchs_own_class_on_the_same_weights(kind: str) -> None:
    theirs, ours = pair(kind, 3, 4)
    x = torch.randn(2, 3) if kind in CELLS else torch.randn(5, 2, 3)
    torch.testing.assert_close(torch.jit.script(Padded(ours))(x), Padded(theirs)(x))
    if kind in KINDS:
        torch.testing.assert_close(torch.jit.script(Packed(ours))(x), Packed(theirs)(x))
        torch.testing.assert_close(torch.jit.trace(ours, x)(x)[0], theirs(x)[0])
    assert type(ours) is getattr(recurra.nn, kind)


@pytest.mark.parametrize("kind", [*KINDS, *CELLS])
def test_compile_export_and_fx_take_a_drop_in_as_they_take_torchs(kind: str, padded_runs: list[int]) -> None:
    theirs, ours = pair(kind, 3, 4)
    x = torch.randn(2, 3) if kind in CELLS else torch.randn(5, 2, 3)
    expected = leaves(theirs(x))[0]
    torch.testing.assert_close(leaves(torch.compile(ours, backend="eager")(x))[0], expected)
    torch.testing.assert_close(leaves(torch.export.export(ours, (x,)).module()(x))[0], expected)
    graph = torch.fx.symbolic_trace(nn.Sequential(ours))
    torch.testing.assert_close(leaves(graph(x))[0], expected)
    if kind in KINDS:
        p = packed([3, 7], torch.float32)
        compiled, _ = torch.compile(ours, backend="eager")(p)
        torch.testing.assert_close(compiled.data, theirs(p)[0].data)


@pytest.mark.parametrize("kind", KINDS)
def test_padded_and_unbatched_input_goes_to_torchs_kernel_untouched(kind: str, padded_runs: list[int]) -> None:
    theirs, ours = pair(kind, 3, 4, batch_first=True)
    for x in (torch.randn(2, 5, 3), torch.randn(5, 3)):
        assert torch.equal(ours(x)[0], theirs(x)[0])
    assert not padded_runs


def test_another_default_device_does_not_lead_the_padded_pass_astray(padded_runs: list[int]) -> None:
    theirs, ours = pair("LSTM", 3, 4, bidirectional=True)
    x = packed([3, 7, 5, 6], torch.float32)
    with torch.device("meta"):
        found, end = ours(x)
    expected, last = theirs(x)
    torch.testing.assert_close((found.data, *end), (expected.data, *last))
    assert padded_runs
