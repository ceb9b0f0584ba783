"""Attention: each score against its formula, masks, many queries at once, and memories without a step."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.errors import SettingsError, ShapeError
from recurra.nn import Attention
from recurra.state import select

KINDS: list[dict[str, Any]] = [
    {"kind": "additive"},
    {"kind": "additive", "attention_size": 5},
    {"kind": "dot", "key_size": 4},
    {"kind": "dot", "key_size": 4, "scaled": True},
    {"kind": "general"},
    {"kind": "general", "scaled": True},
    {"kind": "concat"},
    {"kind": "concat", "attention_size": 5},
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda k: "-".join(map(str, k.values())))


def build(kind: dict[str, Any]) -> Attention:
    torch.manual_seed(0)
    options = {"key_size": 3, **kind}
    return Attention(options.pop("kind"), 4, **options).double()


def by_hand(attention: Attention, query: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """One query [Q] and one memory [S, K], step by step, as the papers write it."""
    weights = dict(attention.named_parameters())
    scores = []
    for step in values:
        if attention.kind == "additive":
            under = weights["query.weight"] @ query + weights["query.bias"] + weights["key.weight"] @ step
            score = weights["energy.weight"][0] @ torch.tanh(under)
        elif attention.kind == "concat":
            score = weights["energy.weight"][0] @ torch.tanh(weights["joint.weight"] @ torch.cat([query, step]))
        elif attention.kind == "general":
            score = query @ (weights["key.weight"] @ step)
        else:
            score = query @ step
        scores.append(score / math.sqrt(4) if attention.scaled else score)
    share = torch.stack(scores).softmax(0)
    return share @ values, share


@every_kind
def test_each_score_is_that_of_its_paper(kind: dict[str, Any]) -> None:
    attention = build(kind)
    generator = torch.Generator().manual_seed(1)
    query = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    values = torch.randn(3, 6, attention.key_size, dtype=torch.float64, generator=generator)
    lengths = torch.tensor([6, 1, 4])
    poisoned = values.clone()
    for row, length in enumerate(lengths.tolist()):
        poisoned[row, length:] = torch.nan
    context, weights = attention(query, attention.memory(poisoned, lengths))
    for row, length in enumerate(lengths.tolist()):
        expected, share = by_hand(attention, query[row], values[row, :length])
        torch.testing.assert_close(context[row], expected)
        torch.testing.assert_close(weights[row, :length], share)
        assert weights[row, length:].eq(0).all()


@every_kind
def test_many_steps_at_once_are_the_steps_one_by_one_in_values_and_gradients(kind: dict[str, Any]) -> None:
    attention = build(kind)
    query = torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True)
    values = torch.randn(3, 6, attention.key_size, dtype=torch.float64, requires_grad=True)
    memory = attention.memory(values, torch.tensor([2, 6, 0]))
    together = attention(query, memory)
    one_by_one = [torch.stack(parts, 1) for parts in zip(*(attention(q, memory) for q in query.unbind(1)), strict=True)]
    inputs = [query, values, *attention.parameters()]
    found = []
    for context, weights in (together, one_by_one):
        total = (context * torch.arange(context.numel()).view_as(context).sin()).sum() + weights.square().sum()
        found.append([context, weights, *torch.autograd.grad(total, inputs, retain_graph=True)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@every_kind
def test_a_memory_without_a_step_gives_zeros_and_finite_gradients(kind: dict[str, Any]) -> None:
    attention = build(kind)
    values = torch.full((2, 3, attention.key_size), torch.nan, dtype=torch.float64, requires_grad=True)
    query = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    context, weights = attention(query, attention.memory(values, torch.tensor([0, 0])))
    assert context.eq(0).all() and weights.eq(0).all()
    gradients = torch.autograd.grad(context.sum() + weights.sum(), [query, values, *attention.parameters()])
    assert all(g.eq(0).all() for g in gradients)
    context, weights = attention(query, attention.memory(values[:, :0]))
    assert context.eq(0).all() and context.shape == (2, attention.key_size) and weights.shape == (2, 0)
    context, weights = attention(query[:0], attention.memory(values[:0]))
    assert context.shape == (0, attention.key_size) and weights.shape == (0, 3)


@every_kind
def test_queries_side_by_side_share_a_row_of_the_memory(kind: dict[str, Any]) -> None:
    attention = build(kind)
    query = torch.randn(6, 4, dtype=torch.float64)
    memory = attention.memory(torch.randn(2, 5, attention.key_size, dtype=torch.float64), torch.tensor([3, 5]))
    shared = attention(query, memory)
    own = attention(query, select(memory, torch.tensor([0, 0, 0, 1, 1, 1])))
    for ours, theirs in zip(shared, own, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_additive_and_concat_are_one_score_but_for_the_bias() -> None:
    additive, concat = build({"kind": "additive"}), build({"kind": "concat"})
    with torch.no_grad():
        additive.query.bias.zero_()
        concat.joint.weight.copy_(torch.cat([additive.query.weight, additive.key.weight], 1))
        concat.energy.weight.copy_(additive.energy.weight)
    query, values = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(concat(query, concat.memory(values)), additive(query, additive.memory(values)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("dit", 4, 4), "attention: 'dit' is not known; did you mean 'dot'?"),
        (("dot", 4, 3), "'dot' multiplies a query of 4 features with keys of 3; make them equal, or give 'general'"),
        (("general", 4, 3, 7), "attention_size: it is for 'additive' and 'concat', and attention is 'general'"),
        (("additive", 0, 3), "query_size: 0 is below 1"),
    ],
)
def test_what_cannot_be_is_refused(options: tuple[Any, ...], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Attention(*options)
    assert message in str(caught.value)


def test_a_scale_that_would_do_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="scaled: it is for 'dot' and 'general'"):
        Attention("additive", 4, 3, scaled=True)


def test_a_query_that_does_not_fit_the_memory_is_refused() -> None:
    attention = build({"kind": "general"})
    memory = attention.memory(torch.randn(2, 5, 3, dtype=torch.float64))
    for shape in ((3, 4), (2, 5), (3, 1, 4), (2, 1, 3)):
        with pytest.raises(ShapeError, match="as the memory has 2 rows"):
            attention(torch.randn(shape, dtype=torch.float64), memory)
    with pytest.raises(ShapeError, match=r"expected \[B, S, 3\] \(key_size\)"):
        attention.memory(torch.randn(2, 5, 4))
