"""Several processes that train one model: each takes its share of every batch, and all take the same step.

One process and several agree: the rows of a batch are dealt like cards, noise is drawn for the whole batch on each
(`recurra.randomness.rows_dealt`), losses and gradients are sums, divided by the count of targets of all. The first
process alone evaluates and owns the run folder; the others hear from it what it found.

The processes are started by torchrun and find each other by what it leaves in the environment; Fabric knows which
device is whose and joins them.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import logging
import os
import signal as signals
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from recurra.errors import Elsewhere, SettingsError, WorkError
from recurra.optional import require
from recurra.sequence import Sequence, map_values
from recurra.training.devices import choose_device

MESSAGE_MINUTES = 30  # a step may wait for a checkpoint that the first process writes, and for nothing longer
FOUND_DAYS = 30  # an evaluation, the plain methods or a report may take the first process any time
GONE_SECONDS = 3.0  # in which a process that was killed has gone from the system's table

T = TypeVar("T")


class Word(NamedTuple):
    """What all processes have agreed on."""

    signal: int | None
    """The signal that told one of them to stop."""
    seconds: float
    """The first one's clock."""


class Processes:
    """A process alone: nothing is sent, nothing is waited for."""

    rank = 0
    """Number of this process, from 0."""
    count = 1
    """How many there are."""
    local_rank = 0
    """Number of this process on its machine."""

    @property
    def first(self) -> bool:
        """Whether this one evaluates, writes and speaks."""
        return self.rank == 0

    def device_of(self, name: str) -> torch.device:
        """The device of this process.

        Args:
            name: as for `choose_device`; of several processes that with which they were joined.

        Raises:
            SettingsError: there is no such device.
        """
        return choose_device(name)

    def say(self, signal: int | None, seconds: float) -> Word:
        """Give this process's signal and clock to all, with the next message; what all agreed on with the last one."""
        return Word(signal, seconds)

    def add(self, tensors: list[Tensor], numbers: list[Tensor | float]) -> list[float]:
        """Add tensors up over all processes, in place, and numbers, which come back: one message.

        Raises:
            WorkError: another process is gone.
        """
        return [float(one) for one in numbers]

    def found(self, find: Callable[[], T]) -> T:
        """What the first process finds (plain values fit for JSON), on all of them; the others wait for it.

        Raises:
            Elsewhere: the first process failed.
            WorkError: it is gone.
        """
        return find()

    def begin(self, weights: list[Tensor]) -> None:
        """Begin a training: all have the first process's weights, in place; nothing is agreed on yet.

        Raises:
            WorkError: another process is gone.
        """

    def joined_rows(self, own: Tensor) -> Tensor:
        """All rows of which `share` dealt this process its own [B, …].

        Raises:
            WorkError: another process is gone.
        """
        return own


ALONE = Processes()


