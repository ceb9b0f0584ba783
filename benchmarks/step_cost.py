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
from pathlib import Path

import data
import torch
from torch import nn

from recurra.data.partition import partition
from recurra.settings.structure import from_keywords
from recurra.tasks import Classify, ClassifyTraining
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
    arguments = parser.parse_args()
    results = {}
    for bidirectional in (False, True):
        settings = from_keywords(
            "classify", data=str(data.find("sst2/train.tsv")), valid=str(data.find("sst2/dev.tsv")),
            test=str(data.find("sst2/test.tsv")), header=False, input="1", target="2", cell="lstm", pooling="max",
            bidirectional=bidirectional, embedding_dropout=0.0, output_dropout=0.0,
        )  # fmt: skip
        parts = partition(settings.data, 0)
        task = Classify.fit_features(settings, parts.train)
        training = ClassifyTraining(task, task.examples(parts.train), task.examples(parts.valid))
        ours = make_optimiser(task.model, settings.training)
        bare = Bare(len(task.features.vocabulary), bidirectional)
        theirs = torch.optim.AdamW(bare.parameters(), lr=1e-3, fused=True)
        batches = training.plan(0)[:100]

        def bare_step(rows: list[int]) -> None:
            x = nn.utils.rnn.pad_sequence(
                [torch.from_numpy(training.train.encoded[r].values) for r in rows], batch_first=True
            )
            y = torch.tensor([training.train.targets[r] for r in rows])
            loss = nn.functional.cross_entropy(bare(x), y)
            theirs.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(bare.parameters(), 1.0)
            theirs.step()
            loss.item()

        def our_step(rows: list[int]) -> None:
            take_step(training, settings.training, ours, 0, [rows], 1e-3)

        def seconds(step: object) -> float:
            began = time.perf_counter()
            for rows in batches:
                step(rows)  # type: ignore[operator]
            return (time.perf_counter() - began) / len(batches)

        task.model.train()
        seconds(our_step), seconds(bare_step)
        pairs = [(seconds(our_step), seconds(bare_step)) for _ in range(arguments.rounds)]
        ratios = sorted(a / b for a, b in pairs)
        name = "bidirectional" if bidirectional else "one direction"
        results[name] = {
            "ours_ms": 1e3 * statistics.median(a for a, _ in pairs),
            "bare_ms": 1e3 * statistics.median(b for _, b in pairs),
            "ratio": statistics.median(ratios),
            "ratios": ratios,
        }
        print(
            f"{name}: ours {results[name]['ours_ms']:.2f} ms, bare {results[name]['bare_ms']:.2f} ms, ratio {results[name]['ratio']:.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )
    path = Path(__file__).parent / "results" / "step_cost.json"
    path.write_text(
        json.dumps({"threads": torch.get_num_threads(), "torch": torch.__version__, **results}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
