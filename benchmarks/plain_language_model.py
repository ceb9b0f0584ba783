"""A plain PyTorch language model, as one writes it in an afternoon: what `recurra train model` is compared with.

nn.Embedding, one nn.LSTM, nn.Linear; the text in rows side by side, the state carried from window to window; AdamW,
its learning rate falling to zero as a cosine of the time spent, clipping at 1. Nothing of Recurra is imported.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PlainLanguageModel(nn.Module):
    def __init__(self, vocabulary: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        outputs, state = self.lstm(self.embedding(x), state)
        return self.head(outputs), state


def train(
    text: Tensor,
    valid: Tensor,
    vocabulary: int,
    *,
    seconds: float,
    embedding: int,
    hidden: int,
    rows: int,
    window: int,
    lr: float,
    seed: int,
    keep_best: bool,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[PlainLanguageModel, dict[str, float]]:
    """Train for some seconds, evaluations apart.

    Args:
        text, valid: [N] int64.
        keep_best: the loss on validation text is looked at after every epoch, and the lowest is what counts.
        clock: what the seconds are read from.
    """
    torch.manual_seed(seed)
    model = PlainLanguageModel(vocabulary, embedding, hidden)
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, fused=True)
    length = len(text) // rows
    side_by_side = text[: rows * length].view(rows, length)
    spent, steps, best, last = 0.0, 0, math.inf, math.inf
    while spent < seconds:
        state = None
        for first in range(0, length - 1, window):
            began = clock()
            given = side_by_side[:, first : first + window + 1]
            for group in optimiser.param_groups:
                group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * min(1.0, spent / seconds)))
            logits, state = model(given[:, :-1], state)
            state = tuple(part.detach() for part in state)
            loss = F.cross_entropy(logits.flatten(0, 1), given[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            spent, steps = spent + clock() - began, steps + 1
            if spent >= seconds:
                break
        if keep_best or spent >= seconds:
            last = carried(model, valid)
            best = min(best, last)
    return model, {"loss": best if keep_best else last, "steps": steps, "seconds": spent}


@torch.inference_mode()
def carried(model: Callable[..., Any], text: Tensor, window: int = 500) -> float:
    """Nats a symbol of one pass over a text, its first symbol only read."""
    state, total = None, 0.0
    for first in range(0, len(text) - 1, window):
        given = text[first : first + window + 1]
        logits, state = model(given[None, :-1], state)
        total += float(F.cross_entropy(logits[0], given[1:], reduction="sum"))
    return total / (len(text) - 1)


@torch.inference_mode()
def cold(model: Callable[..., Any], text: Tensor, window: int = 256) -> float:
    """Nats a symbol of windows that each begin with a fresh state, as nanoGPT counts them."""
    count = (len(text) - 1) // window
    inputs = text[: count * window].view(count, window)
    targets = text[1 : count * window + 1].view(count, window)
    total = 0.0
    for rows in torch.arange(count).split(64):
        logits, _ = model(inputs[rows])
        total += float(F.cross_entropy(logits.flatten(0, 1), targets[rows].flatten(), reduction="sum"))
    return total / (count * window)
