"""Sampling: the filters in their order, draws that are decided by seed and counter, and generation row by row."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.errors import InputError, SettingsError, ShapeError, WorkError
from recurra.models import LanguageModel, LanguageModelSteps
from recurra.models.generation import advance_generation, begin_generation, generate
from recurra.models.sampling import draw, sample
from recurra.state import merge, select


def logits_of(*probabilities: float) -> Tensor:
    return torch.tensor([probabilities], dtype=torch.float64).log()


def taken(logits: Tensor, draws: list[float], **options: Any) -> list[int]:
    return sample(logits.expand(len(draws), -1), torch.tensor(draws, dtype=torch.float64), **options).tolist()


def test_the_token_is_where_the_running_sum_passes_the_draw() -> None:
    logits = logits_of(0.25, 0.0, 0.25, 0.5)
    assert taken(logits, [0.0, 0.2, 0.26, 0.49, 0.51, 0.99, 1 - 2**-53]) == [0, 0, 2, 2, 3, 3, 3]
    assert taken(logits_of(0.25, 0.25, 0.25, 0.0), [1 - 2**-53]) == [2]  # never a token that cannot come


def test_temperature_zero_takes_the_likeliest_and_the_lowest_id_where_several_tie() -> None:
    assert taken(logits_of(0.1, 0.4, 0.4, 0.1), [0.99], temperature=0) == [1]
    assert taken(logits_of(0.1, 0.4, 0.4, 0.1), [0.4, 0.6], temperature=1e-300) == [1, 2]  # level to the last bit
    assert taken(logits_of(0.3, 0.3 + 1e-9, 0.4 - 1e-9), [0.0, 0.99], temperature=1e-12) == [2, 2]


def test_temperature_raises_probabilities_to_its_inverse() -> None:
    logits = logits_of(0.2, 0.8)
    edge = 0.2**2 / (0.2**2 + 0.8**2)
    assert taken(logits, [edge - 1e-9, edge + 1e-9], temperature=0.5) == [0, 1]


def test_top_k_keeps_the_likeliest_and_the_lower_ids_where_they_tie() -> None:
    logits = logits_of(0.1, 0.3, 0.3, 0.3)
    assert taken(logits, [0.0, 0.49, 0.51, 0.99], top_k=2) == [1, 1, 2, 2]
    assert taken(logits, [0.0], top_k=1) == [1]
    assert taken(logits, [0.05], top_k=99) == [0]
    assert set(taken(torch.zeros(1, 1000), [i / 50 for i in range(50)], top_k=3)) == {0, 1, 2}


def test_top_p_keeps_the_fewest_whose_sum_reaches_it_after_top_k() -> None:
    logits = logits_of(0.1, 0.2, 0.3, 0.4)
    assert sorted(set(taken(logits, [i / 50 for i in range(50)], top_p=0.4))) == [3]
    assert sorted(set(taken(logits, [i / 50 for i in range(50)], top_p=0.41))) == [2, 3]
    assert sorted(set(taken(logits, [i / 50 for i in range(50)], top_p=1e-9))) == [3]
    # of the two likeliest, renormalised to 3/7 and 4/7, the first alone reaches 0.55; of all it would not
    assert sorted(set(taken(logits, [i / 50 for i in range(50)], top_p=0.55, top_k=2))) == [3]
    assert sorted(set(taken(logits, [i / 50 for i in range(50)], top_p=0.55))) == [2, 3]


def test_even_draws_give_the_frequencies_of_the_probabilities() -> None:
    probabilities = torch.tensor([0.05, 0.4, 0.25, 0.3])
    draws = torch.arange(2000, dtype=torch.float64) / 2000
    found = torch.bincount(sample(probabilities.log().expand(2000, -1), draws)) / 2000
    torch.testing.assert_close(found, probabilities, atol=1e-3, rtol=0)


def test_draws_are_decided_by_seed_and_counter_in_every_process() -> None:
    code = "from recurra.models.sampling import draw; print([draw(3, n) for n in range(3)])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == str([draw(3, n) for n in range(3)])
    many = torch.tensor([draw(seed, n) for seed in range(20) for n in range(200)])
    assert float(many.min()) >= 0 and float(many.max()) < 1 and len(many.unique()) == 4000
    assert float(many.mean()) == pytest.approx(0.5, abs=4 / math.sqrt(12 * 4000))
    counts = torch.histc(many.float(), 10, 0, 1)
    assert float(((counts - 400) ** 2 / 400).sum()) < 30  # chi square with 9 degrees of freedom


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": -0.1}, "temperature: -0.1 is not a number of 0 or more; 0 takes the likeliest"),
        ({"temperature": math.nan}, "temperature: nan"),
        ({"temperature": math.inf}, "temperature: inf"),
        ({"top_k": -1}, "top_k: -1 is below 0"),
        ({"top_p": 0.0}, r"top_p: 0.0 is not in \(0, 1\]"),
        ({"top_p": 1.01}, "top_p: 1.01"),
        ({"top_p": math.nan}, "top_p: nan"),
    ],
)
def test_what_is_no_way_to_sample_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        sample(torch.zeros(1, 2), torch.zeros(1), **options)
    with pytest.raises(SettingsError, match=words):
        generate(model_of(), torch.tensor([1]), length=1, **options)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_numbers_are_said_to_be_so(bad: float, temperature: float) -> None:
    with pytest.raises(WorkError, match="not finite"):
        sample(torch.tensor([[0.0, bad], [0.0, 0.0]]), torch.zeros(2), temperature=temperature)
    with pytest.raises(WorkError, match="not finite"):
        sample(torch.full((1, 2), -math.inf), torch.zeros(1), temperature=temperature)


def model_of(**options: Any) -> LanguageModel:
    torch.manual_seed(0)
    model = LanguageModel("lstm", 11, 6, 8, **options).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def ids(model: LanguageModel, **options: Any) -> Tensor:
    return torch.stack(list(generate(model, torch.tensor([1, 2, 3]), length=20, **options)), 1)


def test_generation_equals_sampling_from_the_logits_of_the_whole_text() -> None:
    model = model_of(num_layers=2)
    made = ids(model, count=2, seed=5, temperature=0.8, top_k=6, top_p=0.9)
    begun = begin_generation(model, torch.tensor([1, 2, 3]), count=2, seed=5)
    for row in range(2):
        text = torch.cat([torch.tensor([1, 2, 3]), made[row]])[None]
        logits = model(text)[0][0, 2:-1].detach()
        draws = torch.tensor([draw(int(begun.seed[row]), n) for n in range(20)], dtype=torch.float64)
        assert sample(logits, draws, temperature=0.8, top_k=6, top_p=0.9).tolist() == made[row].tolist()


def test_a_row_does_not_depend_on_how_many_there_are_and_a_seed_repeats_it() -> None:
    model = model_of()
    four = ids(model, count=4, seed=7)
    assert torch.equal(ids(model, count=1, seed=7), four[:1]) and torch.equal(ids(model, count=4, seed=7), four)
    assert len({tuple(row) for row in four.tolist()}) == 4
    assert not torch.equal(ids(model, count=4, seed=8), four)


def test_rows_can_be_cut_out_of_a_generation_and_go_on() -> None:
    model = model_of()
    steps, state = LanguageModelSteps(model), begin_generation(model, torch.tensor([4]), count=3, seed=1)
    whole = torch.stack(list(generate(model, torch.tensor([4]), length=8, count=3, seed=1)), 1)
    for _ in range(3):
        _, state = advance_generation(steps, state)
    state = merge([select(state, torch.tensor([2])), select(state, torch.tensor([0]))])
    rest = []
    for _ in range(5):
        made, state = advance_generation(steps, state)
        rest.append(made)
    assert torch.equal(torch.stack(rest, 1), whole[[2, 0], 3:])


def test_a_state_given_goes_before_the_prompt() -> None:
    model = model_of()
    _, state = model(torch.tensor([[1, 2]]))
    later = list(generate(model, torch.tensor([3]), length=20, seed=2, state=state))
    assert torch.equal(torch.stack(later, 1), ids(model, seed=2))


def test_tokens_come_one_by_one() -> None:
    model, calls = model_of(), 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    assert model.projection is not None
    model.projection.register_forward_hook(count)
    stream = generate(model, torch.tensor([1]), length=5)
    next(stream), next(stream)
    assert calls == 2


def test_a_prompt_that_does_not_fit_is_refused_at_the_call() -> None:
    with pytest.raises(ShapeError, match="P of 1 or more"):
        generate(model_of(), torch.zeros(0, dtype=torch.int64), length=1)
    with pytest.raises(ShapeError, match="tokens lie between 99 and 99"):
        generate(model_of(), torch.tensor([99]), length=1)
    with pytest.raises(InputError, match=r"eval\(\)"):
        generate(model_of(output_dropout=0.5).train(), torch.tensor([1]), length=1)
