"""Recurrent weights of bfloat16 in the native chains, as under autocast: the bits of float32 with rounded weights."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from torch import Tensor

from recurra.cells import CELLS, ProjectedCell
from recurra.engines import run
from recurra.engines.native.arrangement import arrange
from recurra.engines.native.kernels import kernel_of
from recurra.engines.native.library import Library
from recurra.errors import ShapeError
from recurra.nn import Recurrent
from tests.engines.chains import along

KINDS = ("rnn", "rnn_relu", "gru", "lstm", "lstm_peephole", "lstm_layernorm", "gru_layernorm", "lstm_projection")
UNIT_BY_UNIT = ("indrnn", "mingru")
SHAPES = [
    (2, 1),
    (33, 2),
    (40, 5),
    (70, 13),
    (64, 30),
]  # hidden, batch: pairs of weights, blocks and tiles, whole and cut


def chain_of(kind: str, hidden: int, rows: int, lengths: Tensor | None, cast: bool) -> list[Tensor]:
    """Outputs, ends, gradients of the input, the state and the weights of a chain over 4 steps.

    cast: matrices are of bfloat16; else of float32, rounded as those.
    """
    torch.manual_seed(hidden)
    cell = CELLS[kind](3, hidden)
    kernel, arranged = kernel_of(cell), arrange(lengths, rows, 4)
    assert kernel is not None
    state = [torch.randn_like(leaf).requires_grad_() for leaf in cell.initial_state(rows)]
    projected = kernel.project(cell, torch.randn(arranged.total, 3)).detach().requires_grad_()
    weights = [one.detach().clone() for one in kernel.weights(cell)]
    for number in range(kernel.matrices):
        rounded = weights[number].bfloat16()
        weights[number] = rounded if cast else rounded.float()
    for one in weights:
        one.requires_grad_()
    outputs, *ends = along(kernel, arranged, 4, projected, state, weights)
    given = (projected, *state, *weights)
    (outputs.sin().sum() + sum(end.cos().sum() for end in ends)).backward()
    return [outputs.detach(), *(end.detach() for end in ends), *(one.grad for one in given if one.grad is not None)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_those_of_float32_with_rounded_weights_to_the_last_bit(level: str, kind: str) -> None:
    for hidden, rows in SHAPES:
        for lengths in (None, torch.arange(rows) % 5):
            short, long = (chain_of(kind, hidden, rows, lengths, cast) for cast in (True, False))
            for a, b in zip(short, long, strict=True):
                assert torch.equal(a, b.to(a.dtype)), (level, hidden, rows, lengths)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_under_autocast_a_layer_is_the_loop_with_rounded_weights(level: str, kind: str) -> None:
    torch.manual_seed(0)
    layer, x = Recurrent(kind, 3, 33, engine="native"), torch.randn(5, 9, 3)
    cell = layer.layers[0][0].cell
    assert isinstance(cell, ProjectedCell)
    torch.nn.init.zeros_(cell.bias_hh)  # an LSTM's goes with the input's product, which is of bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = layer(x)
        projected = cell.project(x)
    outputs.square().sum().backward()
    found = cell.weight_hh.grad
    exact = cell.weight_hh.detach().clone()
    cell.weight_hh.data = exact.bfloat16().float()
    state, expected = cell.initial_state(5), []
    for t in range(9):
        y, state = cell.advance(projected[:, t].float(), state)
        expected.append(y)
    torch.testing.assert_close(outputs, torch.stack(expected, 1), rtol=1e-4, atol=1e-5)
    cell.weight_hh.grad = None
    torch.stack(expected, 1).square().sum().backward()
    torch.testing.assert_close(found, cell.weight_hh.grad, rtol=2**-8, atol=1e-4)
    cell.weight_hh.data = exact
    full, _ = run(cell, x, cell.initial_state(5), engine="loop")
    torch.testing.assert_close(outputs, full, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("kind", UNIT_BY_UNIT)
def test_weights_that_are_no_matrix_stay_as_they_are(library: Library, kind: str) -> None:
    torch.manual_seed(0)
    layer, x = Recurrent(kind, 3, 5, engine="native"), torch.randn(2, 4, 3)
    cell = layer.layers[0][0].cell
    kernel = kernel_of(cell)
    assert kernel is not None and kernel.matrices == 0
    rows = arrange(None, 2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = layer(x)
        projected = kernel.project(cell, rows.packed(x)).float()
    expected = along(kernel, rows, 4, projected, cell.initial_state(2), kernel.weights(cell))[0]
    assert torch.equal(outputs, expected)


def test_autocast_of_float16_leaves_the_weights_as_they_are(library: Library) -> None:
    torch.manual_seed(0)
    layer, x = Recurrent("gru", 3, 5, engine="native"), torch.zeros(2, 4, 3)
    with torch.no_grad():
        layer.layers[0][0].cell.bias_ih.copy_(torch.arange(15) / 16)  # the same in any precision
        with torch.autocast("cpu", torch.float16):
            outputs, _ = layer(x)
        assert torch.equal(outputs, layer(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_rounds_its_matrices_called_compiled_and_transformed(library: Library, kind: str) -> None:
    torch.manual_seed(0)
    layer, x = Recurrent(kind, 3, 6, engine="native"), torch.zeros(2, 4, 3)  # so the input's product is exact
    for name, parameter in layer.named_parameters():
        if "bias" in name:
            parameter.data = (
                torch.zeros_like(parameter) if "hh" in name else torch.arange(len(parameter)) % 5 / 8 - 0.25
            )
    rounded = copy.deepcopy(layer)
    for name, parameter in rounded.named_parameters():
        if name.endswith(("weight_hh", "weight_hr")):
            parameter.data = parameter.bfloat16().float()

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        outputs: Tensor = torch.func.functional_call(layer, parameters, (x,))[0]
        return outputs.square().sum()

    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = layer(x)
        compiled = torch.compile(lambda x: layer(x)[0], backend="eager", fullgraph=True)(x)
        transformed = torch.func.grad(loss)({name: one.detach() for name, one in layer.named_parameters()})
    expected, _ = rounded(x)
    assert torch.equal(outputs, expected) and torch.equal(compiled, expected)
    assert not torch.equal(expected, layer(x)[0])
    outputs.square().sum().backward()
    expected.square().sum().backward()
    for (name, one), other in zip(layer.named_parameters(), rounded.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0.02, atol=1e-4)
        torch.testing.assert_close(transformed[name], one.grad, rtol=0.02, atol=0.02)  # its products in autocast too


def test_one_matrix_of_two_alone_is_refused(library: Library) -> None:
    cell = CELLS["lstm_projection"](3, 8)
    kernel, rows = kernel_of(cell), arrange(None, 2, 4)
    assert kernel is not None
    up, down = kernel.weights(cell)
    for weights in product((up, up.bfloat16()), (down, down.bfloat16())):
        if weights[0].dtype == weights[1].dtype:
            continue
        with pytest.raises(ShapeError, match=r"is torch.float32 on cpu, expected a dense tensor, torch.bfloat16"):
            along(kernel, rows, 4, torch.randn(8, 32), cell.initial_state(2), weights)
    elementwise = torch.ops.recurra.chain
    with pytest.raises(ShapeError, match=r"the weights are torch.bfloat16, expected"):
        elementwise("IndRNNCell", torch.randn(4, 2, 5), [torch.zeros(2, 5)], [torch.ones(5).bfloat16()], None, False)
