"""The next token, drawn from its logits: a pure function of the logits and of one number in [0, 1) a row."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recurra.errors import SettingsError, WorkError
from recurra.randomness import seed_of

_PARTS = 2.0**53  # numbers in [0, 1) that a float64 holds at equal distances


def sample(logits: Tensor, draws: Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """A token a row.

    In this order: logits are divided by the temperature; of the k likeliest tokens (the lower id first where they
    tie) the others are left out; of what remains, renormalised, the fewest likeliest tokens are kept whose
    probabilities add up to p or more (Holtzman et al., 2020, "The curious case of neural text degeneration"); and one
    is taken where the running sum of the probabilities, in the order of ids, passes the row's draw.

    Args:
        logits: [B, V]; −∞ is a token that cannot come.
        draws: [B] float64 in [0, 1), as `draw` gives them; a row's token depends on its own alone.
        temperature: 0 takes the likeliest token, the lowest id where several tie.
        top_k: likeliest tokens kept; 0: all.
        top_p: probability kept, in (0, 1].

    Returns:
        [B] int64.

    Raises:
        SettingsError: temperature, top_k or top_p out of range.
        WorkError: a logit is NaN or +∞, or a row has no token that can come.
    """
    check_sampling(temperature, top_k, top_p)
    highest = logits.amax(-1, keepdim=True) if logits.numel() else logits[:, :1]
    if not bool(highest.isfinite().all()):  # the maximum of a row with NaN is NaN
        raise WorkError("sample: the logits are not finite numbers; the weights are damaged, or training diverged")
    if temperature == 0:
        return logits.argmax(-1)
    scores = (logits - highest).double() / temperature  # the likeliest is at 0, however small the temperature
    probabilities = scores.exp()
    if top_k or top_p < 1:
        probabilities = _likeliest(probabilities, top_k, top_p)
    running = probabilities.cumsum(-1)
    total = running[:, -1:]
    reached = torch.minimum(draws.to(running)[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(running, reached, right=True)[:, 0]


def _likeliest(probabilities: Tensor, top_k: int, top_p: float) -> Tensor:
    """The same, zero for tokens that are left out."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    if top_k:
        ordered = ordered[:, :top_k]
    before = ordered.cumsum(-1) - ordered
    ordered = torch.where(before < top_p * ordered.sum(-1, keepdim=True), ordered, 0.0)
    return torch.zeros_like(probabilities).scatter_(-1, order[:, : ordered.shape[1]], ordered)


def check_sampling(temperature: float, top_k: int, top_p: float) -> None:
    """Refuse what is no way to sample.

    Raises:
        SettingsError: naming the option.
    """
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise SettingsError(
            f"temperature: {temperature} is not a number of 0 or more; 0 takes the likeliest symbol, 1 samples as the "
            "model has learned"
        )
    if top_k < 0:
        raise SettingsError(f"top_k: {top_k} is below 0; give the number of likeliest symbols to keep, or 0 for all")
    if not 0 < top_p <= 1:
        raise SettingsError(f"top_p: {top_p} is not in (0, 1]; 1 keeps every symbol")


def check_length(length: int) -> None:
    """Refuse what is no number of symbols to make.

    Raises:
        SettingsError: naming the option.
    """
    if length < 0:
        raise SettingsError(f"length: {length} is below 0; give the number of symbols to make")


def draw(seed: int, counter: int) -> float:
    """A number in [0, 1) decided by seed and counter: the same in every process and on every machine."""
    return (seed_of("draw", seed, counter) >> 10) / _PARTS
