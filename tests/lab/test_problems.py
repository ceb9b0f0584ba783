"""The adding and copying problems, and their share of the best possible score."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from recurra.lab.problems import adding_share, copying_share, draw_adding, draw_copying
from recurra.randomness import generator


def test_adding_marks_one_number_in_each_half_and_asks_for_their_sum() -> None:
    x, sums = draw_adding(50, 10, generator("t"))
    assert x.shape == (50, 10, 2)
    assert (x[:, :5, 1].sum(1) == 1).all() and (x[:, 5:, 1].sum(1) == 1).all()
    by_hand = [sum(number for number, mark in row if mark) for row in x.tolist()]
    assert sums.tolist() == pytest.approx(by_hand)
    assert float(x[..., 0].min()) >= 0 and float(x[..., 0].max()) < 1


def test_copying_gives_symbols_waits_signals_and_asks_for_them_in_order() -> None:
    x, said = draw_copying(20, 6, generator("t"), symbols=4, copied=3)
    assert (x.shape, said.shape) == ((20, 12, 6), (20, 12))
    given = x.argmax(-1)
    assert (x.sum(-1) == 1).all()
    assert torch.equal(given[:, :3], said[:, -3:]) and int(given[:, :3].max()) < 4
    assert (given[:, 3:8] == 4).all() and (given[:, 8] == 5).all() and (given[:, 9:] == 4).all()
    assert (said[:, :9] == 4).all()


def test_a_perfect_answer_has_share_1_and_a_guess_0() -> None:
    _, sums = draw_adding(20_000, 4, generator("t"))
    assert adding_share(sums, sums) == 1
    assert adding_share(torch.ones(20_000), sums) == pytest.approx(0, abs=0.03)
    assert adding_share(torch.full((20_000,), 2.0), sums) < 0
    _, said = draw_copying(20_000, 2, generator("t"), symbols=4, copied=3)
    asked = said[:, -3:]
    assert copying_share(F.one_hot(asked, 6).float(), asked, 4) == 1
    one_symbol = F.one_hot(torch.zeros_like(asked), 6).float()
    assert copying_share(one_symbol, asked, 4) == pytest.approx(0, abs=0.01)


def test_half_of_the_error_is_half_of_the_share() -> None:
    sums = torch.tensor([1.0, 1.0])
    assert adding_share(torch.tensor([1.0, 1 + (1 / 6) ** 0.5]), sums) == pytest.approx(0.5)
    logits = F.one_hot(torch.tensor([[0, 1, 0, 1]]), 6).float()
    assert copying_share(logits, torch.tensor([[0, 1, 2, 3]]), 4) == pytest.approx((0.5 - 0.25) / 0.75)
