"""A certificate: how far every other way to an answer is from one shot of the same module, and the verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from recurra.errors import InputError, NotStreamable, RecurraError
from recurra.html import html_table
from recurra.laws.agreement import TOLERANCES, difference
from recurra.laws.pairs import PAIRS, Case, Found, Pair, on_another
from recurra.laws.subject import DoesNotApply, Fails, Subject, engine_now, engines_of, in_evaluation, subject_of
from recurra.laws.trees import Tree, batch_dimensions, through_bytes
from recurra.randomness import seed_of
from recurra.sequence import first_tensor, map_values

LENGTHS = (13, 0, 1, 61, 7, 2, 127, 5, 31, 3)  # steps: none, one, primes; in no order
BOUND = 3.0  # largest drawn input, as in the laws
ROUNDINGS = 10  # a way may be this many times as far from one shot as rounding itself takes one shot
TELLING = 1e-3  # where rounding alone makes more than this, a difference tells nothing
ORDINARY = 32  # steps of the laws; a module that rounds worse than that within them is at fault, not rounding

Verdict = Literal["holds", "fails", "does not apply"]


@dataclass(frozen=True)
class Compared:
    """One pair of a certificate.

    name: the way that was compared with one shot. difference: the largest |a − b| / max(1, max |b|) of any tensor of
    any row; None where nothing was compared, or where results do not even have one shape or are not finite.
    tolerance: what was allowed at the row that came closest to it. verdict, and the reason of one that is not `holds`.
    """

    name: str
    difference: float | None
    tolerance: float | None
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Certificate:
    """What was compared of a module, on what, and what was found.

    subject: of what. pairs: in the order they were compared. lengths: steps of the rows. rounding: how far one shot is
    from the same in float64, at most. dtype, engine, device, threads, versions: what decides the last bits. seconds:
    the cost.
    """

    subject: str
    pairs: tuple[Compared, ...]
    lengths: tuple[int, ...]
    rounding: float
    dtype: str
    engine: str
    device: str
    threads: int
    versions: dict[str, str]
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether no pair fails."""
        return all(pair.verdict != "fails" for pair in self.pairs)

    @property
    def failing(self) -> tuple[Compared, ...]:
        """The pairs that fail."""
        return tuple(pair for pair in self.pairs if pair.verdict == "fails")

    def __getitem__(self, name: str) -> Compared:
        """A pair by its name."""
        return next(pair for pair in self.pairs if pair.name == name)

    def rows(self) -> list[list[Any]]:
        """The table: pair, largest difference, tolerance, verdict with its reason."""
        return [[one.name, _short(one.difference), _short(one.tolerance), _verdict(one)] for one in self.pairs]

    def to_json(self) -> dict[str, Any]:
        """Plain values; a difference that is no number is null."""
        return {"holds": self.holds, **asdict(self), "pairs": [asdict(pair) for pair in self.pairs]}

    def _repr_html_(self) -> str:
        return html_table(f"{self.subject}: {'certified' if self.holds else 'not certified'}", HEADER, self.rows())


HEADER = ["one shot and", "largest difference", "allowed", "verdict"]


def certify_module(
    module: nn.Module,
    rows: Sequence[Any] | None = None,
    *,
    input_size: int | None = None,
    vocabulary_size: int | None = None,
    lengths: Sequence[int] = LENGTHS,
    others: Mapping[str, nn.Module] | None = None,
    does_not_apply: Mapping[str, str] | None = None,
    keep: Callable[[Tree], Tree] = through_bytes,
) -> Certificate:
    """Compare one shot of a module with every other way to the same answers.

    One shot is each sequence alone, whole, without padding. Beside it stand: padded batches, other orders and company,
    packed rows, chunks, single steps, turns of two sequences, a state saved and loaded, resets, sessions, sequences of
    no steps, gradients, every engine. The module is put in evaluation and afterwards back; it is not changed.

    Args:
        module: `forward(x, state, lengths=…)` → (outputs, state), x [B, T, D] or ids [B, T], outputs [B, T, O] or one
            answer a sequence [B, O]; or torch.nn.RNN, LSTM or GRU. What it offers is found by name: arguments
            `lengths`, `resets`, `padding` and the state (second) of forward; `step`, `initial_state`, `stream`.
        rows: sequences to run on, each [T, D] or ids [T]; None: drawn.
        input_size: features of drawn sequences; None: the module's own `input_size`.
        vocabulary_size: draw ids below this instead.
        lengths: steps of drawn sequences.
        others: modules that are to give the same answers, by name: a port, another engine of one's own.
        does_not_apply: comparison → the reason why this module cannot have it.
        keep: a state written down and read again.

    Returns:
        A certificate; `certificate.holds` is the verdict. A pair that the module cannot have says why.

    Raises:
        InputError: there is nothing to run on, or the dtype has no tolerance.

    Example:
        >>> certify_module(Recurrent("gru", 8, 16)).holds
        True
    """
    subject = subject_of(module, dict(does_not_apply or {}))
    weight = next((one for one in module.parameters() if one.is_floating_point()), torch.zeros(()))
    if rows is None:
        rows = _drawn(module, weight, input_size, vocabulary_size, lengths)
    given = [map_values(lambda part: part[None].to(weight.device), row) for row in rows]
    pairs = {f"module {name}": on_another(partial(subject.bound, other)) for name, other in (others or {}).items()}
    return certify_subject(subject, given, type(module).__name__, keep=keep, more=pairs)


