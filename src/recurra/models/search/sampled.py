"""One token after the other, each drawn, or the likeliest: sampling and greedy decoding."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.errors import SettingsError
from recurra.models.sampling import check_sampling, draw, sample
from recurra.models.search.found import Found
from recurra.models.search.options import SearchOptions
from recurra.models.search.rules import forbid, worth
from recurra.models.search.start import begin_search
from recurra.models.seq2seq import Decoder, DecoderState, DecoderSteps
from recurra.models.seq2seq.steps import with_reach
from recurra.randomness import seed_of
from recurra.state import select

PLAIN = SearchOptions()


def greedy_search(
    decoder: Decoder,
    state: DecoderState,
    *,
    bos_id: int,
    eos_id: int,
    options: SearchOptions = PLAIN,
    limits: Tensor | None = None,
    attention: bool = True,
) -> list[Found]:
    """The likeliest token at each step: what `beam_search` finds with a beam of one.

    Args and errors as there.
    """
    found = sample_search(
        decoder,
        state,
        bos_id=bos_id,
        eos_id=eos_id,
        temperature=0.0,
        options=options,
        limits=limits,
        attention=attention,
    )
    return [one for (one,) in found]


def sample_search(
    decoder: Decoder,
    state: DecoderState,
    *,
    bos_id: int,
    eos_id: int,
    count: int = 1,
    seed: int = 0,
    first: int = 0,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    options: SearchOptions = PLAIN,
    limits: Tensor | None = None,
    attention: bool = True,
) -> list[list[Found]]:
    """Hypotheses drawn from the model.

    Args:
        decoder, state, bos_id, eos_id, options, limits, attention: as in `beam_search`.
        count: hypotheses of each source.
        seed: with a source's number and a hypothesis' it decides all draws of that hypothesis.
        first: number of the first source.
        temperature, top_k, top_p: as in `recurra.models.sampling.sample`.

    Returns:
        for each source `count` hypotheses, in the order of their numbers.

    Raises:
        SettingsError: count below 1, or as `sample` and `beam_search`.
        WorkError: the logits are not finite.
    """
    if count < 1:
        raise SettingsError(f"count: {count} is below 1; nothing would be drawn")
    check_sampling(temperature, top_k, top_p)
    steps = DecoderSteps(decoder)
    with torch.inference_mode():
        begun = begin_search(decoder, state, eos_id, options, limits)
        rows, device = begun.rows * count, begun.limits.device
        reach = int(begun.limits.max()) + 1 if begun.rows else 0
        index = torch.arange(begun.rows, device=device).repeat_interleave(count)
        now = select(with_reach(state, reach), index)
        seeds = [seed_of("sample", seed, first + n, c) for n in range(begun.rows) for c in range(count)]
        live = torch.arange(rows, device=device)
        read = torch.full((rows,), bos_id, device=device)
        spoken = torch.empty(rows, 0, dtype=torch.int64, device=device)
        sums = torch.zeros(rows, dtype=torch.float64, device=device)
        coverage = begun.coverage.repeat_interleave(count, 0)
        limit = begun.limits.repeat_interleave(count)
        attended = torch.empty(rows, 0, begun.reach if attention else 0, dtype=begun.dtype, device=device)
        found: list[Found | None] = [None] * rows
        while live.numel():
            length = spoken.shape[1]
            (logits, weights), now = steps.step(read, now)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            allowed = forbid(logits, spoken, limit, options, eos_id, begun.without)
            draws = torch.zeros(len(live), dtype=torch.float64, device=device)
            if temperature:
                numbers = [draw(seeds[row], length) for row in live.tolist()]
                draws = torch.tensor(numbers, dtype=torch.float64, device=device)
            token = sample(allowed, draws, temperature=temperature, top_k=top_k, top_p=top_p)
            chosen = logits.gather(1, token[:, None])[:, 0].double()
            sums = sums + chosen - logits.logsumexp(1).double()
            attended = torch.cat([attended, weights[:, None, : attended.shape[2]]], 1)
            if coverage.shape[1]:
                coverage = coverage + weights
            ends = token == eos_id
            scores = worth(sums, length + 1, coverage if coverage.shape[1] else None, options)
            for place in ends.nonzero()[:, 0].tolist():
                found[int(live[place])] = Found(
                    spoken[place].clone(), float(scores[place]), float(sums[place]), attended[place].clone()
                )
            spoken = torch.cat([spoken, token[:, None]], 1)
            read = token
            if bool(ends.any()):
                left = (~ends).nonzero()[:, 0]
                now = select(now, left)
                live, read, spoken, sums = live[left], read[left], spoken[left], sums[left]
                coverage, limit, attended = coverage[left], limit[left], attended[left]
    whole = [one for one in found if one is not None]
    return [whole[begin : begin + count] for begin in range(0, rows, count)]
