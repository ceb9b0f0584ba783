"""The native chains as operators: compiled, exported, transformed, under autocast; always the eager call's numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from recurra.engines.native import operators
from recurra.engines.native.kernels import kernel_of
from recurra.engines.native.library import Library
from recurra.errors import SettingsError
from recurra.nn import Recurrent

KINDS = ("gru", "lstm")
OTHERS = ("rnn_relu", "indrnn", "lstm_peephole", "lstm_layernorm", "gru_layernorm", "lstm_projection", "mingru")
LENGTHS = (None, torch.tensor([6, 0, 3, 2]))


@pytest.fixture(autouse=True)
def traced_anew() -> Iterator[None]:
    """What one test compiled is no other's."""
    yield
    torch._dynamo.reset()


def drawn(kind: str, **options: object) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(kind, 3, 5, engine="native", dtype=torch.float64, **options)


def drawn_input() -> Tensor:
    return torch.randn(4, 6, 3, dtype=torch.float64, requires_grad=True)


def arguments(kind: str, keep: bool = True) -> tuple[str, Tensor, list[Tensor], list[Tensor]]:
    """Of the operator, for 4 rows and 6 steps: the kernel's name, projected input, state and weights."""
    cell = drawn(kind).layers[0][0].cell
    kernel = kernel_of(cell)
    assert kernel is not None
    state = [torch.randn_like(leaf).requires_grad_(keep) for leaf in cell.initial_state(4)]
    weights = [one.detach().clone().requires_grad_(keep) for one in kernel.weights(cell)]
    inputs = torch.randn(6, 4, kernel.read(state, weights), dtype=torch.float64, requires_grad=keep)
    return kernel.name, inputs, state, weights


def gradients(layer: nn.Module, x: Tensor, outputs: Tensor) -> tuple[Tensor, ...]:
    weights = torch.arange(outputs.numel(), dtype=outputs.dtype).sin().view_as(outputs)
    return torch.autograd.grad((outputs * weights).sum(), [x, *layer.parameters()])


@pytest.mark.parametrize("lengths", LENGTHS, ids=["equal", "ragged"])
@pytest.mark.parametrize("kind", KINDS + OTHERS)
def test_the_operators_keep_torchs_rules(library: Library, kind: str, lengths: Tensor | None) -> None:
    rules = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(operators.chain, (*arguments(kind), lengths, True), test_utils=rules)
    torch.library.opcheck(operators.chain, (*arguments(kind, False), lengths, False), test_utils=rules)
    name, inputs, state, weights = arguments(kind, False)
    outputs, *ends, kept = operators.chain(name, inputs, state, weights, lengths, True)
    backward = (name, state, weights, lengths, outputs, kept, torch.randn_like(outputs), ends)
    torch.library.opcheck(operators.chain_backward, backward, test_utils=rules[::2])


