"""Poolings and SequenceModel: the same answer whole, in chunks, step by step and padded."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recurra.errors import NotStreamable, SettingsError
from recurra.laws import difference
from recurra.models import SequenceModel
from recurra.nn import TokenEmbedding, make_pooling

KINDS = ["last", "mean", "max", "attention", "mean+max+last+attention"]


@pytest.mark.parametrize("kind", KINDS)
@given(rows=st.integers(0, 4), steps=st.integers(0, 7), cut=st.integers(0, 7), seed=st.integers(0, 999))
def test_a_pooling_in_chunks_equals_the_whole_and_never_reads_padding(
    kind: str, rows: int, steps: int, cut: int, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    pooling = make_pooling(kind, 6).double()
    x = torch.randn(rows, steps, 6, dtype=torch.float64, generator=draw)
    lengths = torch.randint(0, steps + 1, (rows,), generator=draw)
    x[torch.arange(steps) >= lengths[:, None]] = torch.nan
    x.requires_grad_()
    whole, end = pooling(x, lengths)
    cut = min(cut, steps)
    _, middle = pooling(x[:, :cut], lengths.clamp(max=cut))
    chunked, same = pooling(x[:, cut:], (lengths - cut).clamp(min=0), middle)
    assert difference((chunked, same), (whole, end)) < 1e-10
    assert not bool(whole[lengths == 0].any())
    if not rows or not steps:
        return
    one, other = (torch.autograd.grad(y.sin().sum(), x, retain_graph=True)[0] for y in (chunked, whole))
    assert difference(one, other) < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_a_pooling_of_one_row_is_what_its_name_says(kind: str) -> None:
    x = torch.randn(1, 5, 6)
    expected = {"last": x[:, -1], "mean": x.mean(1), "max": x.amax(1)}
    pooled, _ = make_pooling(kind, 6)(x)
    if kind in expected:
        torch.testing.assert_close(pooled, expected[kind])
    elif kind == "attention":
        pooling = make_pooling(kind, 6)
        scores = pooling.query(torch.tanh(pooling.hidden(x)))
        torch.testing.assert_close(pooling(x)[0], (scores.softmax(1) * x).sum(1))
    else:
        torch.testing.assert_close(pooled[:, :18], torch.cat([expected[k] for k in ("mean", "max", "last")], 1))


def test_the_last_of_two_directions_is_not_the_last_column() -> None:
    outputs = torch.arange(12.0).view(1, 3, 4)
    pooled, _ = make_pooling("last", 4, bidirectional=True)(outputs, torch.tensor([2]))
    assert pooled.tolist() == [[4.0, 5.0, 2.0, 3.0]]  # forward half of step 1, backward half of step 0


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(SettingsError, match="did you mean 'mean'"):
        make_pooling("maen", 4)
    with pytest.raises(SettingsError, match="names one kind twice"):
        make_pooling("max+max", 4)


@pytest.mark.parametrize("pool_inputs", [False, True])
@pytest.mark.parametrize("pooling", KINDS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "feedforward"])
def test_a_model_streams_to_the_logits_it_gives_at_once(cell: str, pooling: str, pool_inputs: bool) -> None:
    model = SequenceModel(cell, 3, 4, 2, num_layers=2, dropout=0.1, pooling=pooling, pool_inputs=pool_inputs)
    model = model.double().eval()
    x = torch.randn(5, 9, 3, dtype=torch.float64)
    whole, end = model(x)
    state = None
    for t in range(9):
        logits, state = model.step(x[:, t], state)
    assert difference((logits, state), (whole, end)) < 1e-10
    _, half = model(x[:, :4])
    assert difference(model(x[:, 4:], half), (whole, end)) < 1e-10
    assert difference(model(x[0])[0], whole[0]) < 1e-10


@pytest.mark.parametrize("kind", ["last", "mean", "max"])
def test_pooled_inputs_stand_behind_the_pooled_outputs(kind: str) -> None:
    model = SequenceModel("lstm", 3, 4, 2, bidirectional=True, pooling=kind, pool_inputs=True)
    x, lengths = torch.randn(2, 6, 3), torch.tensor([6, 2])
    outputs, _ = model.encoder(x, lengths=lengths)
    above, _ = make_pooling(kind, 8, bidirectional=True)(outputs, lengths)
    below, _ = make_pooling(kind, 3)(x, lengths)
    torch.testing.assert_close(model(x, lengths=lengths)[0], model.head(torch.cat([above, below], -1)))


def test_ten_pads_do_not_move_a_bidirectional_answer() -> None:
    model = SequenceModel("lstm", 3, 4, 2, bidirectional=True).double()
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    padded = torch.cat([x, torch.full((2, 10, 3), torch.nan, dtype=torch.float64)], 1)
    assert difference(model(padded, lengths=torch.tensor([6, 6]))[0], model(x)[0]) < 1e-10


def test_a_bidirectional_model_takes_no_state() -> None:
    model = SequenceModel("lstm", 3, 4, 2, bidirectional=True)
    _, state = model(torch.randn(2, 6, 3))
    with pytest.raises(NotStreamable):
        model(torch.randn(2, 6, 3), state)


def test_the_model_of_courses_equals_its_torch_listing() -> None:
    """LSTM(10, 20, 2 layers) → Linear(20, 5) on the last step: input (3, 15, 10) → logits (3, 5)."""
    ours = SequenceModel("lstm", 10, 20, 5, num_layers=2, dropout=0.2).eval()
    lstm, head = nn.LSTM(10, 20, 2, batch_first=True, dropout=0.2).eval(), nn.Linear(20, 5)
    for number, directions in enumerate(ours.encoder.layers):
        for name, value in directions[0].cell.named_parameters():
            getattr(lstm, f"{name}_l{number}").data = value.data
    head.load_state_dict(ours.head.state_dict())
    x = torch.randn(3, 15, 10)
    logits, _ = ours(x)
    assert logits.shape == (3, 5)
    torch.testing.assert_close(logits, head(lstm(x)[0][:, -1]))


def test_frontends_put_zeros_on_padding_after_training_too() -> None:
    embedding = TokenEmbedding(5, 3, ngram_buckets=7)
    optimiser = torch.optim.AdamW(embedding.parameters(), lr=0.1, weight_decay=0.5)
    token, ngrams = (
        torch.tensor([[1, 2, 0], [3, 0, 0]]),
        torch.tensor([[[1, 2], [3, 0], [0, 0]], [[4, 5], [0, 0], [0, 0]]]),
    )
    for _ in range(3):
        optimiser.zero_grad()
        embedding((token, ngrams)).sum().backward()
        optimiser.step()
    assert bool((embedding((token, ngrams))[token == 0] == 0).all())
    assert bool((embedding((token, ngrams))[token != 0] != 0).any())
