"""What is under certificate: any module over sequences, called in one way, with what it offers found or told."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra.engines import Zoneout, select_engine, why_not
from recurra.engines.costs import native_may_win
from recurra.errors import NotStreamable, RecurraError, ShapeError
from recurra.laws.trees import Tree
from recurra.nn import Recurrent
from recurra.sequence import Padding, map_values
from recurra.settings.names import EngineName

Result = tuple[Any, Tree]
NOT_STATE = ("lengths", "resets", "padding", "mask", "noise")


class DoesNotApply(Exception):  # noqa: N818  no error: a fact about the module
    """A comparison that the module cannot have, with the reason."""


class Fails(Exception):  # noqa: N818  no error: a finding
    """A comparison that fails for a reason that is no difference of two numbers."""


@dataclass(frozen=True)
class Subject:
    """A module and how it is called.

    Args:
        module: what answers.
        run: (values [B, T, …], lengths or None, state or None, further options) → (outputs, state).
        step: (values [B, …], state or None) → (outputs, state); None: single steps are chunks of one.
        packed: (values, lengths) → (outputs, state), the batch packed on its way; None: it takes none.
        options: further arguments of `run` that it takes, of "lengths", "state", "resets" and "padding".
        initial_state: batch size → state; None where none is offered.
        stream: a live session of the module, with `step`, `push`, `reset`; None where none is offered.
        bound: what makes `run`, `step` and the rest for another module of the same kind.
        takes_empty: whether sequences of no steps are legal.
        poison: whether anything may stand on padding; else zeros must.
        within_steps: the name of a part that reads inside of a step, such as a word's characters, in any direction.
        reasons: comparison → why it does not apply.
    """

    module: nn.Module
    run: Callable[..., Result]
    step: Callable[[Any, Tree], Result] | None
    packed: Callable[[Any, Tensor], Result] | None
    options: frozenset[str]
    initial_state: Callable[[int], Tree] | None
    stream: Callable[[], Any] | None
    bound: Callable[[nn.Module], Subject]
    takes_empty: bool
    poison: bool
    within_steps: str
    reasons: dict[str, str]

    def needs(self, option: str) -> None:
        """Refuse a comparison that needs an argument of `run` that is not there.

        Raises:
            DoesNotApply
        """
        if option not in self.options:
            raise DoesNotApply(f"forward takes no {option}")

    def check_streamable(self) -> None:
        """Refuse a comparison that carries the state where the module reads sequences from their end.

        Raises:
            DoesNotApply
        """
        check = getattr(self.module, "check_streamable", None)
        if callable(check):
            try:
                check()
            except NotStreamable as error:
                raise DoesNotApply(str(error)) from error
        if name := bidirectional_part(self.module, self.within_steps):
            raise DoesNotApply(f"bidirectional ({name}): it reads each sequence from its end too")
        self.needs("state")

    def twin(self, change: Callable[[nn.Module], object]) -> Subject:
        """The same over a changed copy of the module.

        Raises:
            DoesNotApply: it cannot be copied.
        """
        try:
            other = copy.deepcopy(self.module)
        except Exception as error:  # whatever a module of the user's own raises
            raise DoesNotApply(f"the module cannot be copied: {error}") from error
        change(other)
        return self.bound(other)


def subject_of(module: nn.Module, reasons: dict[str, str] | None = None) -> Subject:
    """A module over sequences, by the names that `forward` and the module have.

    Args:
        module: torch.nn.RNN, LSTM or GRU; or any module whose `forward(x, state, lengths=…)` gives outputs and a state.
        reasons: comparison → why it does not apply, where the caller knows.
    """
    made = _torch(module) if isinstance(module, nn.RNNBase) else _module(module)
    return replace(made, reasons=dict(reasons or {}))


def argument_names(module: nn.Module) -> list[str]:
    """What `forward` takes, by name; what it hands on in `**options` is what the class above it takes."""
    found: list[str] = []
    for kind in type(module).__mro__:
        if "forward" not in vars(kind):
            continue
        parameters = list(inspect.signature(vars(kind)["forward"]).parameters.values())[1:]
        found += [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        if not any(one.kind == one.VAR_KEYWORD for one in parameters):
            break
    return list(dict.fromkeys(found))


def bidirectional_part(module: nn.Module, within_steps: str = "") -> str:
    """The name of the first part that reads both ways along time; empty where none does."""
    for name, part in module.named_modules():
        if within_steps and name.split(".")[0] == within_steps:
            continue
        if getattr(part, "bidirectional", False) is True:
            return name or type(part).__name__
    return ""


def _module(module: nn.Module) -> Subject:
    names = argument_names(module)
    second = next((name for name in names[1:2] if name not in NOT_STATE), "")
    state_name = "state" if "state" in names else second
    options = {name for name in ("lengths", "resets", "padding") if name in names} | (
        {"state"} if state_name else set()
    )

    def run(
        values: Any,
        lengths: Tensor | None = None,
        state: Tree = None,
        resets: Tensor | None = None,
        padding: Padding = "right",
    ) -> Result:
        given: dict[str, Any] = {}
        if lengths is not None:
            given["lengths"] = lengths
        if state is not None:
            given[state_name] = state
        if resets is not None:
            given["resets"] = resets
        if padding != "right":
            given["padding"] = padding
        return result(module(values, **given))

    def packed(values: Any, lengths: Tensor) -> Result:
        return unpacked(result(module(packed_rows(values, lengths))))

    def step(x: Any, state: Tree) -> Result:
        return result(module.step(x) if state is None else module.step(x, state))  # type: ignore[operator]

    return Subject(
        module=module,
        run=run,
        step=step if callable(getattr(module, "step", None)) else None,
        packed=packed,
        options=frozenset(options),
        initial_state=getattr(module, "initial_state", None),
        stream=getattr(module, "stream", None),
        bound=_module,
        takes_empty=True,
        poison=True,
        within_steps="",
        reasons={},
    )


def _torch(module: nn.Module) -> Subject:
    """torch.nn.RNN, LSTM and GRU, of any layout; lengths go in as packed rows, which must have a step or more."""
    assert isinstance(module, nn.RNNBase)

    def turned(values: Any) -> Any:
        return values if module.batch_first else values.transpose(0, 1)

    def run(values: Any, lengths: Tensor | None = None, state: Tree = None) -> Result:
        if lengths is not None:
            data, state = module(packed_rows(values, lengths), state)
            return pad_packed_sequence(data, batch_first=True, total_length=values.shape[1])[0], state
        outputs, state = module(turned(values), state)
        return turned(outputs), state

    def packed(values: Any, lengths: Tensor) -> Result:
        return run(values, lengths)

    return Subject(
        module=module,
        run=run,
        step=None,
        packed=packed,
        options=frozenset({"lengths", "state"}),
        initial_state=None,
        stream=getattr(module, "stream", None),
        bound=_torch,
        takes_empty=False,
        poison=True,
        within_steps="",
        reasons={},
    )


def result(found: Any) -> Result:
    """What a module answered as (outputs, state); outputs alone have the state None.

    Raises:
        ShapeError: it is neither.
    """
    if isinstance(found, Tensor | PackedSequence) and not (isinstance(found, tuple) and len(found) == 2):
        return found, None
    if isinstance(found, tuple) and len(found) == 2:
        return found[0], found[1]
    raise ShapeError(
        f"forward gave a {type(found).__name__}, expected outputs, or outputs and a state; wrap the module in one "
        "whose forward gives (outputs, state)"
    )


def packed_rows(values: Any, lengths: Tensor) -> PackedSequence:
    """A padded batch as torch's PackedSequence, in the order given."""
    return pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False)


