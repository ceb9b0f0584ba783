"""The comparisons of a certificate: one shot of each row by itself, and every other way to the same answer.

A pair takes a Case and yields what it found of some rows; the certificate keeps the largest difference.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.laws.agreement import difference
from recurra.laws.subject import DoesNotApply, Result, Subject, first_step, time_slice
from recurra.laws.trees import Tree, copied, rows_of
from recurra.nn import Recurrent
from recurra.sequence import first_tensor, map_values, shift_right, valid_mask

CHUNKS = (1, 3, 2, 7, 5)  # sizes that a row is cut into, over and over
SHORT = 64  # steps: gradients and resets are compared on rows no longer than this
BEYOND = 3  # steps of padding after the longest row


class Answer(NamedTuple):
    """What one row got: outputs [T, …] a step each, or one answer; its state at the end, None where not compared."""

    outputs: Tensor
    state: Tree


class Found(NamedTuple):
    """How far a row's answer is from one shot's. row: which; None: no row's own."""

    row: int | None
    difference: float


@dataclass(frozen=True)
class Case:
    """A subject, rows for it, and what one shot answers to each.

    Args:
        subject: what is under certificate, in evaluation.
        rows: each row's values [1, T, …].
        lengths: their T.
        reference: one shot's answers, row by row.
        per_step: whether outputs are one a step; else one a sequence.
        dimensions: the batch dimension of every leaf of the state.
        keep: a state written down and read again.
    """

    subject: Subject
    rows: list[Any]
    lengths: list[int]
    reference: list[Answer]
    per_step: bool
    dimensions: Tree
    keep: Callable[[Tree], Tree]

    def row(self, row: int) -> Any:
        """A row's values [1, T, …], a copy: what a module does to its input reaches nothing else."""
        return copied(self.rows[row])

    def filled(self, longest: int | None = None) -> list[int]:
        """Rows with steps, in an order that is not that of their lengths; at most so long."""
        found = [row for row, steps in enumerate(self.lengths) if 0 < steps <= (longest or steps)]
        if not found:
            raise DoesNotApply("there is no row with steps to compare")
        return found

    def batch(self, rows: list[int], beyond: int = 0, poison: bool = False) -> tuple[Any, Tensor]:
        """Rows padded on the right, and their lengths; padding is zeros, or what must never be read."""
        lengths = torch.tensor([self.lengths[row] for row in rows])
        steps = int(lengths.max()) + beyond
        values = stacked([self.rows[row] for row in rows], steps)
        if poison and self.subject.poison:
            outside = ~valid_mask(lengths, steps)
            values = map_values(lambda part: _poisoned(part, outside), values)
        return values, lengths

    def split(self, found: Result, rows: list[int], states: bool = True) -> list[Answer]:
        """A batch's outputs and state, row by row, without what stands on padding."""
        outputs, state = found
        answers = []
        for place, row in enumerate(rows):
            own = outputs[place, : self.lengths[row]] if self.per_step else outputs[place]
            end = rows_of(state, self.dimensions, [place]) if states and state is not None else None
            answers.append(Answer(own, end))
        return answers

    def apart(self, answers: list[Answer], rows: list[int]) -> Iterator[Found]:
        """How far each answer is from one shot's."""
        for answer, row in zip(answers, rows, strict=True):
            expected = self.reference[row]
            distance = difference(answer.outputs, expected.outputs)
            if answer.state is not None:
                distance = max(distance, state_difference(answer.state, expected.state))
            yield Found(row, distance)

    def alone(self, row: int, cuts: list[int], carry: Callable[[Tree], Tree] = lambda state: state) -> Answer:
        """One row by itself, cut before some steps, the state carried."""
        parts, state, values = [], None, self.row(row)
        for start, stop in pairwise([0, *cuts, self.lengths[row]]):
            outputs, state = self.subject.run(time_slice(values, start, stop), None, state)
            state = carry(state)
            parts.append(outputs)
        return Answer(torch.cat(parts, 1)[0] if self.per_step else parts[-1][0], state)

    def step(self, x: Any, state: Tree) -> Result:
        """One step of rows [B, …] → outputs [B, …] and the state; a chunk of one where there is no step."""
        if self.subject.step is not None:
            return self.subject.step(x, state)
        outputs, state = self.subject.run(map_values(lambda part: part[:, None], x), None, state)
        return outputs[:, 0] if self.per_step else outputs, state


