"""Two problems that need memory and nothing else: adding, and copying; each row drawn anew.

Adding (Hochreiter and Schmidhuber, 1997): a row of numbers uniform in [0, 1], two of them marked, one in each half; the
answer is the sum of the two. Answering 1 every time has a squared error of 1/6.

Copying (the same; as Arjovsky et al., 2016, put it): symbols, a pause, a signal, then the symbols again, in order. A
guess among S symbols is right once in S.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GUESS_ERROR = 1 / 6  # the variance of the sum of two numbers uniform in [0, 1]


def draw_adding(rows: int, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch of the adding problem.

    Args:
        rows: B.
        steps: T, 2 or more.
        generator: where it is drawn.

    Returns:
        x [B, T, 2], the numbers and the marks; the sums [B].
    """
    x = torch.zeros(rows, steps, 2)
    x[..., 0] = torch.rand(rows, steps, generator=generator)
    half = steps // 2
    for begin in (0, half):
        x[torch.arange(rows), begin + torch.randint(half, (rows,), generator=generator), 1] = 1.0
    return x, (x[..., 0] * x[..., 1]).sum(1)


def draw_copying(
    rows: int, pause: int, generator: torch.Generator, symbols: int = 8, copied: int = 10
) -> tuple[Tensor, Tensor]:
    """A batch of the copying problem.

    Args:
        rows: B.
        pause: steps between the last symbol given and the first one said, 1 or more; the signal is the last of them.
        generator: where it is drawn.
        symbols: S to choose from.
        copied: symbols in a row (K).

    Returns:
        x [B, pause + 2 K, S + 2], one of the symbols, nothing, or the signal; what is to be said at each step
        [B, pause + 2 K]: S (nothing), and the symbols at the last K.
    """
    nothing, signal = symbols, symbols + 1
    drawn = torch.randint(symbols, (rows, copied), generator=generator)
    given = torch.full((rows, pause + 2 * copied), nothing)
    said = given.clone()
    given[:, :copied], given[:, -copied - 1], said[:, -copied:] = drawn, signal, drawn
    return F.one_hot(given, symbols + 2).float(), said


def adding_share(answers: Tensor, sums: Tensor) -> float:
    """The share of the best possible score: 1 for the sums, 0 for answering 1 always, below 0 for worse.

    Args:
        answers, sums: [B].
    """
    return 1 - float(F.mse_loss(answers.double(), sums.double())) / GUESS_ERROR


def copying_share(logits: Tensor, said: Tensor, symbols: int) -> float:
    """The share of the best possible score: 1 for every symbol right, 0 for a guess.

    Args:
        logits: [B, K, S + 2] of the steps at which symbols are said.
        said: [B, K].
        symbols: S.
    """
    right = float((logits.argmax(-1) == said).double().mean())
    return (right - 1 / symbols) / (1 - 1 / symbols)
