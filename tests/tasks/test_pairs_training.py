"""Batches of pairs as the training loop asks for them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor, nn

from recurra.data.pairs import PairBatch, PairFeatures
from recurra.data.table import Table
from recurra.settings.tasks import TranslateSettings
from recurra.settings.translation import PairSymbolSettings, TranslateTrainingSettings
from recurra.tasks.pair_examples import PairExamples, joined
from recurra.tasks.pairs_training import PairsTraining

SOURCES = [" ".join(["the cat sat on the mat"] * (1 + row % 5)) for row in range(40)]
TARGETS = [" ".join(["le chat est sur le tapis"] * (1 + row % 5)) for row in range(40)]
TABLE = Table("a.tsv", {"source": SOURCES, "target": TARGETS}, list(range(2, 42)))


class Pairs(PairsTraining):
    def loss(self, batch: PairBatch) -> tuple[Tensor, Tensor | float]:
        raise NotImplementedError


def training(seed: int = 0, **text: Any) -> Pairs:
    symbols = PairSymbolSettings(vocabulary_size=300, **text)
    settings = TranslateSettings(text=symbols, training=TranslateTrainingSettings(batch_tokens=100, seed=seed))
    features = PairFeatures.fit(TABLE, symbols)
    task = SimpleNamespace(
        settings=settings, features=features, device=torch.device("cpu"), model=nn.Linear(1, 1), metric="bleu",
        metrics={"bleu": True, "loss": False},
    )  # fmt: skip
    examples = PairExamples.of(TABLE, features)
    return Pairs(cast(Any, task), examples, examples.select([0, 1]))


def test_a_batch_is_a_function_of_its_epoch_its_rows_and_the_step() -> None:
    first, again = training(bpe_dropout=0.3, word_dropout=0.2), training(bpe_dropout=0.3, word_dropout=0.2)
    again.plan(0)
    again.batch([5, 6], 99)  # what came before says nothing
    first.plan(1)
    again.plan(1)
    one, other, third = first.batch([0, 3, 1], 7), again.batch([0, 3, 1], 7), again.batch([0, 3, 1], 8)
    assert torch.equal(one.source.values, other.source.values) and torch.equal(one.target.values, other.target.values)
    assert not torch.equal(one.source.values, third.source.values)  # other tokens are unknown
    assert first.size(one) == (3, int(one.target.lengths.sum()))
    again.plan(2)
    assert not torch.equal(one.target.values, again.batch([0, 3, 1], 7).target.values)  # other merges are left out


def test_batches_are_dealt_by_the_spelling_that_they_are_read_in() -> None:
    one = training(bpe_dropout=0.5)
    for epoch in range(3):
        for rows in one.plan(epoch):
            batch = one.batch(rows, 7)
            assert batch.target.batch_size * max(batch.source.steps, batch.target.steps) <= 100


def test_without_dropout_a_batch_is_what_was_encoded() -> None:
    plain = training(bpe_dropout=0.0)
    batch = plain.batch([1, 0], 7)
    for row, index in enumerate((1, 0)):
        pair = plain.train.encoded[index]
        assert batch.source.values[row, : len(pair.source)].tolist() == pair.source.tolist()
        assert batch.target.values[row, : len(pair.target)].tolist() == pair.target.tolist()


def test_an_epochs_batches_are_a_function_of_seed_and_epoch() -> None:
    one = training()
    assert one.plan(3) == training().plan(3) != one.plan(4)
    assert one.plan(3) != training(seed=1).plan(3)
    assert sorted(row for batch in one.plan(0) for row in batch) == list(range(40))
    assert all(len(batch) * max(one.lengths[row] for row in batch) <= 100 for batch in one.plan(0))


def test_a_batch_is_described_by_its_lines() -> None:
    one = training()
    assert one.describe([3, 1]) == f"lines 3, 5 of a.tsv (the longest has {max(one.lengths[1], one.lengths[3])} steps)"


def test_examples_are_joined_one_below_the_other() -> None:
    examples = training().train
    both = joined(examples.select([1]), examples.select([0, 2]))
    assert both.sources == [SOURCES[1], SOURCES[0], SOURCES[2]] and both.references[0] == TARGETS[1]
    assert len(both) == 3 and both.table.place(1).line == 2
    assert examples.cut == 0
    short = PairExamples.of(TABLE, replace(training().task.features, max_length=2))
    assert short.cut == 40
