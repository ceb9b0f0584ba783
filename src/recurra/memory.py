"""Memory that ran out, told as a sentence: what was too large, and the options that help."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from recurra.errors import WorkError

WORDS = ("can't allocate memory", "out of memory", "std::bad_alloc", "ALLOC_FAILED")


def is_memory_fault(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch's own are told by name and words, so torch is not imported."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and any(words in str(error) for words in WORDS))
    )


@contextlib.contextmanager
def memory_faults_named(where: str, what: Callable[[], str], mend: str) -> Iterator[None]:
    """Say of what there was too much when memory runs out inside the block.

    Args:
        where: the work, as in "step 3".
        what: names what the memory did not suffice for; asked only then.
        mend: the options that help.

    Raises:
        WorkError: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_fault(error):
            raise
        raise WorkError(f"{where}: the memory does not suffice for {what()}; {mend}") from error