Pair = Callable[[Case], Iterator[Found]]


def repeated(case: Case) -> Iterator[Found]:
    """One shot again, after all rows ran: nothing of another sequence stays behind, no weight or buffer has changed."""
    before = copied(_weights(case.subject.module))
    rows = list(range(len(case.rows)))
    for row in rows:
        yield from case.apart([_one(case, row)], [row])
    yield Found(None, 0.0 if difference(_weights(case.subject.module), before) == 0.0 else float("inf"))


def padded(case: Case) -> Iterator[Found]:
    """Rows in one batch, padded on the right with what must never be read."""
    case.subject.needs("lengths")
    rows = case.filled()
    for beyond in (0, BEYOND):
        values, lengths = case.batch(rows, beyond, poison=True)
        yield from case.apart(case.split(case.subject.run(values, lengths), rows), rows)


def left_padded(case: Case) -> Iterator[Found]:
    """Rows in one batch, padded on the left."""
    case.subject.needs("padding")
    rows = case.filled()
    values, lengths = case.batch(rows, BEYOND, poison=True)
    steps = _steps(values)
    outputs, state = case.subject.run(
        map_values(lambda part: shift_right(part, lengths), values), lengths, padding="left"
    )
    if case.per_step:
        outputs = torch.stack([row.roll(int(length) - steps, 0) for row, length in zip(outputs, lengths, strict=True)])
    yield from case.apart(case.split((outputs, state), rows), rows)


def shuffled(case: Case) -> Iterator[Found]:
    """Rows in other orders and in other company."""
    rows = case.filled()
    draw = random.Random(0)
    for size in (len(rows), 3, 2):
        order = draw.sample(rows, len(rows))
        for start in range(0, len(order), size):
            some = order[start : start + size]
            if "lengths" in case.subject.options:
                values, lengths = case.batch(some)
                found = case.subject.run(values, lengths)
            else:  # rows of one length can stand beside each other without lengths
                row = some[0]
                doubled = stacked([case.row(row), map_values(lambda part: part.flip(1), case.row(row))])
                some, found = [row], case.subject.run(doubled)
            yield from case.apart(case.split(found, some), some)


def packed(case: Case) -> Iterator[Found]:
    """Rows as torch's PackedSequence."""
    run = case.subject.packed
    if run is None:
        raise DoesNotApply("forward takes no PackedSequence")
    rows = case.filled()
    try:
        run(*case.batch(rows[:1]))
    except Exception as error:  # whatever a module of the user's own raises
        raise DoesNotApply("forward takes no PackedSequence") from error
    yield from case.apart(case.split(run(*case.batch(rows)), rows), rows)


