"""Beam search over many sources at once."""

from __future__ import annotations

from typing import NamedTuple, get_args

import torch
from torch import Tensor

from recurra.errors import SettingsError, WorkError
from recurra.models.search.found import Found
from recurra.models.search.options import SearchOptions, Stop
from recurra.models.search.rules import forbid, largest, length_divisor, worth
from recurra.models.search.start import Begun, begin_search
from recurra.models.seq2seq import Decoder, DecoderState, DecoderSteps
from recurra.models.seq2seq.steps import with_reach
from recurra.settings.names import check_name
from recurra.state import select

PLAIN = SearchOptions()


class _Live(NamedTuple):
    """The hypotheses that go on, k of each of n sources, and one before the first step; n · k rows side by side.

    source [n]: which of the given ones. limits [n]. state: of n rows in its memory, n · k in the rest. spoken
    [n, k, t]; log_probability [n, k] float64, −∞ where there is no such hypothesis. attention [n, k, t, S];
    coverage [n, k, S], or of no step where it is not counted. ended [n]: hypotheses that ended; best [n, N]: the
    scores of the N best of them.
    """

    source: Tensor
    limits: Tensor
    state: DecoderState
    spoken: Tensor
    log_probability: Tensor
    attention: Tensor
    coverage: Tensor
    ended: Tensor
    best: Tensor


class _Continuations(NamedTuple):
    """The best hypotheses with one token more, [n, C] each, the best first: log_probability float64, −∞ where there is
    none; parent: which of the k it goes on from; token: the one more."""

    log_probability: Tensor
    parent: Tensor
    token: Tensor


class _Ended(NamedTuple):
    """Hypotheses that ended at one step: source [M], spoken [M, t], score [M], log_probability [M],
    attention [M, t + 1, S]"""

    source: Tensor
    spoken: Tensor
    score: Tensor
    log_probability: Tensor
    attention: Tensor


def beam_search(
    decoder: Decoder,
    state: DecoderState,
    *,
    bos_id: int,
    eos_id: int,
    beam_size: int = 5,
    n_best: int = 1,
    options: SearchOptions = PLAIN,
    limits: Tensor | None = None,
    stop: Stop = "enough",
    attention: bool = True,
) -> list[list[Found]]:
    """The best hypotheses of each source.

    At each step the 2 k best continuations of a source's k hypotheses are looked at: those of the first k that end
    are kept, and the first k that do not end go on. A source leaves the batch when it is done, and its rows with it.
    What is found for it does not depend on the others, but for rounding.

    Args:
        decoder: in evaluation mode.
        state: before `bos_id`, of as many rows as there are sources: `Seq2Seq.begin`.
        bos_id, eos_id: what begins and what ends a text.
        beam_size: k, hypotheses side by side.
        n_best: hypotheses given for each source, at most beam_size; the best first.
        options: lengths, penalties, what cannot come.
        limits: [B] tokens before the end at most, of each source; options.max_length at most, options.min_length at
            least. None: options.max_length.
        stop: "enough": a source is done when beam_size hypotheses have ended, and none that goes on would be one of the
            n best if it ended now. "certain": when no hypothesis that goes on can become one of the n best any more;
            with a beam that holds all, the result is the best there is.
        attention: whether it is kept; without, that of `Found` is of no step.

    Returns:
        for each source n_best hypotheses, or fewer where there are no more.

    Raises:
        SettingsError: beam_size or n_best out of range, or eos_id among what cannot come.
        InputError: the decoder is in training and its dropouts would act.
        ShapeError: limits do not fit.
    """
    if beam_size < 1:
        raise SettingsError(f"beam_size: {beam_size} is below 1; 1 takes the likeliest token at each step")
    if not 1 <= n_best <= beam_size:
        raise SettingsError(f"n_best: {n_best} is not between 1 and the beam_size, which is {beam_size}")
    check_name("stop", stop, get_args(Stop))
    steps = DecoderSteps(decoder)
    with torch.inference_mode():
        begun = begin_search(decoder, state, eos_id, options, limits)
        reach = int(begun.limits.max()) + 1 if begun.rows else 0
        live = _begin(begun, with_reach(state, reach), n_best, attention)
        tokens = torch.full_like(begun.limits, bos_id)
        finished: list[_Ended] = []
        while live.source.numel():
            output, moved = steps.step(tokens, live.state)
            live = live._replace(state=moved)
            best = _continuations(live, output.logits, begun, options, eos_id, beam_size)
            live, tokens, ended = _advance(live, best, output.attention, options, eos_id, beam_size, stop)
            if ended.source.numel():
                finished.append(ended)
        return _collect(finished, begun.rows, n_best)


