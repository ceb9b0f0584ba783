"""Being told to stop: the signal is noted, the step is finished, everything is saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # SIGHUP is not on every system


@dataclass
class StopRequest:
    """Whether the process was told to stop: the number of the first signal."""

    signal: int | None = None


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note the first signal that asks for an end, and stop at once at a second one.

    A signal that the process ignores stays ignored (nohup, shell background), and one handled by C code is left to
    it. Handlers belong to the main thread: in any other, nothing is installed. The old ones are put back at the end.
    """
    request = StopRequest()

    def note(number: int, frame: FrameType | None) -> None:
        if request.signal is not None:
            raise KeyboardInterrupt
        request.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    old = {number: signal.getsignal(number) for number in STOPPING}
    ours = [number for number, handler in old.items() if handler not in (None, signal.SIG_IGN)]
    for number in ours:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number in ours:
            signal.signal(number, old[number])
