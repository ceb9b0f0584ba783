"""Claims about gradients: clipping, gates, biases, one step, paths through layers and through time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from claims.measured import ROUNDING, Measured, distance, geometric_mean, number
from recurra.cells import Cell
from recurra.lab.gradient import Stack, draw_directions, draw_input, gradient_by_distance, make_stack
from recurra.nn import Recurrent

HIDDEN, ROWS = 64, 8


def clipping() -> Measured:
    """A long gradient and a short one, by norm and by value."""
    by_norm, short, by_value = (
        _clipped(gradient, by) for gradient, by in ((LONG, "norm"), (SHORT, "norm"), (LONG, "value"))
    )
    turned = math.degrees(math.acos(float(F.cosine_similarity(torch.tensor(LONG), by_value, 0))))
    figures = {
        "by_norm": [round(one, 6) for one in by_norm.tolist()],
        "short": [round(one, 6) for one in short.tolist()],
        "by_value": by_value.tolist(),
        "degrees": turned,
    }
    seen = (
        f"to a norm of 1: {_vector(LONG)} → {_vector(figures['by_norm'])}, and {_vector(SHORT)} stays "
        f"{_vector(figures['short'])}; by value to 1: {_vector(LONG)} → {_vector(figures['by_value'])}, turned by "
        f"{turned:.1f}°"
    )
    holds = figures["by_norm"] == [0.6, 0.8] and figures["short"] == list(SHORT) and turned > 1
    return Measured(seen, holds, figures)


LONG, SHORT = (3.0, 4.0), (0.003, 0.004)


def _clipped(gradient: tuple[float, ...], by: str) -> Tensor:
    weight = nn.Parameter(torch.zeros(len(gradient)))
    weight.grad = torch.tensor(gradient)
    nn.utils.clip_grad_norm_(weight, 1.0) if by == "norm" else nn.utils.clip_grad_value_(weight, 1.0)
    return weight.grad


def _vector(values: object) -> str:
    return f"({', '.join(f'{one:g}' for one in values)})"  # type: ignore[attr-defined]


def vanishing(steps: int = 50, seeds: int = 5) -> Measured:
    """The gradient of the last output by the first input, as a share of that by the last; torch's initialisation."""
    kinds = {"RNN": "rnn", "GRU": "gru", "LSTM": "lstm"}
    stacks = [Stack(name, cell) for name, cell in kinds.items()]
    stacks += [Stack(f"LSTM, forget bias {bias}", "lstm", forget_bias=float(bias)) for bias in (1, 5)]
    shares = {stack.name: geometric_mean(_shares(stack, steps, seeds)) for stack in stacks}
    named = "; ".join(f"{name} {number(share)}" for name, share in shares.items())
    seen = (
        f"gradient of the last output by the first of {steps} steps over that by the last, torch's initialisation: "
        f"{named}"
    )
    plain, held = max(shares[name] for name in kinds), shares["LSTM, forget bias 5"]
    holds = plain < 1e-3 and shares["LSTM, forget bias 1"] > 100 * plain and held > shares["LSTM, forget bias 1"]
    return Measured(seen, holds, {"steps": steps, "seeds": seeds, "share": shares})


def _shares(stack: Stack, steps: int, seeds: int) -> list[float]:
    """Of each seed, the gradient at the first step over that at the last."""
    sizes = [_sizes(stack, steps, seed) for seed in range(seeds)]
    return [float(one[-1] / one[0]) for one in sizes]


def _sizes(stack: Stack, steps: int, seed: int) -> NDArray[np.float64]:
    """The gradient's size by distance from the last step, as `recurra lab vanishing-gradient` measures it."""
    layer = make_stack(stack, HIDDEN, HIDDEN, "torch", seed)
    return gradient_by_distance(layer, draw_input(ROWS, steps, HIDDEN, seed), draw_directions(ROWS, HIDDEN, seed))


def one_to_one(rows: int = 32) -> Measured:
    """At T = 1: the gradient of the recurrent weights, and a plain network beside the layer."""
    torch.manual_seed(0)
    x = torch.randn(rows, 1, HIDDEN)
    largest = {}
    for name, kind in (("RNN", nn.RNN), ("LSTM", nn.LSTM), ("GRU", nn.GRU)):
        layer = kind(HIDDEN, HIDDEN, batch_first=True)
        layer(x)[0].square().sum().backward()
        largest[name] = float(layer.weight_hh_l0.grad.abs().max())
    rnn = nn.RNN(HIDDEN, HIDDEN, batch_first=True)
    plain = torch.tanh(F.linear(x[:, 0], rnn.weight_ih_l0, rnn.bias_ih_l0 + rnn.bias_hh_l0))
    apart = distance(rnn(x)[0][:, 0], plain)
    ours = Recurrent("rnn", HIDDEN, HIDDEN)
    ours(x)[0].square().sum().backward()
    largest["ours"] = float(ours.layers[0][0].cell.weight_hh.grad.abs().max())
    named = ", ".join(f"{name} {number(value)}" for name, value in largest.items())
    seen = (
        f"largest gradient of `weight_hh` at one step: {named}; tanh(W x + b), without `weight_hh`, gives the RNN's "
        "outputs "
        f"to {number(apart)}"
    )
    return Measured(seen, not any(largest.values()) and apart < ROUNDING, {"largest": largest, "apart": apart})


