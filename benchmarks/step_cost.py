"""What a training step of `recurra train classify` costs beside a bare PyTorch loop on the same batches.

    python benchmarks/step_cost.py [--rounds 9]

The same model (embedding, bidirectional LSTM, maximum over valid steps, linear layer), optimiser, clipping and
batches; the bare loop runs nn.LSTM on the padded batch as most scripts do, without packing, so it does less than a
right answer needs. Collating the batch is part of both. Rounds alternate; the figure is the median ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

import data
from recurra.data.partition import partition
from recurra.settings.structure import from_keywords
from recurra.tasks import Classify, ManyToOneTraining
from recurra.training.optimisation import make_optimiser
from recurra.training.step import take_step


class Bare(nn.Module):
    def __init__(self, vocabulary: int, bidirectional: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 128, padding_idx=0)
        self.lstm = nn.LSTM(128, 128, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(256 if bidirectional else 128, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embedding(x))[0].amax(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    results: dict[str, Any] = {}
    for name, bidirectional in (("one direction", False), ("bidirectional", True)):
        results[name] = one = measure(bidirectional, rounds)
        span = f"{min(one['ratios']):.3f} to {max(one['ratios']):.3f}"
        print(f"{name}: ours {one['ours_ms']:.2f} ms, bare {one['bare_ms']:.2f} ms, ratio {one['ratio']:.3f} ({span})")
    found = {"threads": torch.get_num_threads(), "torch": torch.__version__, **results}
    path = Path(__file__).parent / "results" / "step_cost.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


def measure(bidirectional: bool, rounds: int) -> dict[str, Any]:
    """Milliseconds a step of both, in turn over the same 100 batches."""
    settings = from_keywords(
        "classify",
        data=data.find("sst2/train.tsv"),
        valid=data.find("sst2/dev.tsv"),
        test=data.find("sst2/test.tsv"),
        header=False,
        input="1",
        target="2",
        cell="lstm",
        pooling="max",
        bidirectional=bidirectional,
        embedding_dropout=0.0,
        output_dropout=0.0,
    )
    parts = partition(settings.data, 0)
    task = Classify.fit_features(settings, parts.train)
    training = ManyToOneTraining(task, task.examples(parts.train), task.examples(parts.valid))
    ours = make_optimiser(task.model, settings.training)
    bare = Bare(len(task.features.vocabulary), bidirectional)
    theirs = torch.optim.AdamW(bare.parameters(), lr=1e-3, fused=True)
    batches = training.plan(0)[:100]
    examples, targets = training.train.encoded, training.train.targets

    def bare_step(rows: list[int]) -> None:
        x = nn.utils.rnn.pad_sequence([torch.from_numpy(examples[row].values.token) for row in rows], batch_first=True)
        loss = nn.functional.cross_entropy(bare(x), torch.tensor([targets[row] for row in rows]))
        theirs.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(bare.parameters(), 1.0)
        theirs.step()
        loss.item()

    def our_step(rows: list[int]) -> None:
        take_step(training, settings.training, ours, 0, [rows], 1e-3)

    def milliseconds(step: Callable[[list[int]], None]) -> float:
        began = time.perf_counter()
        for rows in batches:
            step(rows)
        return 1e3 * (time.perf_counter() - began) / len(batches)

    task.model.train()
    milliseconds(our_step), milliseconds(bare_step)  # the warm-up
    pairs = [(milliseconds(our_step), milliseconds(bare_step)) for _ in range(rounds)]
    ratios = [a / b for a, b in pairs]
    return {
        "ours_ms": statistics.median(a for a, _ in pairs),
        "bare_ms": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


if __name__ == "__main__":
    main()