class Together(Processes):
    """One of several processes that have found each other.

    Args:
        device: of this process.
        rank, count, local_rank: as for `Processes`.
    """

    def __init__(self, device: torch.device, rank: int, count: int, local_rank: int) -> None:
        self.device, self.rank, self.count, self.local_rank = device, rank, count, local_rank
        self._said = self._agreed = Word(None, 0.0)
        # words go by way of the CPU, and apart from the gradients: whoever waits for an evaluation waits in patience
        self._words = torch.distributed.new_group(backend="gloo", timeout=timedelta(days=FOUND_DAYS))
        self._neighbours = self._process_ids()

    def device_of(self, name: str) -> torch.device:
        """As in `Processes`."""
        return self.device

    def say(self, signal: int | None, seconds: float) -> Word:
        """As in `Processes`."""
        self._said = Word(signal, seconds)
        return self._agreed

    def add(self, tensors: list[Tensor], numbers: list[Tensor | float]) -> list[float]:
        """As in `Processes`; numbers come back in the precision of the tensors, of float32 at least."""
        dtype = functools.reduce(torch.promote_types, [one.dtype for one in tensors], torch.float32)
        own = (*numbers, float(self._said.signal is not None), self._said.seconds if self.first else 0.0)
        tail = torch.stack([torch.as_tensor(one).to(self.device, dtype) for one in own])
        message = torch.cat([*(one.detach().reshape(-1).to(dtype) for one in tensors), tail])
        with self._all_there():
            torch.distributed.all_reduce(message)
        *parts, tail = torch.split(message, [*(one.numel() for one in tensors), len(own)])
        for one, part in zip(tensors, parts, strict=True):
            one.copy_(part.view_as(one))
        sums: list[float]
        *sums, told, seconds = tail.tolist()
        self._agreed = Word((self._said.signal or int(signals.SIGTERM)) if told else None, seconds)
        return sums

    def found(self, find: Callable[[], T]) -> T:
        """As in `Processes`."""
        if not self.first:
            answer = json.loads(self._from_first(b""))
            if "fault" in answer:
                raise Elsewhere(f"process 0 stopped: {answer['fault']}")
            value: T = answer["found"]
            return value
        try:
            here = find()
        except Exception as error:
            self._from_first(json.dumps({"fault": str(error)}).encode())
            raise
        self._from_first(json.dumps({"found": here}).encode())
        return here

    def begin(self, weights: list[Tensor]) -> None:
        """As in `Processes`."""
        self._said = self._agreed = Word(None, 0.0)
        with self._all_there():
            for one in weights:
                torch.distributed.broadcast(one, 0)

    def joined_rows(self, own: Tensor) -> Tensor:
        """As in `Processes`."""
        total = int(self.add([], [float(own.shape[0])])[0])
        whole = torch.zeros(total, *own.shape[1:], dtype=own.dtype, device=own.device)
        whole[self.rank :: self.count] = own
        with self._all_there():
            torch.distributed.all_reduce(whole)
        return whole

    def _from_first(self, content: bytes) -> bytes:
        with self._all_there():
            size = torch.tensor([len(content)])
            torch.distributed.broadcast(size, 0, group=self._words)
            letters = torch.frombuffer(bytearray(content.ljust(int(size), b" ")), dtype=torch.uint8)
            torch.distributed.broadcast(letters, 0, group=self._words)
        return letters.numpy().tobytes()

    def _process_ids(self) -> dict[int, int]:
        """The process ids, by rank, of those on this machine."""
        own = torch.zeros(self.count, 2, dtype=torch.int64)
        own[self.rank] = torch.tensor([_machine(), os.getpid()])
        torch.distributed.all_reduce(own, group=self._words)
        return {rank: pid for rank, (machine, pid) in enumerate(own.tolist()) if machine == _machine()}

    @contextlib.contextmanager
    def _all_there(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # torch's errors of connections are of this kind
            raise WorkError(
                f"{self._who_is_gone()}, so process {self.rank} of {self.count} stops too; what the run folder's last "
                "checkpoint holds is saved, and `recurra train --resume` goes on from there"
            ) from error

    def _who_is_gone(self) -> str:
        until = time.perf_counter() + GONE_SECONDS
        while time.perf_counter() < until:
            gone = [rank for rank, pid in self._neighbours.items() if not _lives(pid)]
            if gone:
                return f"process {' and '.join(map(str, gone))} of {self.count} has ended in the middle of the training"
            time.sleep(0.05)
        return "another process has ended, or does not answer"


def several() -> bool:
    """Whether torchrun started more processes than this one."""
    return _from_environment("WORLD_SIZE", 1) > 1


def processes_here(device_name: str) -> Processes:
    """This process alone, or where torchrun started several, those joined; the same ones in every later call.

    Args:
        device_name: as for `choose_device`; every process of a machine takes a GPU of its own.

    Raises:
        SettingsError: the device cannot be shared out, or the machines start different numbers of processes.
    """
    if not several():
        return ALONE
    count = _from_environment("WORLD_SIZE", 1)
    here, rank, local_rank = (_from_environment(name, 0) for name in ("LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK"))
    if not here or count % here:
        raise SettingsError(
            f"WORLD_SIZE is {count} and LOCAL_WORLD_SIZE is {here}: start as many processes on each machine, with "
            "torchrun --nproc-per-node N -m recurra train …"
        )
    device = choose_device(device_name, local_rank, here)
    return _join(device.type, here, count // here, rank, count, local_rank)


@functools.cache
def _join(kind: str, here: int, machines: int, rank: int, count: int, local_rank: int) -> Together:
    """Join the processes, once: torch does not take the same ones twice, so they stay joined until they end."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = require("lightning_fabric")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its import has set it to INFO
    strategy = require("lightning_fabric.strategies").DDPStrategy(timeout=timedelta(minutes=MESSAGE_MINUTES))
    joined = fabric.Fabric(accelerator=kind, devices=here, num_nodes=machines, strategy=strategy)
    joined.launch()
    atexit.register(_leave)
    return Together(joined.device, rank, count, local_rank)


def _leave() -> None:
    """Part in order: threads of gloo that are still there when Python's own memory goes would abort the process."""
    _join.cache_clear()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def share(batch: Any, processes: Processes) -> Any:
    """This process's rows of a batch.

    Every row is dealt to one process: row n to process n modulo their number, so that rows in the order of their
    lengths are dealt evenly. They keep the padding of the whole batch, for which noise is drawn.

    Args:
        batch: a tensor or a Sequence, whose first dimension is the row; a tuple or NamedTuple of such, in which what
            has no rows (a number, a text, None) stays as it is.
        processes: among whom it is dealt.

    Raises:
        TypeError: it holds something else.
    """
    if isinstance(batch, Tensor):
        return batch[processes.rank :: processes.count].contiguous()
    if isinstance(batch, Sequence):
        values = map_values(lambda part: share(part, processes), batch.values)
        return Sequence(values, share(batch.lengths, processes))
    if isinstance(batch, tuple):
        parts = [share(part, processes) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    if batch is None or isinstance(batch, bool | int | float | str):
        return batch
    raise TypeError(f"a batch holds a {type(batch).__name__}; expected tensors and Sequences, in tuples")


def count_rows(batch: Any) -> int:
    """Rows of a batch: the first dimension of the first tensor in it; 0 where there is none."""
    if isinstance(batch, Sequence):
        return batch.batch_size
    if isinstance(batch, Tensor):
        return batch.shape[0]
    return next((rows for part in batch if (rows := count_rows(part))), 0) if isinstance(batch, tuple) else 0


def _from_environment(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise SettingsError(f"{name}: {text!r} is no number; it is set by torchrun, for every process it starts")
    return int(text)


def _machine() -> int:
    """The number of this machine, as torchrun counts them."""
    return _from_environment("GROUP_RANK", 0)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, as another user's
        pass
    return True
