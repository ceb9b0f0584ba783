"""The reader of characters: equal tokens once, and each as if it were alone."""

from __future__ import annotations

import torch

from recurra.nn import CharacterEncoder
from recurra.nn.characters import distinct


def encoder() -> CharacterEncoder:
    torch.manual_seed(0)
    return CharacterEncoder(9, 4, 3).double().eval()


TOKENS = torch.tensor([[[3, 4, 5], [6, 0, 0], [3, 4, 5]], [[6, 0, 0], [0, 0, 0], [0, 0, 0]]])


def test_a_token_is_the_last_hidden_state_forwards_and_backwards() -> None:
    model = encoder()
    found = model(TOKENS)
    assert found.shape == (2, 3, 6)
    forwards, backwards = model.encoder.stack()[0]
    for row, step, token in ((0, 0, [3, 4, 5]), (0, 1, [6]), (1, 0, [6])):
        ends = []
        for direction, order in ((forwards, token), (backwards, token[::-1])):
            state = direction.initial_state(1)
            for character in order:
                y, state = direction.cell.step(model.embedding(torch.tensor([character])), state)
            ends.append(y[0])
        torch.testing.assert_close(found[row, step], torch.cat(ends), rtol=1e-10, atol=1e-12)


def test_padding_is_zero_and_equal_tokens_are_equal() -> None:
    found = encoder()(TOKENS)
    assert not found[1, 1:].any()
    assert torch.equal(found[0, 0], found[0, 2]) and torch.equal(found[0, 1], found[1, 0])


def test_a_token_alone_is_the_token_among_longer_ones() -> None:
    model = encoder()
    torch.testing.assert_close(model(TOKENS[:1, 1:2, :1])[0, 0], model(TOKENS)[0, 1], rtol=1e-12, atol=1e-12)


def test_gradients_reach_every_occurrence() -> None:
    model = encoder().train()
    model(TOKENS).sum().backward()
    gradient = model.embedding.weight.grad
    assert gradient is not None and bool(gradient[[3, 4, 5, 6]].abs().sum(1).gt(0).all()) and not gradient[0].any()


def test_tokens_without_characters_are_answered() -> None:
    assert encoder()(torch.zeros(2, 3, 0, dtype=torch.int64)).shape == (2, 3, 6)
    assert encoder()(torch.zeros(0, 0, 0, dtype=torch.int64)).shape == (0, 0, 6)


def test_distinct_rows_give_the_rows_back() -> None:
    torch.manual_seed(0)
    rows = torch.randint(0, 3, (500, 4))
    found, where = distinct(rows)
    assert torch.equal(found[where], rows)
    assert len(found) == len(torch.unique(rows, dim=0))


def test_rows_that_share_a_key_are_kept_apart() -> None:
    rows = torch.tensor([[1, 0], [0, 1], [1, 0]])
    key = torch.ones(3, 2, dtype=torch.int64)  # what a key that tells nothing would give
    real = torch.unique
    try:
        torch.unique = lambda keys, **options: real(key.sum(1), **options)  # type: ignore[assignment]
        found, where = distinct(rows)
    finally:
        torch.unique = real
    assert torch.equal(found[where], rows)
