"""Single steps at batch 1: a live session of a layer beside torch.nn over one step and torch's cell function."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.bench.turns import medians
from recurra.engines.single import single_cell
from recurra.errors import WorkError
from recurra.nn import Recurrent, to_torch

STEPS = 200
"""Steps of one measurement."""


def measured_step(cell: str, hidden_size: int, rounds: int) -> dict[str, float]:
    """Median seconds of a step by way: "session", "function" (torch's, of a cell) and "torch" (its layer).

    Args:
        cell: "rnn", "lstm" or "gru"; its input has hidden_size features too.

    Raises:
        WorkError: the numbers differ.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer, x = Recurrent(cell, hidden_size, hidden_size).eval(), torch.randn(1, hidden_size)
    own, session = layer.stack()[0][0].cell, layer.stream()
    theirs = to_torch(layer)

    def of_session() -> Tensor:
        session.reset()
        for _ in range(STEPS):
            y = session.step(x)
        return y.clone()

    def of_cell() -> Tensor:
        state = own.initial_state(1)
        for _ in range(STEPS):
            y, state = single_cell(own, x, state)
        return y

    def of_torch() -> Tensor:
        state, one = None, x[None]
        for _ in range(STEPS):
            y, state = theirs(one, state)
        last: Tensor = y[0]
        return last

    ways = {"session": of_session, "function": of_cell, "torch": of_torch}
    with torch.inference_mode():
        first, *others = (way() for way in ways.values())
        if not all(torch.allclose(first, other, rtol=1e-3, atol=1e-4) for other in others):
            raise WorkError(f"bench: a session of {cell} gives other numbers than torch at hidden_size {hidden_size}")
        return {name: seconds / STEPS for name, seconds in medians(ways, rounds).items()}
