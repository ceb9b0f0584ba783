"""The gradient over distance: how much the last output of a layer depends on what it read so many steps before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.cells import GatedCell
from recurra.errors import SettingsError
from recurra.nn import Recurrent
from recurra.randomness import generator, seed_of
from recurra.settings.names import Initialization
from recurra.training.devices import forked_generators, seed_generators

CPU = torch.device("cpu")
CLIPPED_TO = 0.1  # of the norm, or of the largest entry: low enough to act


@dataclass(frozen=True)
class Stack:
    """A layer stack to measure.

    forget_bias: what the bias of every forget gate is set to, both of torch's biases together; None: as the
        initialization leaves it.
    dilation: one for all layers, or one for each.
    """

    name: str
    cell: str
    forget_bias: float | None = None
    num_layers: int = 1
    residual: bool = False
    dilation: int | tuple[int, ...] = 1


def make_stack(stack: Stack, input_size: int, hidden_size: int, initialization: Initialization, seed: int) -> Recurrent:
    """Fresh layers in double precision, whose weights the seed decides: what comes out at 1e-30 is no rounding.

    Raises:
        SettingsError: a forget bias for a cell without that gate.
    """
    with forked_generators(CPU):
        seed_generators(CPU, seed_of("lab", seed))
        layer = Recurrent(
            stack.cell,
            input_size,
            hidden_size,
            stack.num_layers,
            residual=stack.residual,
            dilation=stack.dilation,
            initialization=initialization,
            dtype=torch.float64,
        )
    if stack.forget_bias is not None:
        for directions in layer.stack():
            set_forget_bias(directions[0].cell, stack.forget_bias)
    return layer


def set_forget_bias(cell: nn.Module, value: float) -> None:
    """Set the bias of a cell's forget gate in place: `bias_ih` to the value, `bias_hh` to 0.

    Raises:
        SettingsError: the cell has no such gate.
    """
    if not isinstance(cell, GatedCell) or "f" not in cell.gates:
        raise SettingsError(f"forget_bias: {type(cell).__name__} has no forget gate; give one to an lstm")
    gate = cell.gates.index("f")
    with torch.no_grad():
        cell.bias_ih.chunk(len(cell.gates))[gate].fill_(value)
        cell.bias_hh.chunk(len(cell.gates))[gate].zero_()


def gradient_by_distance(layer: nn.Module, x: Tensor, directions: Tensor) -> NDArray[np.float64]:
    """The size of the gradient of the last step's output with respect to the input, at each distance.

    At distance d it is |∂(u · y_T) / ∂x_(T−d)| for a direction u of length 1, its root mean square over the rows: with
    directions drawn uniformly, the Frobenius norm of the Jacobian over √output_size.

    Args:
        layer: `layer(x)` gives outputs [B, T, O] first.
        x: [B, T, I].
        directions: u, [B, O], each row of length 1.

    Returns:
        [T], beginning with distance 0, the last step's own input.
    """
    x = x.detach().requires_grad_()
    last = layer(x)[0][:, -1]
    (gradient,) = torch.autograd.grad(last, x, directions)
    sizes: NDArray[np.float64] = gradient.square().sum(-1).mean(0).sqrt().flip(0).double().numpy()
    return sizes


def draw_input(batch_size: int, steps: int, input_size: int, seed: int) -> Tensor:
    """x [B, T, I] of standard normal numbers, in double precision."""
    return torch.randn(batch_size, steps, input_size, dtype=torch.float64, generator=generator("lab", "x", seed))


def draw_directions(batch_size: int, output_size: int, seed: int) -> Tensor:
    """[B, O], each row uniform on the sphere of radius 1."""
    drawn = torch.randn(batch_size, output_size, dtype=torch.float64, generator=generator("lab", "u", seed))
    return nn.functional.normalize(drawn, dim=-1)


def factor_a_step(sizes: NDArray[np.float64], begin: int) -> float:
    """By what the gradient is multiplied a step: a line through the logarithms from distance `begin` on.

    Args:
        sizes: [T] from `gradient_by_distance`; all positive.
        begin: before it the first steps' own way is seen, not the recurrence's.
    """
    distances = np.arange(begin, len(sizes))
    slope = np.polyfit(distances, np.log(sizes[begin:]), 1)[0]
    return float(np.exp(slope))


class Clipped(NamedTuple):
    """A training's gradient before and after clipping.

    cosine: between the two. far_before, far_after: the gradient of the input at a distance over that at distance 0.
    """

    norm_before: float
    norm_after: float
    cosine: float
    far_before: float
    far_after: float


def clip(layer: nn.Module, x: Tensor, target: Tensor, distance: int, by: Literal["norm", "value"]) -> Clipped:
    """Clip the gradient of a training step to a tenth, by norm or by value, and look at what it did.

    The inputs are parameters like the weights, as embeddings are, so that the gradient that trains has a part at each
    distance.

    Args:
        layer: as for `gradient_by_distance`.
        x: [B, T, I].
        target: [B, O], for the squared error of the last output.
        distance: 1 to T − 1.
        by: "norm" scales the whole to a tenth of its norm; "value" bounds each number by a tenth of the largest.
    """
    x = x.detach().clone().requires_grad_()
    parameters = [*layer.parameters(), x]
    for parameter in parameters:
        parameter.grad = None
    torch.autograd.backward(nn.functional.mse_loss(layer(x)[0][:, -1], target))
    before, far_before = _flat(parameters), _far(x, distance)
    if by == "norm":
        nn.utils.clip_grad_norm_(parameters, CLIPPED_TO * float(before.norm()))
    else:
        nn.utils.clip_grad_value_(parameters, CLIPPED_TO * float(before.abs().max()))
    after = _flat(parameters)
    norms = float(before.norm()), float(after.norm())
    return Clipped(*norms, float(before @ after) / (norms[0] * norms[1]), far_before, _far(x, distance))


def _flat(parameters: list[Tensor]) -> Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in parameters if parameter.grad is not None])


def _far(x: Tensor, distance: int) -> float:
    assert x.grad is not None  # backward has run
    return float(x.grad[:, -1 - distance].norm() / x.grad[:, -1].norm())
