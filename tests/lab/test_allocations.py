"""Bytes that are counted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.lab.allocations import kept_for_backward, peak_bytes
from recurra.nn import Recurrent


def test_a_linear_layer_keeps_its_input_and_a_tanh_its_output() -> None:
    x = torch.randn(5, 7)
    assert kept_for_backward(nn.Linear(7, 3), x) == 4 * 5 * 7
    assert kept_for_backward(nn.Sequential(nn.Linear(7, 3), nn.Tanh()), x) == 4 * (5 * 7 + 5 * 3)


def test_what_is_kept_twice_is_counted_once() -> None:
    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x

    assert kept_for_backward(Square(), torch.randn(6, requires_grad=True)) == 4 * 6


def test_an_elman_loop_keeps_its_input_and_each_output() -> None:
    """Of a step tanh keeps its output, which the next product keeps too; the first reads zeros."""
    layer = Recurrent("rnn", 3, 4, engine="loop")
    kept = kept_for_backward(layer, torch.randn(2, 5, 3))
    assert kept == 4 * (2 * 5 * 3 + 5 * 2 * 4 + 2 * 4)


def test_the_peak_of_a_call_is_the_most_it_held_at_once() -> None:
    def call() -> None:
        for _ in range(3):
            first = torch.empty(1000)
            second = torch.empty(500)
            del first, second

    assert peak_bytes(call) == 4 * 1500


def test_views_and_what_was_there_before_are_nothing_new() -> None:
    before = torch.randn(100)
    assert peak_bytes(lambda: before.view(10, 10).t().add_(1)) == 0
    assert peak_bytes(lambda: (before * 2).view(10, 10)[:5].t()) == 4 * 100


def test_inference_does_not_keep_what_training_keeps() -> None:
    layer, x = Recurrent("lstm", 8, 8, engine="loop"), torch.randn(4, 50, 8)
    kept = kept_for_backward(layer, x)
    with torch.no_grad():
        assert 0 < peak_bytes(lambda: layer(x)) < kept
        assert kept_for_backward(layer, x) == 0