@pytest.mark.parametrize("lengths", LENGTHS, ids=["equal", "ragged"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_operator_are_those_of_finite_differences(
    library: Library, kind: str, lengths: Tensor | None
) -> None:
    name, inputs, state, weights = arguments(kind)

    def outputs_and_ends(*tensors: Tensor) -> tuple[Tensor, ...]:
        leaves = 1 + len(state)
        outputs, ends = operators.operate(name, tensors[0], tensors[1:leaves], tensors[leaves:], lengths)
        return outputs, *ends

    assert torch.autograd.gradcheck(outputs_and_ends, (inputs, *state, *weights))


@pytest.mark.parametrize("lengths", LENGTHS, ids=["equal", "ragged"])
@pytest.mark.parametrize("kind", (*KINDS, "rnn_relu", "lstm_projection", "mingru"))
def test_a_compiled_layer_gives_the_eager_numbers_in_one_graph(
    library: Library, kind: str, lengths: Tensor | None
) -> None:
    layer, x = drawn(kind, bidirectional=True), drawn_input()

    def run(x: Tensor, lengths: Tensor | None) -> Tensor:
        return layer(x, lengths=lengths)[0]

    eager, compiled = run(x, lengths), torch.compile(run, backend="aot_eager", fullgraph=True)(x, lengths)
    torch.testing.assert_close(compiled, eager)
    for found, expected in zip(gradients(layer, x, compiled), gradients(layer, x, eager), strict=True):
        torch.testing.assert_close(found, expected)


def test_wrong_lengths_are_refused_when_a_compiled_layer_runs(library: Library) -> None:
    layer, x = drawn("gru"), drawn_input()
    run = torch.compile(lambda lengths: layer(x, lengths=lengths)[0], backend="eager", fullgraph=True)
    with pytest.raises(RuntimeError, match="Recurrent: lengths lie outside 0 to the steps"):
        run(torch.tensor([7, 1, 1, 1]))


def test_an_exported_layer_runs_for_other_lengths_and_batches(library: Library) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = drawn("lstm")

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            outputs: Tensor = self.layer(x, lengths=lengths)[0]
            return outputs

    model, given = Model(), (drawn_input().detach(), LENGTHS[1])
    rows, steps = torch.export.Dim("rows", min=2), torch.export.Dim("steps", min=2)
    with torch.no_grad():
        exported = torch.export.export(model, given, dynamic_shapes=({0: rows, 1: steps}, {0: rows})).module()
        for x, lengths in [given, (torch.randn(2, 9, 3, dtype=torch.float64), torch.tensor([1, 9]))]:
            torch.testing.assert_close(exported(x, lengths), model(x, lengths))


def test_under_autocast_it_computes_in_the_weights_dtype(library: Library) -> None:
    layer = Recurrent("gru", 3, 5, engine="native")
    x = torch.randn(2, 4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = layer(x)
        outputs.sum().backward()
        compiled = torch.compile(lambda x: layer(x)[0], backend="eager", fullgraph=True)(x)
    torch.testing.assert_close(outputs, layer(x)[0], rtol=0.02, atol=0.02)
    torch.testing.assert_close(compiled.float(), outputs.float())
    assert state.layers[0].hidden.dtype == torch.float32 and layer.layers[0][0].cell.weight_hh.grad is not None


@pytest.mark.parametrize("kind", KINDS)
def test_torch_func_differentiates_maps_and_calls_with_other_weights(library: Library, kind: str) -> None:
    layer, x = drawn(kind, bidirectional=True), drawn_input()
    expected = torch.autograd.grad(layer(x)[0].square().sum(), x)[0]
    torch.testing.assert_close(torch.func.grad(lambda x: layer(x)[0].square().sum())(x), expected)
    weights = {name: one.detach() for name, one in layer.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(layer, weights, (x[None],))[0].square().sum()

    rows = x.detach()
    of_each = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, rows)
    for number, row in enumerate(rows):
        alone = torch.func.grad(loss)(weights, row)
        for name in weights:
            torch.testing.assert_close(of_each[name][number], alone[name])
    ensemble = {name: torch.stack([one, 2 * one]) for name, one in weights.items()}
    found = torch.func.vmap(loss, (0, None))(ensemble, rows[0])
    torch.testing.assert_close(found[1], loss({name: 2 * one for name, one in weights.items()}, rows[0]))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda f, x: torch.func.jvp(f, (x,), (x,)), "no forward-mode derivatives"),
        (lambda f, x: torch.func.grad(lambda x: torch.func.grad(f)(x).sum())(x), "first derivatives only"),
        (lambda f, x: torch.func.hessian(f)(x), "no forward-mode derivatives"),
    ],
    ids=["jvp", "grad of grad", "hessian"],
)
def test_derivatives_that_it_does_not_have_are_refused_in_words(
    library: Library, transform: Callable[..., object], message: str
) -> None:
    layer, x = drawn("gru"), drawn_input().detach()
    with pytest.raises(SettingsError, match=f"the native engine .*{message}.*; give engine 'loop'"):
        transform(lambda x: layer(x)[0].square().sum(), x)


def test_forward_mode_and_second_derivatives_are_refused_outside_torch_func_too(library: Library) -> None:
    layer, x = drawn("lstm"), drawn_input()
    with (
        torch.autograd.forward_ad.dual_level(),
        pytest.raises(SettingsError, match="no forward-mode derivatives"),
    ):
        layer(torch.autograd.forward_ad.make_dual(x.detach(), torch.ones_like(x)))
    name, inputs, state, weights = arguments("gru")
    outputs, _ = operators.operate(name, inputs, state, weights, None)
    (given,) = torch.autograd.grad(outputs.sum(), inputs, create_graph=True)
    with pytest.raises(SettingsError, match="first derivatives only"):
        given.sum().backward()


def test_a_chain_traced_without_gradients_says_so(library: Library) -> None:
    name, inputs, state, weights = arguments("gru")
    outputs, *_ = operators.chain(name, inputs, state, weights, None, False)
    with pytest.raises(SettingsError, match="traced without gradients"):
        outputs.sum().backward()


def test_an_unknown_chain_is_refused_by_name(library: Library) -> None:
    _, inputs, state, weights = arguments("gru")
    with pytest.raises(SettingsError, match="there is no chain for 'Elman', expected one of GRUCell, LSTMCell"):
        operators.chain("Elman", inputs, state, weights, None, False)
