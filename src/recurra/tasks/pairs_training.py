"""What the training loop asks of pairs of texts, the loss apart: order, batches, words for errors."""

from __future__ import annotations

import numpy as np

from recurra.data.pairs import PairBatch, plan_pairs
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
        self._pair_lengths = train.lengths
        text = task.settings.text
        self._word_dropout = text.word_dropout
        self._dropouts = self.task.features.dropouts(text.bpe_dropout, task.settings.training.seed)

    @property
    def lengths(self) -> list[int]:
        """Tokens of the longer side of each training pair."""
        return [max(pair) for pair in self._pair_lengths]

    def plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch, by the lengths that the pairs have without dropout of merges."""
        training = self.task.settings.training
        size, tokens = training.budget
        rng = numpy_generator(training.seed, "order", epoch)
        return plan_pairs(self._pair_lengths, batch_size=size, batch_tokens=tokens, rng=rng)

    def batch(self, indices: list[int], step_seed: int) -> PairBatch:
        """Training pairs, in the spelling and with the unknown tokens that the step gives them."""
        features, rng = self.task.features, np.random.default_rng(step_seed)
        encoded = [self.train.encoded[index] for index in indices]
        if any(self._dropouts):
            texts = [(self.train.sources[index], self.train.references[index]) for index in indices]
            encoded = [features.encode_varied(*pair, rng, dropouts=self._dropouts) for pair in texts]
        batch: PairBatch = features.collate(encoded, word_dropout=self._word_dropout, rng=rng).to(self.task.device)
        return batch

    def size(self, batch: PairBatch) -> tuple[int, int]:
        """Pairs, and valid target tokens."""
        return batch.target.batch_size, int(batch.target.lengths.sum())

    def describe(self, indices: list[int]) -> str:
        """Pairs by the lines of their file, and the longest side of them."""
        return self.described(indices, max(self.lengths[index] for index in indices))
