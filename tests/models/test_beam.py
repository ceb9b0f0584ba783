"""Search: the best of all texts by enumeration, greedy as a beam of one, rows that do not know of each other."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.errors import InputError, SettingsError, ShapeError, WorkError
from recurra.models import (
    Found,
    SearchOptions,
    Seq2Seq,
    beam_search,
    greedy_search,
    make_seq2seq,
    sample_search,
    score_targets,
)
from recurra.models.search.rules import largest, repeating
from recurra.state import select

V, BOS, EOS = 5, 1, 2
ids = {"bos_id": BOS, "eos_id": EOS}
MODELS: list[dict[str, Any]] = [
    {"attention": "general"},
    {"attention": "general", "input_feeding": True},
    {"attention": "additive", "cell": "gru"},
    {"attention": "none", "repeat_context": True},
    {"cell": "transformer", "decoder_layers": 2},
    {"cell": "transformer", "attention": "concat"},
]
every_model = pytest.mark.parametrize("options", MODELS, ids=lambda o: "-".join(map(str, o.values())))


def build(options: dict[str, Any], seed: int = 0, vocabulary: int = V) -> Seq2Seq:
    torch.manual_seed(seed)
    given = {"cell": "lstm", **options}
    model = make_seq2seq(given.pop("cell"), 6, vocabulary, 4, 4, encoder_size=3, **given).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # far from uniform, so that hypotheses differ
            parameter.add_(torch.randn_like(parameter), alpha=0.8)
    return model.requires_grad_(False)


def sources(rows: int = 4, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(6, (6, 5), generator=generator)[:rows], torch.tensor([5, 2, 3, 1, 4, 5])[:rows]


def enumerate_texts(
    model: Seq2Seq, row: int, longest: int, options: SearchOptions
) -> list[tuple[float, tuple[int, ...]]]:
    """Every text of at most `longest` tokens, scored as the papers write it; the best first."""
    source, lengths = sources()
    words = [token for token in range(V) if token != EOS and token not in options.without]
    texts = [
        text
        for count in range(options.min_length, longest + 1)
        for text in itertools.product(words, repeat=count)
        if not options.no_repeat_ngram or repeats(text, options.no_repeat_ngram) == 0
    ]
    steps = torch.tensor([len(text) + 1 for text in texts])
    target = torch.tensor([[*text, EOS] + [0] * (longest - len(text)) for text in texts])
    state = select(model.begin(source, lengths), torch.full((len(texts),), row))
    scored = score_targets(model.decoder, state, target, steps, bos_id=BOS)
    found = []
    for number, text in enumerate(texts):
        n = len(text) + 1
        lp = ((5 + n) / 6) ** options.length_penalty if options.length_norm == "gnmt" else n**options.length_penalty
        score = float(scored.log_probability[number]) / lp
        if options.coverage_penalty:
            covered = scored.attention[number, :n, : int(lengths[row])].sum(0).tolist()
            score += options.coverage_penalty * sum(math.log(min(one, 1.0)) for one in covered)
        found.append((score, text))
    return sorted(found, reverse=True)


def repeats(text: tuple[int, ...], size: int) -> int:
    """How many n-grams of a text came before in it."""
    grams = [text[begin : begin + size] for begin in range(len(text) - size + 1)]
    return len(grams) - len(set(grams))


RULES = {
    "plain": SearchOptions(max_length=3),
    "length": SearchOptions(max_length=3, length_penalty=1.0, length_norm="plain"),
    "penalties": SearchOptions(max_length=3, length_penalty=0.6, coverage_penalty=0.4, min_length=1),
    "rules": SearchOptions(max_length=3, no_repeat_ngram=2, min_length=2, without=(0, BOS)),
}


@pytest.mark.parametrize("rule", RULES)
@every_model
def test_a_beam_as_wide_as_the_space_finds_the_best_of_all_texts_in_order(options: dict[str, Any], rule: str) -> None:
    if rule == "penalties" and options.get("attention") == "none":
        rule = "length"
    model, rules = build(options), RULES[rule]
    source, lengths = sources(2)
    found = beam_search(
        model.decoder, model.begin(source, lengths), **ids, beam_size=340, n_best=5, options=rules, stop="certain"
    )
    for row, several in enumerate(found):
        expected = enumerate_texts(model, row, 3, rules)[:5]
        assert [tuple(one.tokens.tolist()) for one in several] == [text for _, text in expected]
        assert [one.score for one in several] == pytest.approx([score for score, _ in expected], rel=1e-9)


@every_model
def test_greedy_is_a_beam_of_one_and_takes_the_likeliest_token_each_time(options: dict[str, Any]) -> None:
    model = build(options)
    source, lengths = sources()
    rules = SearchOptions(max_length=8, no_repeat_ngram=3, min_length=1)
    state = model.begin(source, lengths)
    greedy = greedy_search(model.decoder, state, **ids, options=rules)
    beam = beam_search(model.decoder, state, **ids, beam_size=1, options=rules)
    for one, (other,) in zip(greedy, beam, strict=True):
        same(one, other)
    plain = greedy_search(model.decoder, state, **ids, options=SearchOptions(max_length=8))
    for row, one in enumerate(plain):
        now, token = model.begin(source[row : row + 1], lengths[row : row + 1]), BOS
        for said in [*one.tokens.tolist(), EOS][:8]:
            output, now = model.decoder.step(torch.tensor([token]), now)
            token = int(output.logits.argmax())
            assert token == said


def same(one: Found, other: Found) -> None:
    assert one.tokens.tolist() == other.tokens.tolist()
    assert (one.score, one.log_probability) == pytest.approx((other.score, other.log_probability), rel=1e-9)
    reach = min(one.attention.shape[1], other.attention.shape[1])
    torch.testing.assert_close(one.attention[:, :reach], other.attention[:, :reach], rtol=1e-9, atol=1e-9)
    assert one.attention[:, reach:].eq(0).all() and other.attention[:, reach:].eq(0).all()


@pytest.mark.parametrize("stop", ["enough", "certain"])
@every_model
def test_what_is_found_for_a_source_does_not_depend_on_its_neighbours(options: dict[str, Any], stop: Any) -> None:
    model = build(options)
    source, lengths = sources(6)
    limits = torch.tensor([9, 3, 0, 5, 7, 2])
    rules = SearchOptions(max_length=9, length_penalty=0.6, no_repeat_ngram=3)
    search: dict[str, Any] = {**ids, "beam_size": 3, "n_best": 3, "options": rules, "stop": stop}
    together = beam_search(model.decoder, model.begin(source, lengths), limits=limits, **search)
    for row in range(6):
        state = model.begin(source[row : row + 1, : lengths[row]], None)
        (alone,) = beam_search(model.decoder, state, limits=limits[row : row + 1], **search)
        assert len(alone) == len(together[row])
        for one, other in zip(alone, together[row], strict=True):
            same(one, other)
            assert len(one.tokens) <= int(limits[row])
    order = torch.tensor([3, 5, 1, 0, 4, 2])
    shuffled = beam_search(model.decoder, model.begin(source[order], lengths[order]), limits=limits[order], **search)
    for place, row in enumerate(order.tolist()):
        for one, other in zip(shuffled[place], together[row], strict=True):
            same(one, other)


def test_poor_hypotheses_that_end_early_do_not_end_a_search_whose_best_goes_on() -> None:
    model = build({"attention": "general"})
    shares = torch.tensor([0.8, 0.05, 0.1, 0.03, 0.02]).double()  # of each token, whatever was said: 2 ends
    for parameter in model.parameters():
        parameter.zero_()
    model.decoder.output_bias.copy_(shares.log())
    rules = SearchOptions(max_length=9, length_penalty=1.0)
    ((one,),) = beam_search(model.decoder, model.begin(*sources(1)), **ids, beam_size=2, options=rules)
    assert one.tokens.tolist() == [0] * 9  # an end is among the two best at every step
    assert one.score == pytest.approx((9 * math.log(0.8) + math.log(0.1)) / (15 / 6))


@every_model
def test_forced_decoding_gives_the_score_and_the_attention_of_what_was_found(options: dict[str, Any]) -> None:
    model = build(options)
    source, lengths = sources()
    state = model.begin(source, lengths)
    found = beam_search(model.decoder, state, **ids, beam_size=4, options=SearchOptions(max_length=6))
    texts = [[*one.tokens.tolist(), EOS] for (one,) in found]
    steps = torch.tensor([len(text) for text in texts])
    target = torch.tensor([text + [99] * (7 - len(text)) for text in texts])  # padding is not read
    scored = score_targets(model.decoder, state, target, steps, bos_id=BOS)
    for row, (one,) in enumerate(found):
        assert float(scored.log_probability[row]) == pytest.approx(one.log_probability, rel=1e-9)
        assert one.score == one.log_probability
        torch.testing.assert_close(scored.attention[row, : steps[row]], one.attention, rtol=1e-9, atol=1e-9)
        assert scored.by_token[row, steps[row] :].eq(0).all()


def test_the_n_best_are_different_and_in_order() -> None:
    model = build(MODELS[0])
    source, lengths = sources()
    found = beam_search(model.decoder, model.begin(source, lengths), **ids, beam_size=6, n_best=6)
    for several in found:
        assert len({tuple(one.tokens.tolist()) for one in several}) == 6
        scores = [one.score for one in several]
        assert scores == sorted(scores, reverse=True)


def test_a_wider_beam_that_is_certain_never_finds_worse_than_greedy_would_end() -> None:
    model = build(MODELS[1])
    source, lengths = sources(6)
    state, rules = model.begin(source, lengths), SearchOptions(max_length=6)
    greedy = greedy_search(model.decoder, state, **ids, options=rules)
    wide = beam_search(model.decoder, state, **ids, beam_size=300, options=rules, stop="certain")
    assert all(best.score >= one.score - 1e-12 for one, (best,) in zip(greedy, wide, strict=True))


@pytest.mark.parametrize("vocabulary", [5, 640, 1000, 1279, 6000])
def test_the_largest_of_many_are_those_of_topk(vocabulary: int) -> None:
    scores = torch.randn(7, vocabulary, generator=torch.Generator().manual_seed(vocabulary))
    scores[0, -3:] = 9.0 + torch.arange(3)  # behind the last whole block
    scores[1] = -torch.inf
    scores[1, 4] = 0.0
    for count in (1, 3, 5):
        values, places = largest(scores, count)
        assert torch.equal(values, scores.topk(count).values)
        assert torch.equal(values, scores.gather(1, places))
        assert all(len(set(row)) == count for row in places[[0, 2, 3, 4, 5, 6]].tolist())


def test_no_n_gram_comes_twice_and_lengths_hold() -> None:
    assert repeating(torch.tensor([[1, 2, 1], [3, 3, 3], [0, 1, 2]]), 2, 5).int().tolist() == [
        [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0],
    ]  # fmt: skip
    assert repeating(torch.tensor([[1, 2]]), 1, 4).int().tolist() == [[0, 1, 1, 0]]
    assert repeating(torch.tensor([[1, 2]]), 3, 4).int().tolist() == [[0, 0, 0, 0]]
    model = build(MODELS[0])
    source, lengths = sources(6)
    rules = SearchOptions(max_length=12, min_length=6, no_repeat_ngram=2, without=(BOS,))
    found = beam_search(model.decoder, model.begin(source, lengths), **ids, beam_size=4, n_best=4, options=rules)
    for one in itertools.chain(*found):
        text = one.tokens.tolist()
        assert 6 <= len(text) <= 12 and BOS not in text and EOS not in text
        assert len(set(itertools.pairwise(text))) == len(text) - 1


def test_where_the_rules_leave_nothing_the_end_comes() -> None:
    model = build(MODELS[0])
    source, lengths = sources()
    rules = SearchOptions(max_length=12, min_length=12, no_repeat_ngram=1)
    state = model.begin(source, lengths)
    for found in (
        [one for (one,) in beam_search(model.decoder, state, **ids, beam_size=3, options=rules)],
        greedy_search(model.decoder, state, **ids, options=rules),
    ):
        assert all(sorted(one.tokens.tolist()) == [0, 1, 3, 4] for one in found)


def test_a_length_penalty_prefers_longer_texts() -> None:
    model = build(MODELS[0])
    source, lengths = sources(6)
    state, mean = model.begin(source, lengths), []
    for alpha in (0.0, 2.0):
        rules = SearchOptions(max_length=10, length_penalty=alpha)
        found = beam_search(model.decoder, state, **ids, beam_size=5, options=rules, stop="certain")
        mean.append(sum(len(one.tokens) for (one,) in found))
    assert mean[1] > mean[0]


@every_model
def test_samples_follow_the_models_probabilities_and_depend_on_seed_and_number_alone(options: dict[str, Any]) -> None:
    model = build(options)
    source, lengths = sources(3)
    rules = SearchOptions(max_length=4)
    state = model.begin(source, lengths)
    drawn = sample_search(model.decoder, state, **ids, count=3, seed=7, options=rules)
    assert [len(several) for several in drawn] == [3, 3, 3]
    later = sample_search(
        model.decoder, select(state, torch.tensor([2])), **ids, count=2, seed=7, first=2, options=rules
    )
    for one, other in zip(later[0], drawn[2][:2], strict=True):
        same(one, other)
    for row, several in enumerate(drawn):
        for one in several:
            of_row = select(state, torch.tensor([row]))
            text = torch.tensor([[*one.tokens.tolist(), EOS]])
            assert float(score_targets(model.decoder, of_row, text, bos_id=BOS).log_probability) == pytest.approx(
                one.log_probability, rel=1e-9
            )


def test_frequencies_of_samples_are_the_probabilities() -> None:
    model = build(MODELS[0])
    source, lengths = sources(1)
    state = model.begin(source, lengths)
    (drawn,) = sample_search(model.decoder, state, **ids, count=4000, options=SearchOptions(max_length=1), seed=1)
    expected = model.decoder.step(torch.tensor([BOS]), state)[0].logits[0].softmax(0).tolist()
    counts = [0.0] * V
    for one in drawn:
        counts[one.tokens.tolist()[0] if len(one.tokens) else EOS] += 1 / 4000
    assert counts == pytest.approx(expected, abs=0.03)


def test_no_sources_give_no_answers_and_no_length_gives_the_end() -> None:
    model = build(MODELS[0])
    source, lengths = sources(2)
    nobody = model.begin(source[:0], lengths[:0])
    assert beam_search(model.decoder, nobody, **ids) == []
    assert greedy_search(model.decoder, nobody, **ids) == []
    state = model.begin(source, lengths)
    for (one,) in beam_search(model.decoder, state, **ids, options=SearchOptions(max_length=0)):
        assert one.tokens.tolist() == [] and one.attention.shape == (1, 5) and one.log_probability < 0
    (one,) = beam_search(model.decoder, select(state, torch.tensor([0])), **ids, attention=False)[0]
    assert one.attention.shape[1] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size: 0 is below 1"),
        ({"beam_size": 2, "n_best": 3}, "n_best: 3 is not between 1 and the beam_size, which is 2"),
        ({"stop": "never"}, "stop: 'never' is not known"),
        ({"options": SearchOptions(without=(EOS,))}, "without: 2 is eos_id"),
        ({"options": SearchOptions(without=(9,))}, "search: 9 is no token; there are 0 to 4"),
    ],
)
def test_a_search_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    model = build(MODELS[0])
    with pytest.raises(SettingsError) as caught:
        beam_search(model.decoder, model.begin(*sources()), **ids, **options)
    assert message in str(caught.value)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(SettingsError, match="min_length: 5 is above max_length, which is 4"):
        SearchOptions(max_length=4, min_length=5)
    with pytest.raises(SettingsError, match="length_penalty: nan is below 0"):
        SearchOptions(length_penalty=math.nan)
    with pytest.raises(SettingsError, match="did you mean 'plain'"):
        SearchOptions(length_norm="plane")  # type: ignore[arg-type]
    model = build({"attention": "none"})
    with pytest.raises(SettingsError, match="coverage_penalty: it counts attention, and this decoder has none"):
        beam_search(model.decoder, model.begin(*sources()), **ids, options=SearchOptions(coverage_penalty=0.1))
    with pytest.raises(ShapeError, match=r"expected integers of shape \[4\], one a source"):
        beam_search(model.decoder, model.begin(*sources()), **ids, limits=torch.tensor([3]))
    with pytest.raises(SettingsError, match="count: 0 is below 1"):
        sample_search(model.decoder, model.begin(*sources()), **ids, count=0)


def test_damaged_weights_and_dropouts_are_told() -> None:
    model = build(MODELS[0])
    state = model.begin(*sources())
    with torch.no_grad():
        model.decoder.output_bias[0] = math.nan
    for search in (beam_search, greedy_search):
        with pytest.raises(WorkError, match="the logits are not finite numbers"):
            search(model.decoder, state, **ids)
    noisy = build({"output_dropout": 0.5}).train()
    with pytest.raises(InputError, match="its dropouts would act"):
        beam_search(noisy.decoder, noisy.begin(*sources()), **ids)


def test_a_search_moves_only_as_much_of_a_transformers_past_as_there_can_be() -> None:
    from recurra.models.seq2seq.steps import with_reach

    model = build({"cell": "transformer"})
    state = model.begin(*sources())
    assert state.layers.layers[0].keys.shape == (4, 256, 4)
    assert with_reach(state, 7).layers.layers[0].keys.shape == (4, 7, 4)
    assert with_reach(state, 700).layers.layers[0].keys.shape == (4, 256, 4)
    _, later = model.decoder.run(torch.randint(V, (4, 3)), state)
    assert with_reach(later, 7).layers.layers[0].keys.shape == (4, 10, 4)