def chunks(case: Case) -> Iterator[Found]:
    """Each row in halves, and in pieces of 1, 3, 2, 7 and 5 steps, the state carried."""
    case.subject.check_streamable()
    for row in case.filled():
        steps = case.lengths[row]
        for cuts in ([steps // 2] if steps > 1 else [], chunk_cuts(steps)):
            yield from case.apart([case.alone(row, cuts)], [row])


def chunks_of_a_batch(case: Case) -> Iterator[Found]:
    """A padded batch in pieces, the state carried; rows that have ended wait with 0 valid steps."""
    case.subject.needs("lengths")
    case.subject.check_streamable()
    if not case.subject.takes_empty:
        raise DoesNotApply("torch's recurrent layers take no row with 0 valid steps")
    rows = case.filled()
    values, lengths = case.batch(rows, poison=True)
    steps = _steps(values)
    parts, state = [], None
    for start, stop in pairwise([0, *(cut for cut in (steps // 3, 2 * steps // 3) if 0 < cut < steps), steps]):
        valid = (lengths - start).clamp(0, stop - start)
        outputs, state = case.subject.run(time_slice(values, start, stop), valid, state)
        parts.append(outputs)
    whole = torch.cat(parts, 1) if case.per_step else parts[-1]
    yield from case.apart(case.split((whole, state), rows), rows)


def single_steps(case: Case) -> Iterator[Found]:
    """Each row one step at a time."""
    case.subject.check_streamable()
    for row in case.filled():
        parts, state = [], None
        values = case.row(row)
        for t in range(case.lengths[row]):
            outputs, state = case.step(first_step(values, t), state)
            parts.append(outputs[0])
        yield from case.apart([Answer(torch.stack(parts) if case.per_step else parts[-1], state)], [row])


def two_at_once(case: Case) -> Iterator[Found]:
    """Two rows in turns, a piece of one and a piece of the other; and the same piece twice from one state, which stays
    as it was given."""
    case.subject.check_streamable()
    rows = case.filled()
    for one, other in zip(rows, rows[1:] + rows[:1], strict=True):
        states: dict[int, Tree] = {}
        parts: dict[int, list[Tensor]] = {0: [], 1: []}
        for half in (0, 1):
            for place, row in enumerate((one, other)):
                middle = case.lengths[row] // 2
                piece = (0, middle) if half == 0 else (middle, case.lengths[row])
                if piece[0] == piece[1]:
                    continue
                values, given = time_slice(case.row(row), *piece), states.get(place)
                kept_values, kept = copied(values), copied(given)
                outputs, states[place] = case.subject.run(values, None, given)
                outputs, end = copied(outputs), copied(states[place])
                yield Found(row, max(difference(values, kept_values), state_difference(given, kept)))
                again, _ = case.subject.run(values, None, given)
                yield Found(row, max(difference(again, outputs), state_difference(states[place], end)))
                parts[place].append(outputs)
        for place, row in enumerate((one, other)):
            whole = torch.cat(parts[place], 1)[0] if case.per_step else parts[place][-1][0]
            yield from case.apart([Answer(whole, states[place])], [row])


def resumed(case: Case) -> Iterator[Found]:
    """Each row with its state written down and read again in the middle."""
    case.subject.check_streamable()
    for row in case.filled():
        steps = case.lengths[row]
        if steps > 1:
            yield from case.apart([case.alone(row, [steps // 2], case.keep)], [row])


def fresh_start(case: Case) -> Iterator[Found]:
    """Each row from the state that the module itself calls its initial one."""
    case.subject.needs("state")
    begin = case.subject.initial_state
    if begin is None:
        raise DoesNotApply("it has no initial_state")
    case.subject.check_streamable()
    for row in case.filled():
        outputs, state = case.subject.run(case.row(row), None, begin(1))
        yield from case.apart(case.split((outputs, state), [row]), [row])


def resets(case: Case) -> Iterator[Found]:
    """Rows of several episodes, a new one at each reset, and each episode by itself."""
    case.subject.needs("resets")
    draw = random.Random(1)
    rows = case.filled(SHORT)
    groups = [[row] for row in rows] + ([rows] if "lengths" in case.subject.options else [])
    for group in groups:
        values, lengths = case.batch(group)
        begins = (
            torch.rand(len(group), _steps(values), generator=torch.Generator().manual_seed(draw.randrange(99))) < 0.3
        )
        begins[:, int(lengths.min()) // 2] = True
        given = (values, lengths) if len(group) > 1 else (values,)
        outputs, _ = case.subject.run(*given, resets=begins.to(_device(values)))
        for place, row in enumerate(group):
            steps = case.lengths[row]
            edges = [0, *(t for t in range(1, steps) if bool(begins[place, t])), steps]
            episodes = [case.subject.run(time_slice(case.row(row), *edge))[0] for edge in pairwise(edges)]
            apart = torch.cat(episodes, 1)[0] if case.per_step else episodes[-1][0]
            yield Found(row, difference(outputs[place, :steps] if case.per_step else outputs[place], apart))


def sessions(case: Case) -> Iterator[Found]:
    """A live session: step by step and in pushes, forked in the middle, and again after a reset."""
    if case.subject.stream is None:
        raise DoesNotApply("it has no stream()")
    case.subject.check_streamable()
    session = case.subject.stream()
    for row in case.filled():
        steps, values = case.lengths[row], map_values(lambda part: part[0], case.row(row))
        middle = steps // 2
        for way in ("step", "push"):
            session.reset()
            if way == "step":
                parts = [session.step(map_values(lambda part: part[t], values))[None] for t in range(middle)]  # noqa: B023
            else:
                parts = [session.push(map_values(lambda part: part[:middle], values))] if middle else []  # noqa: B023
            forked = session.fork()
            rest = map_values(lambda part: part[middle:], values)  # noqa: B023
            for one in (forked, session):
                outputs = [*parts, one.push(rest)]
                whole = torch.cat(outputs) if case.per_step else outputs[-1]
                yield from case.apart([Answer(whole, None)], [row])


def no_steps(case: Case) -> Iterator[Found]:
    """Sequences of length 0: alone, between others, and as a piece that changes no state."""
    if not case.subject.takes_empty:
        raise DoesNotApply("torch's recurrent layers take no sequence of length 0")
    empty = [row for row, steps in enumerate(case.lengths) if steps == 0]
    if not empty:
        raise DoesNotApply("no row has length 0")
    yield from case.apart([_one(case, row) for row in empty], empty)
    others = case.filled(SHORT)
    if "lengths" in case.subject.options:
        rows = [empty[0], *others, empty[0]]
        values, lengths = case.batch(rows, poison=True)
        yield from case.apart(case.split(case.subject.run(values, lengths), rows), rows)
    try:
        case.subject.check_streamable()
    except DoesNotApply:
        return
    row = others[-1]
    cuts = [0, case.lengths[row] // 2, case.lengths[row] // 2, case.lengths[row]]
    yield from case.apart([case.alone(row, cuts[:-1])], [row])


def gradients(case: Case) -> Iterator[Found]:
    """Gradients of the weights from a padded batch, and the sum of those of each row by itself."""
    case.subject.needs("lengths")
    weights = [one for one in case.subject.module.parameters() if one.requires_grad]
    rows = case.filled(SHORT)
    values, lengths = case.batch(rows, poison=True)
    if not weights:
        raise DoesNotApply("no weight requires a gradient")
    if any(one.is_cuda for one in weights):
        raise DoesNotApply("cuDNN gives no gradients in evaluation; certify on a CPU to compare them")

    def of(answers: list[Answer]) -> list[Tensor]:
        total = torch.stack([_weighted(answer.outputs) for answer in answers]).sum()
        if not total.requires_grad:
            raise DoesNotApply("its outputs carry no gradient")
        found = torch.autograd.grad(total, weights, allow_unused=True)
        return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]

    with torch.enable_grad():
        together = of(case.split(case.subject.run(values, lengths), rows, states=False))
        apart = of([_one(case, row) for row in rows])
    for one, other in zip(together, apart, strict=True):
        yield Found(None, difference(one, other))


def both_ends(case: Case) -> Iterator[Found]:
    """The backward direction's answer is that of its last step read, the first of the sequence: with the forward
    direction silenced, another first step still gives another answer."""
    if case.per_step:
        raise DoesNotApply("outputs are one a step")
    silenced = case.subject.twin(_silence_forward)
    with torch.no_grad():
        for row in case.filled():
            if case.lengths[row] < 3:
                continue
            values = time_slice(case.row(row), 0, 3)
            for step in (1, 2):
                other = map_values(lambda part: torch.cat([part[:, step : step + 1], part[:, 1:]], 1), values)  # noqa: B023
                if not bool(_same(other, values)) and difference(silenced.run(other)[0], silenced.run(values)[0]) > 0:
                    yield Found(row, 0.0)
                    return
    yield Found(None, float("inf"))


PAIRS: dict[str, Pair] = {
    "repeated": repeated,
    "padded": padded,
    "left padded": left_padded,
    "shuffled": shuffled,
    "packed": packed,
    "chunks": chunks,
    "chunks of a batch": chunks_of_a_batch,
    "single steps": single_steps,
    "two at once": two_at_once,
    "resumed": resumed,
    "fresh start": fresh_start,
    "resets": resets,
    "sessions": sessions,
    "no steps": no_steps,
    "gradients": gradients,
    "both ends": both_ends,
}
"""Every comparison with one shot, by its name in a certificate; engines come beside them."""


def on_another(twin: Callable[[], Subject]) -> Pair:
    """The pair of the same rows on another engine or another module: each alone, padded in a batch, and in halves."""

    def run(case: Case) -> Iterator[Found]:
        other = twin()
        with suppress(DoesNotApply):
            other.check_streamable()
            there = replace(case, subject=other)
            for row in case.filled():
                if case.lengths[row] > 1:
                    halves = there.alone(row, [case.lengths[row] // 2])
                    yield from case.apart([halves._replace(state=None)], [row])
        for row in case.filled():
            yield from case.apart(case.split(other.run(case.row(row)), [row], states=False), [row])
        if "lengths" in other.options:
            rows = case.filled()
            values, lengths = case.batch(rows)
            yield from case.apart(case.split(other.run(values, lengths), rows, states=False), rows)

    return run


def stacked(rows: list[Any], steps: int | None = None) -> Any:
    """Rows [1, T, …] as one batch, padded with zeros to a number of steps, or to the longest."""
    if isinstance(rows[0], Tensor):
        steps = max(row.shape[1] for row in rows) if steps is None else steps
        whole = rows[0].new_zeros(len(rows), steps, *rows[0].shape[2:])
        for place, row in enumerate(rows):
            whole[place, : row.shape[1]] = row[0, :steps]
        return whole
    return type(rows[0])(*(stacked(list(parts), steps) for parts in zip(*rows, strict=True)))


def chunk_cuts(steps: int) -> list[int]:
    """Where a row is cut into pieces of 1, 3, 2, 7, 5, 1, 3, … steps."""
    cuts: list[int] = []
    at = 0
    while True:
        at += CHUNKS[len(cuts) % len(CHUNKS)]
        if at >= steps:
            return cuts
        cuts.append(at)


def state_difference(one: Tree, other: Tree) -> float:
    """How far two states are apart; plain values beside the tensors count too."""
    if isinstance(other, Tensor | type(None)):
        return difference(one, other)
    if isinstance(other, dict):
        same = isinstance(one, dict) and one.keys() == other.keys()
        return max((state_difference(one[key], other[key]) for key in other), default=0.0) if same else float("inf")
    if isinstance(other, tuple | list):
        if type(one) is not type(other) or len(one) != len(other):
            return float("inf")
        return max((state_difference(a, b) for a, b in zip(one, other, strict=True)), default=0.0)
    return 0.0 if one == other else float("inf")


def _one(case: Case, row: int) -> Answer:
    return case.split(case.subject.run(case.row(row)), [row])[0]


def _poisoned(values: Tensor, outside: Tensor) -> Tensor:
    """NaN on padding; of ids another one that is legal."""
    outside = outside.view(*outside.shape, *[1] * (values.dim() - 2)).to(values.device)
    bad = float("nan") if values.is_floating_point() else int(values.max()) if values.numel() else 0
    return values.masked_fill(outside, bad)


def _silence_forward(module: nn.Module) -> None:
    """Zero the weights of every forward direction beside a backward one, so that only the backward one speaks."""
    found = False
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, Recurrent) and part.bidirectional:
                pairs = [directions for directions in part.stack() if len(directions) == 2]  # no Transformer layers
                weights = [one for forward, _ in pairs for one in forward.parameters()]
            elif isinstance(part, nn.RNNBase) and part.bidirectional:
                weights = [one for name, one in part.named_parameters() if not name.endswith("_reverse")]
            else:
                continue
            found = found or bool(weights)
            for one in weights:
                one.zero_()
    if not found:
        raise DoesNotApply("it has no bidirectional layer of recurra.nn or torch.nn")


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: one for name, one in module.state_dict().items() if isinstance(one, Tensor)}


def _same(one: Any, other: Any) -> bool:
    return difference(one, other) == 0.0


def _steps(values: Any) -> int:
    return int(first_tensor(values).shape[1])


def _device(values: Any) -> torch.device:
    return first_tensor(values).device


def _weighted(outputs: Tensor) -> Tensor:
    """A sum in which every element counts differently, so that no error cancels."""
    weights = torch.arange(outputs.numel(), dtype=outputs.dtype, device=outputs.device).mul(0.7).sin()
    return (outputs * weights.view_as(outputs)).sum()