def two_biases(steps: int = 12) -> Measured:
    """The gradients of torch's two biases, and where its GRU's reset gate acts."""
    torch.manual_seed(0)
    x = torch.randn(4, steps, HIDDEN)
    apart: dict[str, float] = {}
    for name, kind in (("RNN", nn.RNN), ("LSTM", nn.LSTM), ("GRU", nn.GRU)):
        layer = kind(HIDDEN, HIDDEN, batch_first=True)
        layer(x)[0].square().sum().backward()
        difference = (layer.bias_ih_l0.grad - layer.bias_hh_l0.grad).abs()
        if name == "GRU":
            apart["GRU's r and z"] = float(difference[: 2 * HIDDEN].max())
            apart["GRU's n, which r multiplies"] = float(difference[2 * HIDDEN :].max())
        else:
            apart[name] = float(difference.max())
    gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
    hidden = torch.randn(4, HIDDEN)
    theirs = gru(x[:, :1], hidden[None])[0][:, 0]
    reset = {
        "after": distance(theirs, _gru_step(gru, x[:, 0], hidden, False)),
        "before": distance(theirs, _gru_step(gru, x[:, 0], hidden, True)),
    }
    named = ", ".join(f"{name} {number(value)}" for name, value in apart.items())
    seen = (
        f"largest difference of the two biases' gradients: {named}; torch's GRU is the form that resets after the "
        "product to "
        f"{number(reset['after'])}, and {number(reset['before'])} away from the paper's"
    )
    *equal, other = apart.values()
    holds = max(equal) < ROUNDING < other and reset["after"] < ROUNDING < reset["before"]
    return Measured(seen, holds, {"apart": apart, "reset": reset})


def _gru_step(gru: nn.GRU, x: Tensor, h: Tensor, before: bool) -> Tensor:
    """One step by hand, the reset gate before the matrix product (Cho et al., 2014) or after it (cuDNN)."""
    xr, xz, xn = F.linear(x, gru.weight_ih_l0, gru.bias_ih_l0).chunk(3, -1)
    hr, hz, hn = F.linear(h, gru.weight_hh_l0, gru.bias_hh_l0).chunk(3, -1)
    r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
    if before:
        product = F.linear(r * h, gru.weight_hh_l0[2 * HIDDEN :], gru.bias_hh_l0[2 * HIDDEN :])
    else:
        product = r * hn
    return (1 - z) * (xn + product).tanh() + z * h


class Steps(NamedTuple):
    """fewest [B, 1]: recurrent steps behind the first input."""

    fewest: Tensor


class StepCounter(Cell):
    """Counts recurrent steps: y is the fewest by which the marked input comes here, infinite where none does."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = self.output_size = 1
        self.weight = nn.Parameter(torch.zeros(1))  # none is used; states take their device and dtype from one

    def initial_state(self, batch_size: int) -> Steps:
        return Steps(torch.full((batch_size, 1), math.inf))

    def step(self, x: Tensor, state: Steps) -> tuple[Tensor, Steps]:
        fewest = torch.minimum(x, state.fewest + 1)
        return fewest, Steps(fewest)


def skips(steps: int = 50, layers: int = 4, seeds: int = 5) -> Measured:
    """Residual connections and dilation: recurrent steps on the shortest way, and what arrives of the gradient."""
    dilation = tuple(2**number for number in range(layers))
    marked = torch.full((1, steps, 1), math.inf)
    marked[0, 0] = 0.0
    ways = {
        "plain": int(Recurrent(StepCounter, 1, 1, layers)(marked)[0][0, -1]),
        "dilated": int(Recurrent(StepCounter, 1, 1, layers, dilation=dilation)(marked)[0][0, -1]),
    }
    stacks = {
        "plain": Stack("plain", "rnn", num_layers=layers),
        "residual": Stack("residual", "rnn", num_layers=layers, residual=True),
        "dilated": Stack("dilated", "rnn", num_layers=layers, dilation=dilation),
    }
    through_time = {name: geometric_mean(_shares(stack, steps, seeds)) for name, stack in stacks.items()}
    through_layers = {
        name: geometric_mean([float(_sizes(stack, steps, seed)[0]) for seed in range(seeds)])
        for name, stack in stacks.items()
    }
    seen = (
        f"{layers} layers, from the first of {steps} steps to the last: {ways['plain']} recurrent steps in a plain "
        "stack and "
        f"{ways['dilated']} with dilation {_vector(dilation)}; the first step's gradient over the last's: plain "
        f"{number(through_time['plain'])}, residual {number(through_time['residual'])}, dilated "
        f"{number(through_time['dilated'])}; the gradient through the layers alone: plain "
        f"{number(through_layers['plain'])}, "
        f"residual {number(through_layers['residual'])}"
    )
    more = (
        through_time["dilated"] > 1e3 * through_time["plain"]
        and through_layers["residual"] > 2 * through_layers["plain"]
    )
    skipped = ways["dilated"] < ways["plain"] == steps - 1
    holds = skipped and more and through_time["residual"] < 1e-3 * through_time["dilated"]
    return Measured(
        seen, holds, {"recurrent_steps": ways, "through_time": through_time, "through_layers": through_layers}
    )
