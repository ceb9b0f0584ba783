"""A thread for each tracker: it may fail or hang, and training does not."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from recurra.training.trackers.tracker import Tracker

FINISH_SECONDS = 30.0


class Worker:
    """Calls a tracker in a thread of its own, one call after the other; after an error, none.

    Args:
        name: what notes call it.
        tracker: only this thread calls it.
    """

    def __init__(self, name: str, tracker: Tracker) -> None:
        self.name = name
        self._tracker = tracker
        self._calls: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        self._told = False
        # a daemon: the process may end though the tracker hangs
        self._thread = threading.Thread(target=self._work, name=f"recurra-{name}", daemon=True)
        self._thread.start()

    def call(self, method: str, *arguments: Any) -> None:
        """Have a method of the tracker called, without waiting for it."""
        if self._error is None:
            self._calls.put(lambda tracker: getattr(tracker, method)(*arguments))

    def finish(self, *arguments: Any) -> None:
        """Have the tracker finished, as its last call, without waiting for it."""
        self.call("finish", *arguments)
        self._calls.put(None)

    def wait(self, deadline: float) -> None:
        """Wait until every call is done, at most until `deadline` (time.monotonic)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._error = TimeoutError("it does not come to an end")

    def trouble(self) -> str | None:
        """Once: what went wrong, as a note for the user."""
        if self._error is None or self._told:
            return None
        self._told = True
        words = " ".join(f"{type(self._error).__name__}: {self._error}".split())
        return f"tracker {self.name}: {words[:200]}; training goes on without it"

    def _work(self) -> None:
        while (call := self._calls.get()) is not None and self._error is None:
            try:
                call(self._tracker)
            except Exception as error:
                self._error = error
