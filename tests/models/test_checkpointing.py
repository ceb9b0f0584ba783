"""Checkpointing in time: the same gradients, less memory, and a segment chosen for a budget."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from recurra import laws
from recurra.engines import costs
from recurra.errors import SettingsError
from recurra.models import LanguageModel
from recurra.nn.checkpointing import MB, choose_segment, run_in_segments, saved_bytes

from .test_language_model import VARIANTS, V, build


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))
@pytest.mark.parametrize("segment", [1, 4, 13])
def test_segments_change_no_value_and_no_gradient(variant: dict[str, Any], segment: int) -> None:
    model = build(variant)
    generator = torch.Generator().manual_seed(0)
    tokens, targets = torch.randint(V, (2, 3, 13), generator=generator)
    resets = torch.rand(3, 13, generator=generator) < 0.2
    lengths = torch.tensor([13, 6, 0])
    noise = model.noise(3, generator, steps=13)

    def found(segment: int) -> tuple[Any, ...]:
        loss = model.loss(
            tokens,
            targets,
            lengths=lengths,
            resets=resets,
            noise=noise,
            activation_penalty=0.3,
            slowness_penalty=0.7,
            segment=segment,
        )
        gradients = torch.autograd.grad(loss.nats + loss.penalty, list(model.parameters()), allow_unused=True)
        return loss.nats, loss.targets, loss.penalty, loss.state, list(gradients)

    assert laws.within(laws.difference(found(segment), found(0)), torch.float64)


def test_gradients_reach_the_first_step_and_the_given_state() -> None:
    model = build({"cell": "lstm"}).eval()
    tokens = torch.randint(V, (1, 30))
    targets = torch.full((1, 30), -100)
    targets[0, -1] = 3  # only the last step is scored

    def reach(segment: int) -> Tensor:
        state = model.initial_state(1)
        first = state.encoder.layers[0].cell.requires_grad_()
        loss = model.loss(tokens, targets, state, segment=segment)
        return torch.autograd.grad(loss.nats, first)[0]

    torch.testing.assert_close(reach(7), reach(0), rtol=1e-10, atol=0)
    assert float(reach(7).abs().max()) > 0


def test_a_run_is_called_twice_for_all_segments_but_the_last() -> None:
    calls: list[tuple[int, int]] = []
    weight = torch.tensor(2.0, requires_grad=True)

    def run(start: int, stop: int, state: Tensor) -> tuple[Tensor, Tensor]:
        calls.append((start, stop))
        for _ in range(start, stop):
            state = state * weight
        return state.clone(), state

    results, end = run_in_segments(run, torch.tensor(1.0), 5, 2)
    assert [float(one.detach()) for one in results] == [4.0, 16.0, 32.0] and calls == [(0, 2), (2, 4), (4, 5)]
    end.backward()
    assert calls[3:] == [(2, 4), (0, 2)] and float(weight.grad or 0.0) == 5 * 2**4
    calls.clear()
    with torch.no_grad():
        run_in_segments(run, torch.tensor(1.0), 5, 0)
    assert calls == [(0, 5)]


def test_the_longest_segment_within_the_budget_is_chosen() -> None:
    assert choose_segment(100, 10, 5, 3, 1005) == 0  # all fits
    assert choose_segment(100, 10, 5, 3, 1004) == 99  # 5 + 990 + 1 state of 3 = 998
    assert choose_segment(100, 10, 5, 3, 120) == 7  # 5 + 70 + 14 states of 3 = 117; 8 would need 121
    with pytest.raises(SettingsError, match=r"bptt_memory: 1e-06 MB are too little for 100 steps"):
        choose_segment(100, 10, 5, 3, MB * 1e-6)


def test_what_autograd_keeps_is_counted_once_and_without_the_parameters() -> None:
    weight = torch.ones(100, requires_grad=True)
    x = torch.ones(100)
    assert saved_bytes(lambda: (weight * x, weight * x), apart_from=[weight]) == 400
    assert saved_bytes(lambda: (weight * 2).exp().exp()) == 800
    with torch.no_grad():
        assert saved_bytes(lambda: weight.exp()) == 400


def peak_bytes(model: LanguageModel, tokens: Tensor, segment: int) -> int:
    """The most that torch's allocator had given out at a time during forward and backward."""
    model.zero_grad()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
        model.loss(tokens, tokens, segment=segment).nats.backward()
    results = measured.profiler.kineto_results  # type: ignore[union-attr]
    now = highest = 0
    for event in results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            highest = max(highest, now)
    return highest


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.2, "weight_dropout": 0.3}, {"zoneout": 0.1}])
def test_the_peak_of_the_allocator_stays_within_the_budget_where_the_plain_pass_does_not(
    options: dict[str, Any],
) -> None:
    model = LanguageModel("lstm", 30, 16, 64, **options)
    tokens = torch.randint(30, (4, 600))
    gradients = sum(parameter.nbytes for parameter in model.parameters())
    plain = peak_bytes(model, tokens, 0) - gradients
    budget = plain / 4
    segment = model.segment_length(4, 600, budget / MB)
    assert 10 < segment < 150
    assert budget / 3 < peak_bytes(model, tokens, segment) - gradients <= budget
    assert model.segment_length(4, 600, 2.5 * plain / MB) == 0
    with pytest.raises(SettingsError, match=r"for 600 steps, which need \d"):
        model.segment_length(4, 600, 0.01)


@pytest.mark.parametrize("native_from", [8, 20, 100, 1000])
def test_the_budget_holds_whichever_engine_a_number_of_steps_takes(
    native_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "_native_wins", lambda cell, size, work: work.steps >= native_from)
    model = LanguageModel("lstm", 30, 16, 32)
    tokens = torch.randint(30, (1, 600))
    gradients = sum(parameter.nbytes for parameter in model.parameters())
    budget = (peak_bytes(model, tokens, 0) - gradients) / 2
    segment = model.segment_length(1, 600, budget / MB)
    assert 0 < segment < 600
    assert peak_bytes(model, tokens, segment) - gradients <= budget
