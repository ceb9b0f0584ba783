"""Beam search over many sources at once."""

from __future__ import annotations

from typing import NamedTuple, get_args

import torch
from torch import Tensor

from recurra.errors import SettingsError, WorkError
from recurra.models.search.found import Found
from recurra.models.search.options import SearchOptions, Stop
from recurra.models.search.rules import forbid, length_divisor, worth
from recurra.models.search.start import Begun, begin_search
from recurra.models.seq2seq import Decoder, DecoderState, DecoderSteps
from recurra.models.seq2seq.decoder import side_by_side, with_reach
from recurra.settings.names import check_name
from recurra.state import select

PLAIN = SearchOptions()


class _Live(NamedTuple):
    """The hypotheses that go on, k of each of n sources; n · k rows side by side.

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
        stop: "enough": a source is done when beam_size hypotheses have ended. "certain": when no hypothesis that goes
            on can become one of the n best any more; with a beam that holds all, the result is the best there is.
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
        live = _begin(begun, with_reach(state, reach), beam_size, n_best, attention)
        tokens = torch.full_like(begun.limits, bos_id).repeat_interleave(beam_size)
        finished: list[_Ended] = []
        while live.source.numel():
            output, moved = steps.step(tokens, live.state)
            live = live._replace(state=moved)
            live, tokens, ended = _advance(live, output.logits, output.attention, begun, options, eos_id, stop)
            if ended.source.numel():
                finished.append(ended)
        return _collect(finished, begun.rows, n_best)


def _begin(begun: Begun, state: DecoderState, beam_size: int, n_best: int, attention: bool) -> _Live:
    rows, reach, device = begun.rows, begun.reach, begun.limits.device
    log_probability = torch.full((rows, beam_size), -torch.inf, dtype=torch.float64, device=device)
    log_probability[:, 0] = 0.0  # all k are the same before the first step
    kept = reach if attention else 0
    return _Live(
        torch.arange(rows, device=device),
        begun.limits,
        side_by_side(state, beam_size),
        torch.empty(rows, beam_size, 0, dtype=torch.int64, device=device),
        log_probability,
        torch.empty(rows, beam_size, 0, kept, device=device, dtype=begun.dtype),
        begun.coverage[:, None].expand(-1, beam_size, -1),
        torch.zeros(rows, dtype=torch.int64, device=device),
        torch.full((rows, n_best), -torch.inf, dtype=torch.float64, device=device),
    )


def _advance(
    live: _Live, logits: Tensor, weights: Tensor, begun: Begun, options: SearchOptions, eos_id: int, stop: Stop
) -> tuple[_Live, Tensor, _Ended]:
    """One step further: what goes on, the token that each row reads next, and what ended."""
    n, k, length = live.spoken.shape
    vocabulary = logits.shape[1]
    limits = live.limits.repeat_interleave(k)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    normalizer = logits.logsumexp(1).double()
    if not bool(normalizer.isfinite().all()):
        raise WorkError("search: the logits are not finite numbers; the weights are damaged, or training diverged")
    allowed = forbid(logits, live.spoken.flatten(0, 1), limits, options, eos_id, begun.without)
    # of each hypothesis no more than the 2 k best can be among the 2 k best of its source
    own, token = allowed.topk(min(2 * k, vocabulary), dim=1)
    scores = (own.double() - normalizer[:, None]).view(n, k, -1) + live.log_probability[..., None]
    wide = own.shape[1]
    total, place = scores.flatten(1).topk(min(2 * k, k * wide), dim=1)  # [n, 2 k]
    parent = place // wide
    chosen = token.view(n, k * wide).gather(1, place)
    possible = total > -torch.inf
    ends = possible & (chosen == eos_id)

    attended = torch.cat([live.attention, weights.view(n, k, 1, -1)[..., : live.attention.shape[3]]], 2)
    coverage = live.coverage
    if coverage.shape[2]:
        coverage = coverage + weights.view(n, k, -1)
    rank = torch.arange(total.shape[1], device=total.device)
    kept = ends & (rank < k)
    row, column = kept.nonzero(as_tuple=True)
    origin = parent[row, column]
    covered = coverage[row, origin] if coverage.shape[2] else None
    log_probability = total[row, column]
    score = worth(log_probability, length + 1, covered, options)
    ended = _Ended(live.source[row], live.spoken[row, origin], score, log_probability, attended[row, origin])
    of_place = torch.full_like(total, -torch.inf)
    of_place[row, column] = score
    best = torch.cat([live.best, of_place], 1).topk(live.best.shape[1], 1).values
    count = live.ended + kept.sum(1)

    # the first k that do not end, in their order
    goes_on = possible & ~ends
    order = torch.where(goes_on, rank, rank + total.shape[1]).argsort(1)[:, :k]
    missing = k - order.shape[1]
    if missing:  # a vocabulary too small for 2 k continuations
        order = torch.cat([order, order[:, :1].expand(-1, missing)], 1)
    following = total.gather(1, order)
    following = torch.where(goes_on.gather(1, order), following, -torch.inf)
    if missing:
        following[:, k - missing :] = -torch.inf
    parent, chosen = parent.gather(1, order), chosen.gather(1, order)

    open_ = (following[:, 0] > -torch.inf) & ~_settled(following[:, 0], best[:, -1], live.limits, options)
    if stop == "enough":
        open_ = open_ & (count < k)
    left = open_.nonzero()[:, 0]
    parent, chosen = parent[left], chosen[left]
    rows = (left[:, None] * k + parent).flatten()
    going = left.numel()
    memory = live.state.memory if going == n else select(live.state.memory, left)
    state = DecoderState(memory, select(live.state.layers, rows), live.state.fed[rows])
    live = _Live(
        live.source[left],
        live.limits[left],
        state,
        torch.cat([live.spoken.flatten(0, 1)[rows].view(going, k, length), chosen[..., None]], 2),
        following[left],
        attended.flatten(0, 1)[rows].view(going, k, length + 1, attended.shape[3]),
        coverage.flatten(0, 1)[rows].view(going, k, coverage.shape[2]),
        count[left],
        best[left],
    )
    return live, chosen.flatten(), ended


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
