"""Being told to stop: the signal is noted, the step is finished, everything is saved; or, outside of steps, at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from recurra.training.protocol import Interrupted

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # SIGHUP is not on every system


class StopNow(KeyboardInterrupt):
    """A signal that does not wait; no `except Exception` on its way takes it for something else."""

    def __init__(self, signal: int) -> None:
        super().__init__()
        self.signal = signal


@dataclass
class StopRequest:
    """Whether the process was told to stop: the number of the first signal."""

    signal: int | None = None


@contextlib.contextmanager
def stop_requests(*, at_once: bool = True) -> Iterator[StopRequest]:
    """Note the first signal that asks for an end, and stop at once, by StopNow, at a second one.

    A signal that the process ignores stays ignored (nohup, shell background), and one handled by C code is left to
    it. Handlers belong to the main thread: in any other, nothing is installed. The old ones are put back at the end.

    Args:
        at_once: False where a second signal means no more than the first: torchrun passes on to its processes what a
            terminal has sent them already.
    """
    request = StopRequest()

    def note(number: int) -> None:
        if request.signal is not None and at_once:
            raise StopNow(request.signal)
        request.signal = request.signal or number

    with _handled(note):
        yield request


@contextlib.contextmanager
def stopping_at_once(what: Callable[[], str]) -> Iterator[None]:
    """Stop at the first signal, wherever the block is.

    Args:
        what: what is saved and how to go on; asked when it is over.

    Raises:
        Interrupted: a signal came.
    """

    def stop(number: int) -> None:
        raise StopNow(number)

    try:
        with _handled(stop):
            yield
    except StopNow as stopped:
        raise Interrupted(stopped.signal, what()) from stopped


@contextlib.contextmanager
def _handled(handle: Callable[[int], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, frame: FrameType | None) -> None:
        handle(number)

    old = {number: signal.getsignal(number) for number in STOPPING}
    ours = [number for number, before in old.items() if before not in (None, signal.SIG_IGN)]
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, old[number])
