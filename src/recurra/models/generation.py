"""Text from a language model, a token at a time, with a state that can be kept at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.errors import ShapeError
from recurra.models.language_model import LanguageModel, LanguageModelState, LanguageModelSteps
from recurra.models.sampling import check_sampling, draw, sample
from recurra.models.tokens import check_tokens
from recurra.randomness import seed_of
from recurra.state import select


class GenerationState(NamedTuple):
    """All that decides what comes next; leaves are batch first, so that rows can be selected, merged and saved.

    model: before `token` is read; token [B] int64: the last one, not yet read; seed [B] int64: a row's own;
    position [B] int64: tokens drawn so far.
    """

    model: LanguageModelState
    token: Tensor
    seed: Tensor
    position: Tensor


def begin_generation(
    model: LanguageModel,
    prompt: Tensor,
    *,
    count: int = 1,
    first: int = 0,
    seed: int = 0,
    state: LanguageModelState | None = None,
) -> GenerationState:
    """Read a prompt, once for all rows.

    Args:
        model: in evaluation mode, on the prompt's device.
        prompt: [P] int64, P ≥ 1.
        count: rows that go on from it, each in its own way.
        first: number of the first of them.
        seed: with a row's number it decides all draws of that row, so rows do not depend on how many there are.
        state: to read the prompt from, of one row; None: the initial one.

    Raises:
        ShapeError: the prompt is empty or no row of tokens.
        InputError: the model is in training and its dropouts would act.
    """
    if prompt.dim() != 1 or prompt.shape[0] < 1:
        raise ShapeError(f"generate: the prompt has shape {list(prompt.shape)}, expected [P] with P of 1 or more")
    check_tokens(prompt, 1, model.vocabulary_size, "generate")
    steps = LanguageModelSteps(model)
    state = steps.initial_state(1) if state is None else state
    if prompt.shape[0] > 1:
        _, state = steps.run(prompt[None, :-1], state)
    device = prompt.device
    return GenerationState(
        select(state, torch.zeros(count, dtype=torch.int64, device=device)),
        prompt[-1:].expand(count).clone(),
        torch.tensor(
            [seed_of("generate", seed, row) for row in range(first, first + count)], dtype=torch.int64, device=device
        ),
        torch.zeros(count, dtype=torch.int64, device=device),
    )


def advance_generation(
    steps: LanguageModelSteps,
    state: GenerationState,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    without: Tensor | None = None,
) -> tuple[Tensor, GenerationState]:
    """One more token a row: [B] int64, and the state after it.

    Args:
        steps: the model.
        state: from `begin_generation`, or an earlier call.
        temperature, top_k, top_p: as in `sample`.
        without: [N] int64 tokens that cannot come.
    """
    logits, model = steps.step(state.token, state.model)
    if without is not None:
        logits = logits.index_fill(1, without, -torch.inf)
    drawn = [draw(*pair) for pair in zip(state.seed.tolist(), state.position.tolist(), strict=True)]
    draws = torch.tensor(drawn, dtype=torch.float64, device=logits.device)
    with torch.inference_mode():
        tokens = sample(logits, draws, temperature=temperature, top_k=top_k, top_p=top_p)
        return tokens, GenerationState(model, tokens, state.seed, state.position + 1)


def generate(
    model: LanguageModel,
    prompt: Tensor,
    *,
    length: int,
    count: int = 1,
    first: int = 0,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    without: Tensor | None = None,
    state: LanguageModelState | None = None,
) -> Iterator[Tensor]:
    """Tokens that follow a prompt, as they are made: `length` times a tensor [count] int64.

    Options as in `begin_generation` and `advance_generation`. Logits of a row agree with those of the row alone to
    rounding.

    Raises:
        SettingsError, ShapeError, InputError: as these do; at the call, before the first token.
    """
    check_sampling(temperature, top_k, top_p)
    begun = begin_generation(model, prompt, count=count, first=first, seed=seed, state=state)

    def tokens() -> Iterator[Tensor]:
        steps, now = LanguageModelSteps(model), begun
        for _ in range(length):
            made, now = advance_generation(
                steps, now, temperature=temperature, top_k=top_k, top_p=top_p, without=without
            )
            yield made

    return tokens()
