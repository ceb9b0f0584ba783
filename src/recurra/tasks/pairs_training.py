"""What the training loop asks of pairs of texts, the loss apart: order, batches, words for errors."""

from __future__ import annotations

import numpy as np

from recurra.data.pairs import PairBatch, lengths_of, plan_pairs
from recurra.randomness import numpy_generator
from recurra.tasks.pair_examples import PairExamples
from recurra.tasks.task import Task
from recurra.tasks.training import RowsTraining


class PairsTraining(RowsTraining):
    """A training on pairs; a subclass gives the loss.

    Args:
        task: its settings are `TranslateSettings`, its features `PairFeatures`.
        train, valid: pairs.

    Raises:
        SettingsError: the metric is not measured.
    """

    train: PairExamples
    valid: PairExamples

    def __init__(self, task: Task, train: PairExamples, valid: PairExamples) -> None:
        self.choose_metric(task)
        self.train, self.valid = train, valid
        text = task.settings.text
        self._word_dropout = text.word_dropout
        self._dropouts = self.task.features.dropouts(text.bpe_dropout, task.settings.training.seed)
        self._spelled = train.encoded  # as the epoch that was planned last reads the pairs

    @property
    def lengths(self) -> list[int]:
        """Tokens of the longer side of each training pair, as the epoch reads it."""
        return [max(pair) for pair in lengths_of(self._spelled)]

    def plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, by the lengths that the pairs have in the spelling that they have in it."""
        training = self.task.settings.training
        size, tokens = training.budget
        if any(self._dropouts):
            rng = numpy_generator(training.seed, "spelling", epoch)
            self._spelled = self.task.features.encode_table_varied(self.train.table, rng, self._dropouts)
        rng = numpy_generator(training.seed, "order", epoch)
        return plan_pairs(lengths_of(self._spelled), batch_size=size, batch_tokens=tokens, rng=rng)

    def batch(self, indices: list[int], step_seed: int) -> PairBatch:
        """Training pairs in the spelling of the epoch, with the unknown tokens that the step gives them."""
        encoded, rng = [self._spelled[index] for index in indices], np.random.default_rng(step_seed)
        batch: PairBatch = self.task.features.collate(encoded, word_dropout=self._word_dropout, rng=rng)
        return batch.to(self.task.device)

    def size(self, batch: PairBatch) -> tuple[int, int]:
        """Pairs, and valid target tokens."""
        return batch.target.batch_size, int(batch.target.lengths.sum())

    def describe(self, indices: list[int]) -> str:
        """Pairs by the lines of their file, and the longest side of them."""
        longest = max(max(pair) for pair in lengths_of(self._spelled[index] for index in indices))
        return self.described(indices, longest)