def unpacked(found: Result) -> Result:
    """Outputs of a packed batch, padded; other outputs as they are."""
    outputs, state = found
    if isinstance(outputs, PackedSequence):
        return pad_packed_sequence(outputs, batch_first=True)[0], state
    return outputs, state


def engines_of(subject: Subject) -> Iterator[tuple[str, Callable[[], Subject]]]:
    """Every engine but the automatic choice, and what puts the subject on it, or raises DoesNotApply."""
    for engine in get_args(EngineName):
        if engine != "auto":
            yield engine, partial(_on_engine, subject, engine)


def engine_now(subject: Subject) -> str:
    """The engines that one shot runs on, as they were chosen; "its own" where no layer is one of recurra.nn.

    The native one is among them where "auto" takes it for some shapes.
    """
    chosen: set[str] = set()
    for layer in (part for part in subject.module.modules() if isinstance(part, Recurrent)):
        for one in (one for directions in layer.stack() for one in directions):
            zoneout = Zoneout(one.zoneout, None) if one.zoneout else None
            chosen.add(select_engine(layer.engine, one.cell, zoneout=zoneout))
            can = zoneout is None and not one.recurrent_dropout and "native" not in why_not(one.cell)
            if layer.engine == "auto" and can and native_may_win(type(one.cell).__name__):
                chosen.add("native")
    return ", ".join(sorted(chosen)) or "its own"


def _on_engine(subject: Subject, engine: EngineName) -> Subject:
    layers = [part for part in subject.module.modules() if isinstance(part, Recurrent)]
    if not layers:
        raise DoesNotApply("it has no layer of recurra.nn whose engine could be another")
    for layer in layers:
        for directions in layer.stack():
            for one in directions:
                try:
                    select_engine(engine, one.cell, zoneout=Zoneout(one.zoneout, None) if one.zoneout else None)
                except RecurraError as error:
                    raise DoesNotApply(str(error)) from error

    def change(other: nn.Module) -> None:
        for part in other.modules():
            if isinstance(part, Recurrent):
                part.engine = engine

    return subject.twin(change)


@contextlib.contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Every part in evaluation, and back to what it was."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def time_slice(values: Any, start: int, stop: int) -> Any:
    """Steps of values [B, T, …], a tensor or a named tuple of them."""
    return map_values(lambda part: part[:, start:stop], values)


def first_step(values: Any, at: int) -> Any:
    """One step of values [B, T, …] without the dimension of time."""
    return map_values(lambda part: part[:, at], values)
