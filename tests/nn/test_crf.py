"""The random field against all paths written out, with the hand's arithmetic and in double precision."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from recurra.data.spans import legal_tags
from recurra.errors import ShapeError
from recurra.nn import ConditionalRandomField, Legal, viterbi

TAGS = 3
LENGTHS = torch.tensor([4, 0, 1, 3])


def field(seed: int = 0) -> tuple[ConditionalRandomField, Tensor]:
    """A field of large random scores, and logits [4, 4, 3] with NaN in the padding."""
    torch.manual_seed(seed)
    crf = ConditionalRandomField(TAGS).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(torch.randn_like(parameter) * 2)
    logits = torch.randn(4, 4, TAGS, dtype=torch.float64) * 2
    for row, length in enumerate(LENGTHS.tolist()):
        logits[row, length:] = torch.nan
    return crf, logits


def score(crf: ConditionalRandomField, logits: Tensor, path: tuple[int, ...]) -> Tensor:
    """The equation, term by term."""
    total = crf.first[path[0]] + crf.last[path[-1]]
    for step, tag in enumerate(path):
        total = total + logits[step, tag]
        if step:
            total = total + crf.following[path[step - 1], tag]
    return total


def paths(length: int) -> list[tuple[int, ...]]:
    return list(product(range(TAGS), repeat=length))


def test_a_likelihood_is_the_score_among_those_of_all_paths() -> None:
    crf, logits = field()
    tags = torch.randint(0, TAGS, (4, 4))
    found = crf.log_likelihood(logits, tags, LENGTHS).detach()
    for row, length in enumerate(LENGTHS.tolist()):
        if not length:
            assert float(found[row]) == 0.0
            continue
        scores = torch.stack([score(crf, logits[row], path) for path in paths(length)])
        own = score(crf, logits[row], tuple(tags[row, :length].tolist()))
        torch.testing.assert_close(found[row], own - scores.logsumexp(0), rtol=1e-12, atol=1e-12)


def test_the_gradients_are_those_of_all_paths_written_out() -> None:
    crf, logits = field(1)
    tags = torch.randint(0, TAGS, (4, 4))
    given = logits.clone().requires_grad_()
    crf.log_likelihood(given, tags, LENGTHS).sum().backward()
    found = {name: one.grad for name, one in crf.named_parameters()} | {"logits": given.grad}
    crf.zero_grad()
    again = logits.clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            scores = torch.stack([score(crf, again[row], path) for path in paths(length)])
            total = total + score(crf, again[row], tuple(tags[row, :length].tolist())) - scores.logsumexp(0)
    total.backward()
    expected = {name: one.grad for name, one in crf.named_parameters()} | {"logits": again.grad}
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12)


def test_gradients_pass_torchs_own_check() -> None:
    crf, logits = field(2)
    logits = logits.nan_to_num().requires_grad_()
    tags = torch.randint(0, TAGS, (4, 4))
    assert torch.autograd.gradcheck(lambda x: crf.log_likelihood(x, tags, LENGTHS), logits)


@pytest.mark.parametrize("seed", range(5))
def test_the_decoded_path_has_the_highest_score_of_all(seed: int) -> None:
    crf, logits = field(seed)
    found = crf.decode(logits, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        best = max(paths(length), key=lambda path: float(score(crf, logits[row], path))) if length else ()
        assert tuple(found[row, :length].tolist()) == best
        assert not found[row, length:].any()


def test_only_legal_paths_are_decoded() -> None:
    names = ["O", "B-X", "I-X"]
    legal = Legal(*legal_tags(names))
    assert legal.first.tolist() == [True, True, False]
    for seed in range(10):
        crf, logits = field(seed)
        found = crf.decode(logits, LENGTHS, legal)
        allowed = [p for p in paths(4) if p[0] != 2 and not any(a == 0 and b == 2 for a, b in zip(p, p[1:]))]  # noqa: B905, RUF007
        assert tuple(found[0].tolist()) == max(allowed, key=lambda p: float(score(crf, logits[0], p)))


def test_without_scores_between_tags_viterbi_takes_each_steps_highest() -> None:
    logits = torch.randn(3, 7, 5)
    assert torch.equal(viterbi(logits, torch.tensor([7, 7, 7])), logits.argmax(-1))


def test_a_row_alone_is_the_row_in_a_batch() -> None:
    crf, logits = field(3)
    tags = torch.randint(0, TAGS, (4, 4))
    together, decoded = crf.log_likelihood(logits, tags, LENGTHS), crf.decode(logits, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = crf.log_likelihood(logits[row : row + 1, :length], tags[row : row + 1, :length])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-12, atol=1e-12)
        assert torch.equal(crf.decode(logits[row : row + 1, :length])[0], decoded[row, :length])


def test_thousands_of_steps_keep_their_digits() -> None:
    crf, _ = field()
    logits = torch.randn(1, 4000, TAGS, dtype=torch.float64) * 5
    tags = torch.randint(0, TAGS, (1, 4000))
    exact = crf.log_likelihood(logits, tags).detach()
    rough = crf.float().log_likelihood(logits.float(), tags).detach()
    assert abs(float(rough) / float(exact) - 1) < 1e-5
    assert crf.decode(logits.float()).shape == (1, 4000)


def test_batches_without_rows_or_steps_are_answered() -> None:
    crf, _ = field()
    for shape in ((0, 4), (2, 0), (0, 0)):
        logits, tags = torch.zeros(*shape, TAGS, dtype=torch.float64), torch.zeros(*shape, dtype=torch.int64)
        assert torch.equal(crf.log_likelihood(logits, tags), torch.zeros(shape[0], dtype=torch.float64))
        assert crf.decode(logits).shape == shape


def test_shapes_that_do_not_fit_are_refused() -> None:
    crf, logits = field()
    with pytest.raises(ShapeError, match=r"logits have shape \[4, 4, 2\], expected \[B, T, 3\]"):
        crf.decode(logits[..., :2])
    with pytest.raises(ShapeError, match=r"tags have shape \[4, 3\], expected \[4, 4\]"):
        crf.log_likelihood(logits, torch.zeros(4, 3, dtype=torch.int64))
    with pytest.raises(ShapeError, match="lengths lie between"):
        crf.decode(logits, torch.tensor([5, 1, 1, 1]))
