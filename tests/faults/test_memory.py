"""Memory that runs out, really: the batch, its longest sequence and the options that help are named; status 1."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import recurra
from recurra.errors import WorkError
from recurra.memory import is_memory_fault, memory_faults_named

from ..training.tiny import Tiny, train
from .forks import Forks

MEGABYTE = 1 << 20
bounded = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_AS")


@bounded
def test_a_step_that_needs_too_much_names_batch_longest_sequence_and_options(forks: Forks, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    wide = {"embedding_size": 20_000, "batch_size": 48, "epochs": 1}
    answer = forks.train(folder, settings=wide, memory=40 * MEGABYTE)
    assert answer.exit_status == 1, answer
    assert answer.said["kind"] == "WorkError"
    assert re.fullmatch(
        rf"step \d: the memory does not suffice for a batch of \d+: lines [\d, …]+ of {forks.data} "
        r"\(the longest has 8 steps\); give a smaller batch_size, max_length or hidden_size, or bound batches by "
        r"batch_tokens \(accumulate makes up for smaller batches\)",
        answer.error,
    )
    assert forks.resume(folder).exit_status == 0  # where there is more


def test_a_model_that_is_too_large_to_be_trained_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("recurra.training.checkpoint.format_safetensors", short)
    with pytest.raises(WorkError) as caught:
        train(Tiny(), tmp_path)
    assert str(caught.value) == (
        "training: the memory does not suffice for a model of 50 parameters, with its optimiser and its checkpoint; "
        "give a smaller hidden_size, num_layers, embedding_size or vocabulary_size"
    )


@bounded
def test_a_prediction_that_needs_too_much_names_its_rows_and_options(forks: Forks, tmp_path: Path) -> None:
    long = " ".join("abcdefgh" * 40_000)
    assert (
        forks.train(tmp_path / "run", settings={"max_length": 400_000, "epochs": 1, "hidden_size": 64}).exit_status == 0
    )
    answer = forks.predict(tmp_path / "run", inputs=["a b", long, "c"], memory=300 * MEGABYTE)
    assert answer.exit_status == 1, answer
    assert re.fullmatch(
        r"prediction: the memory does not suffice for 3 rows at a time, the longest of 320000 steps; "
        r"train with a smaller max_length, hidden_size or batch_tokens, or predict where there is more memory",
        answer.error,
    )


def test_an_evaluation_that_needs_too_much_is_named_in_the_same_way(
    never_stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recurra.load(never_stopped)

    def short(*_: Any, **__: Any) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(run.model, "forward", short)
    with pytest.raises(WorkError, match=r"prediction: the memory does not suffice for \d rows at a time, the longest"):
        run.evaluate()


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_says_that_memory_ran_out(error: Exception, is_one: bool) -> None:
    assert is_memory_fault(error) == is_one
    with pytest.raises(WorkError if is_one else type(error)), memory_faults_named("here", lambda: "this", "do that"):
        raise error