def certify_subject(
    subject: Subject,
    rows: list[Any],
    name: str,
    *,
    keep: Callable[[Tree], Tree] = through_bytes,
    more: Mapping[str, Pair] | None = None,
    versions: Mapping[str, str] | None = None,
) -> Certificate:
    """`certify_module` for what is called in a way of its own.

    Args:
        subject: the module, and how it is called.
        rows: values [1, T, …] on the module's device.
        name: what the certificate is of.
        keep: a state written down and read again.
        more: further pairs by name.
        versions: beside torch's.

    Raises:
        InputError: the dtype has no tolerance, or no row can be run at all.
    """
    begun = time.perf_counter()
    with in_evaluation(subject.module), torch.no_grad():
        dtype, device = _kind(subject.module)
        case = make_case(subject, rows, keep)
        roundings, exact = _roundings(case, dtype)
        allowed = [max(TOLERANCES[dtype], ROUNDINGS * one) for one in roundings]
        told = [row for row, one in enumerate(roundings) if one <= TELLING]
        pairs: dict[str, Pair] = {"float64": exact, **PAIRS}
        pairs |= {f"engine {engine}": on_another(twin) for engine, twin in engines_of(subject)}
        pairs |= dict(more or {})
        found = tuple(measure(title, pair, case, allowed, set(told)) for title, pair in pairs.items())
    return Certificate(
        subject=name,
        pairs=found,
        lengths=tuple(case.lengths[row] for row in told),
        rounding=max((roundings[row] for row in told), default=0.0),
        dtype=str(dtype).removeprefix("torch."),
        engine=engine_now(subject),
        device=str(device),
        threads=torch.get_num_threads(),
        versions={"torch": torch.__version__, **(versions or {})},
        seconds=round(time.perf_counter() - begun, 3),
    )


def make_case(subject: Subject, rows: list[Any], keep: Callable[[Tree], Tree] = through_bytes) -> Case:
    """Rows, and what one shot answers to each.

    Raises:
        InputError: not even one shot runs.
    """
    rows = [row for row in rows if subject.takes_empty or _steps(row)]
    probe = max(rows, key=_steps, default=None)
    if probe is None or _steps(probe) < 2:
        raise InputError("certify: a sequence of 2 steps or more is needed; give such rows or lengths")
    try:
        longer, shorter = (subject.run(map_values(lambda part: part[:, :steps], probe)) for steps in (2, 1))  # noqa: B023
        per_step = longer[0].dim() > 1 and (longer[0].shape[1], shorter[0].shape[1]) == (2, 1)
        dimensions = _dimensions(subject, probe)
        bare = Case(subject, rows, [_steps(row) for row in rows], [], per_step, dimensions, keep)
        reference = []
        for row, values in enumerate(rows):
            if _steps(values):
                reference += bare.split(subject.run(bare.row(row)), [row])
            else:
                reference += _of_nothing(bare, row)
    except RecurraError:
        raise
    except Exception as error:
        raise InputError(
            f"certify: one shot of {type(subject.module).__name__} does not run: {type(error).__name__}: {error}; "
            "give rows, input_size or vocabulary_size that its forward takes"
        ) from error
    return Case(subject, rows, bare.lengths, reference, per_step, dimensions, keep)


