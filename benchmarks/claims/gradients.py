"""Claims about gradients: clipping, gates, biases, one step, paths through layers and through time."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claims.measured import ROUNDING, Measured, distance, geometric_mean, number
from recurra.cells import Cell
from recurra.nn import Recurrent

HIDDEN = 64


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
    torch_kinds = {"RNN": (nn.RNN, None), "GRU": (nn.GRU, None), "LSTM": (nn.LSTM, None)}
    kinds = torch_kinds | {f"LSTM, forget bias {bias}": (nn.LSTM, float(bias)) for bias in (1, 5)}
    shares = {
        name: geometric_mean([_first_to_last(kind, bias, steps, seed) for seed in range(seeds)])
        for name, (kind, bias) in kinds.items()
    }
    named = "; ".join(f"{name} {number(share)}" for name, share in shares.items())
    seen = (
        f"gradient of the last output by the first of {steps} steps over that by the last, torch's initialisation: "
        f"{named}"
    )
    plain, held = max(shares[name] for name in torch_kinds), shares["LSTM, forget bias 5"]
    holds = plain < 1e-3 and shares["LSTM, forget bias 1"] > 100 * plain and held > shares["LSTM, forget bias 1"]
    return Measured(seen, holds, {"steps": steps, "seeds": seeds, "share": shares})


def _first_to_last(kind: type[nn.RNNBase], forget_bias: float | None, steps: int, seed: int) -> float:
    """In double precision, of one row."""
    torch.manual_seed(seed)
    layer = kind(HIDDEN, HIDDEN, batch_first=True).double()
    if forget_bias is not None:
        with torch.no_grad():
            layer.bias_ih_l0[HIDDEN : 2 * HIDDEN] = forget_bias  # i, f, g, o
            layer.bias_hh_l0[HIDDEN : 2 * HIDDEN] = 0.0
    x = torch.randn(1, steps, HIDDEN, dtype=torch.float64, requires_grad=True)
    return _share(x, layer(x)[0][:, -1])


def _share(x: Tensor, last: Tensor) -> float:
    """‖∂Σ last / ∂x₁‖ over ‖∂Σ last / ∂x_T‖."""
    (gradient,) = torch.autograd.grad(last.sum(), x)
    return float(gradient[0, 0].norm() / gradient[0, -1].norm())


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
    stacks = {"plain": {}, "residual": {"residual": True}, "dilated": {"dilation": dilation}}
    through_time, through_layers = {}, {}
    for name, options in stacks.items():
        time, depth = [], []
        for seed in range(seeds):
            torch.manual_seed(seed)
            stack = Recurrent("rnn", HIDDEN, HIDDEN, layers, initialization="torch", dtype=torch.float64, **options)
            x = torch.randn(1, steps, HIDDEN, dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad(stack(x)[0][:, -1].sum(), x)
            time.append(float(gradient[0, 0].norm()))
            depth.append(float(gradient[0, -1].norm()))
        through_time[name] = geometric_mean([one / last for one, last in zip(time, depth, strict=True)])
        through_layers[name] = geometric_mean(depth)
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