def _begin(begun: Begun, state: DecoderState, n_best: int, attention: bool) -> _Live:
    """One hypothesis a source, of no token; the first step makes k of it."""
    rows, device = begun.rows, begun.limits.device
    return _Live(
        torch.arange(rows, device=device),
        begun.limits,
        state,
        torch.empty(rows, 1, 0, dtype=torch.int64, device=device),
        torch.zeros(rows, 1, dtype=torch.float64, device=device),
        torch.empty(rows, 1, 0, begun.reach if attention else 0, device=device, dtype=begun.dtype),
        begun.coverage[:, None],
        torch.zeros(rows, dtype=torch.int64, device=device),
        torch.full((rows, n_best), -torch.inf, dtype=torch.float64, device=device),
    )


def _continuations(
    live: _Live, logits: Tensor, begun: Begun, options: SearchOptions, eos_id: int, beam_size: int
) -> _Continuations:
    """The best of each source, twice as many as go on: so many could end that others are needed in their place.

    Raises:
        WorkError: the logits are not finite.
    """
    n, k, _ = live.spoken.shape
    limits = live.limits.repeat_interleave(k)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    allowed = forbid(logits, live.spoken.flatten(0, 1), limits, options, eos_id, begun.without)
    wide = min(2 * beam_size, logits.shape[1])  # of one hypothesis no more can be among the best of its source
    own, token = largest(allowed, wide)
    highest = own[:, :1] if allowed is logits else logits.amax(1, keepdim=True)
    own = (own - highest).double()
    own = own - logits.sub_(highest).exp_().sum(1, keepdim=True).log()  # in place: nobody reads these logits again
    if not bool(own[:, 0].isfinite().all()):
        raise WorkError("search: the logits are not finite numbers; the weights are damaged, or training diverged")
    total = (own.view(n, k, wide) + live.log_probability[..., None]).flatten(1)
    log_probability, place = total.topk(min(2 * beam_size, k * wide), dim=1)
    return _Continuations(log_probability, place // wide, token.view(n, k * wide).gather(1, place))


def _advance(
    live: _Live, best: _Continuations, weights: Tensor, options: SearchOptions, eos_id: int, beam_size: int, stop: Stop
) -> tuple[_Live, Tensor, _Ended]:
    """One step further: what goes on, the token that each row reads next, and what ended."""
    n, k, length = live.spoken.shape
    weights = weights.view(n, k, -1)
    live = live._replace(attention=torch.cat([live.attention, weights[:, :, None, : live.attention.shape[3]]], 2))
    if live.coverage.shape[2]:
        live = live._replace(coverage=live.coverage + weights)
    rank = torch.arange(best.token.shape[1], device=best.token.device)
    possible = best.log_probability > -torch.inf
    ends = possible & (best.token == eos_id)
    row, column = (ends & (rank < beam_size)).nonzero(as_tuple=True)
    parent = best.parent[row, column]
    log_probability = best.log_probability[row, column]
    coverage = live.coverage[row, parent] if live.coverage.shape[2] else None
    score = worth(log_probability, length + 1, coverage, options)
    ended = _Ended(live.source[row], live.spoken[row, parent], score, log_probability, live.attention[row, parent])
    scores = torch.full_like(best.log_probability, -torch.inf)
    scores[row, column] = score
    live = live._replace(
        ended=live.ended + (ends & (rank < beam_size)).sum(1),
        best=torch.cat([live.best, scores], 1).topk(live.best.shape[1], 1).values,
    )
    live, tokens = _go_on(live, best, possible & ~ends, options, beam_size, stop)
    return live, tokens, ended


def _go_on(
    live: _Live, best: _Continuations, goes_on: Tensor, options: SearchOptions, beam_size: int, stop: Stop
) -> tuple[_Live, Tensor]:
    """The first k continuations that go on, of the sources that are not done; and their tokens, row by row."""
    n, k, _ = live.spoken.shape
    rank = torch.arange(goes_on.shape[1], device=goes_on.device)
    order = torch.where(goes_on, rank, rank + len(rank)).argsort(1)[:, :beam_size]
    log_probability = torch.where(goes_on, best.log_probability, -torch.inf).gather(1, order)
    if order.shape[1] < beam_size:  # a vocabulary too small for so many: the first again, as none
        missing = beam_size - order.shape[1]
        order = torch.cat([order, order[:, :1].expand(-1, missing)], 1)
        log_probability = torch.nn.functional.pad(log_probability, (0, missing), value=-torch.inf)
    likeliest = log_probability[:, 0]
    is_open = (likeliest > -torch.inf) & ~_settled(likeliest, live.best[:, -1], live.limits, options)
    if stop == "enough":
        # of a sure model poor hypotheses end at every step, long before its one good answer does
        ended_now = likeliest / length_divisor(live.spoken.shape[2] + 2, options)
        is_open &= (live.ended < beam_size) | (ended_now > live.best[:, -1])
    left = is_open.nonzero()[:, 0]
    going = left.numel()
    order = order[left]
    tokens = best.token[left].gather(1, order)
    rows = (left[:, None] * k + best.parent[left].gather(1, order)).flatten()
    memory = live.state.memory if going == n else select(live.state.memory, left)

    def moved(of_hypotheses: Tensor) -> Tensor:
        """[n, k, …] → those that go on [going, beam_size, …]."""
        return of_hypotheses.flatten(0, 1)[rows].view(going, beam_size, *of_hypotheses.shape[2:])

    return (
        _Live(
            live.source[left],
            live.limits[left],
            DecoderState(memory, select(live.state.layers, rows), live.state.fed[rows]),
            torch.cat([moved(live.spoken), tokens[..., None]], 2),
            log_probability[left],
            moved(live.attention),
            moved(live.coverage),
            live.ended[left],
            live.best[left],
        ),
        tokens.flatten(),
    )


def _settled(likeliest: Tensor, worst: Tensor, limits: Tensor, options: SearchOptions) -> Tensor:
    """[n] bool: no hypothesis that goes on can end above the worst of the n best that have ended.

    A log probability only falls, the divisor is greatest for the longest text, and a coverage penalty is 0 at best.
    """
    bound = likeliest / length_divisor(limits.double() + 1, options)
    return bound <= worst


def _collect(finished: list[_Ended], rows: int, n_best: int) -> list[list[Found]]:
    """The n best of each source."""
    candidates: list[list[tuple[float, int, int]]] = [[] for _ in range(rows)]
    for number, ended in enumerate(finished):
        for place, (source, score) in enumerate(zip(ended.source.tolist(), ended.score.tolist(), strict=True)):
            candidates[source].append((-score, number, place))
    found: list[list[Found]] = []
    for several in candidates:
        of_source = []
        for negative, number, place in sorted(several)[:n_best]:
            ended = finished[number]
            of_source.append(
                Found(
                    ended.spoken[place].clone(),
                    -negative,
                    float(ended.log_probability[place]),
                    ended.attention[place].clone(),
                )
            )
        found.append(of_source)
    return found