def measure(name: str, pair: Pair, case: Case, allowed: list[float], told: set[int]) -> Compared:
    """One pair: its largest difference, and the verdict."""
    if reason := case.subject.reasons.get(name):
        return Compared(name, None, None, "does not apply", reason)
    widest = max((allowed[row] for row in told), default=max(allowed))  # of what is the sum of several rows
    largest, worst = 0.0, Found(None, 0.0)
    ratio, compared = -1.0, 0
    try:
        for found in pair(case):
            if found.row is not None and found.row not in told:
                continue
            compared += 1
            tolerance = widest if found.row is None else allowed[found.row]
            largest = max(largest, found.difference)
            if found.difference / tolerance > ratio:
                ratio, worst = found.difference / tolerance, found
    except (DoesNotApply, NotStreamable) as reason:
        return Compared(name, None, None, "does not apply", str(reason))
    except Fails as reason:
        return Compared(name, None, None, "fails", str(reason))
    except Exception as error:  # a module that cannot even be called this way, whatever it raises
        return Compared(name, None, None, "fails", " ".join(f"{type(error).__name__}: {error}".split()))
    if not compared:
        return Compared(name, None, None, "does not apply", "there is no row to compare")
    tolerance = widest if worst.row is None else allowed[worst.row]
    number = largest if math.isfinite(largest) else None
    if ratio <= 1:
        return Compared(name, number, tolerance, "holds")
    where = "" if worst.row is None else f" at {case.lengths[worst.row]} steps"
    how = f"{worst.difference:.1e} apart" if number is not None else "another shape, or not finite in one place only"
    return Compared(name, number, tolerance, "fails", f"{how}{where}")


def _roundings(case: Case, dtype: torch.dtype) -> tuple[list[float], Pair]:
    """How far one shot is from the same in float64, row by row, and that as a pair.

    Zeros where the module has no float64: then the plain tolerance is all there is.
    """
    found = [0.0] * len(case.rows)
    reason = "the module is in float64 already" if dtype == torch.float64 else ""
    if not reason:
        try:
            exact = case.subject.twin(lambda module: module.double())
            for row in [one for one, steps in enumerate(case.lengths) if steps]:
                wide = map_values(lambda part: part.double() if part.is_floating_point() else part, case.row(row))
                found[row] = difference(case.reference[row].outputs.double(), exact.run(wide)[0][0])
        except Exception as error:  # a module of the user's own that insists on its dtype
            found, reason = [0.0] * len(case.rows), f"it does not run in float64: {type(error).__name__}: {error}"

    def pair(case: Case) -> Iterator[Found]:
        """Of rows as long as those of the laws; a longer row may be one that the module's rounding grows on."""
        if reason:
            raise DoesNotApply(reason)
        for row in case.filled():
            if found[row] > TELLING and case.lengths[row] <= ORDINARY:
                raise ValueError(
                    f"one shot and the same in float64 are {found[row]:.1e} apart at {case.lengths[row]} steps"
                )
            yield Found(row, found[row])

    return found, pair


def _of_nothing(case: Case, row: int) -> Iterable[Any]:
    """One shot of no steps; a module that cannot do it is told so by its own pair."""
    try:
        return case.split(case.subject.run(case.row(row)), [row])
    except Exception:
        return [None]


def _dimensions(subject: Subject, probe: Any) -> Tree:
    def state(rows: int) -> Tree:
        return subject.run(map_values(lambda part: torch.cat([part[:, :1]] * rows), probe))[1]

    return batch_dimensions(state(2), state(3))


def _kind(module: nn.Module) -> tuple[torch.dtype, torch.device]:
    weight = next((one for one in module.parameters() if one.is_floating_point()), torch.zeros(()))
    if weight.dtype not in TOLERANCES:
        known = ", ".join(str(one).removeprefix("torch.") for one in TOLERANCES)
        raise InputError(
            f"certify: weights are {weight.dtype}, and tolerances are known for {known}; convert the module"
        )
    return weight.dtype, weight.device


def _drawn(
    module: nn.Module, weight: Tensor, input_size: int | None, vocabulary_size: int | None, lengths: Sequence[int]
) -> list[Tensor]:
    """Sequences of the lengths: normal numbers within ±3, or ids."""
    generator = torch.Generator().manual_seed(seed_of(0, "certificate"))
    if vocabulary_size is not None:
        return [torch.randint(vocabulary_size, (steps,), generator=generator) for steps in lengths]
    size = getattr(module, "input_size", None) if input_size is None else input_size
    if not isinstance(size, int):
        raise InputError(
            f"certify: {type(module).__name__} has no input_size; give input_size, vocabulary_size for ids, or rows"
        )
    return [
        torch.randn(steps, size, generator=generator, dtype=torch.float64).clamp(-BOUND, BOUND).to(weight.dtype)
        for steps in lengths
    ]


def _steps(values: Any) -> int:
    return int(first_tensor(values).shape[1])


def _short(number: float | None) -> str:
    return "" if number is None else f"{number:.1e}"


def _verdict(one: Compared) -> str:
    return f"{one.verdict}: {one.reason}" if one.reason else one.verdict
