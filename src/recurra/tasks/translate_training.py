"""What the training loop asks of a translator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from recurra.data.pairs import PairBatch, plan_pairs
from recurra.settings.translation import MOST_TOKENS, TranslateTrainingSettings
from recurra.tasks.pair_examples import PairExamples, joined
from recurra.tasks.pairs_training import PairsTraining
from recurra.tasks.teacher_forcing import forcing_ratio

if TYPE_CHECKING:
    from recurra.tasks.translate import Translate

FEWEST_BATCHES = 60  # an epoch, where the settings leave it to the data
FEWEST_TOKENS = 128  # a batch
WARMUP_SHARE = 10  # of all steps one part at most
ANSWERED = 1000  # validation pairs that are translated at each evaluation, spread over all of them


class TranslateTraining(PairsTraining):
    """Batches, losses and validation metrics of one translator.

    Args:
        task: features and model.
        train, valid: pairs.
        notes: what a user should know of the data, a sentence each.

    Raises:
        SettingsError: the metric is not measured, or an option of the search has no effect.
    """

    task: Translate

    def __init__(self, task: Translate, train: PairExamples, valid: PairExamples, notes: tuple[str, ...] = ()) -> None:
        super().__init__(task, train, valid)
        task.search()  # what a search would refuse after the training is refused before it
        self.notes = notes
        count = len(valid)
        rows = np.linspace(0, count, min(count, ANSWERED), endpoint=False).astype(int).tolist()
        self.answered = valid.select(rows)
        """The validation pairs that are translated; the loss is that of all."""
        self.begin_step(0, 1)

    def again(self) -> TranslateTraining:
        """A training of fresh weights on training and validation data together, with no pairs left to score."""
        task = type(self.task)(self.task.settings, self.task.features, self.task.reach, self.task.device)
        sides = zip(self.valid.sources, self.valid.references, strict=True)
        whole = [row for row, pair in enumerate(sides) if all(one.strip() for one in pair)]
        return TranslateTraining(task, joined(self.train, self.valid.select(whole)), self.valid.select([]))

    def begin_step(self, step: int, total_steps: int) -> None:
        """Decide how often the decoder is told the truth in this step."""
        options = self.task.settings.translate
        self.teacher_forcing = forcing_ratio(options.forcing_schedule, step, total_steps, options.teacher_forcing)

    def loss(self, batch: PairBatch) -> tuple[Tensor, Tensor | float]:
        """Sum of the cross entropies of all target tokens, and their count."""
        settings, source, target = self.task.settings, batch.source, batch.target
        model, noise = self.task.model, None
        if self.teacher_forcing < 1 and settings.translate.forcing_unit == "sequence":
            rows = source.batch_size
            noise = model.noise(rows, source_steps=source.steps, target_steps=target.steps, forced_by="sequence")
        found = model.loss(
            source.values,
            source.lengths,
            target.values,
            target.lengths,
            teacher_forcing=self.teacher_forcing,
            label_smoothing=settings.training.label_smoothing,
            noise=noise,
        )
        return found.nats, float(target.lengths.sum())

    def evaluate(self) -> dict[str, float]:
        """The loss on all validation pairs, and by greedy search the metrics of the text of some; NaN without pairs."""
        if not len(self.valid):
            return {self.metric: math.nan}
        answers = self.task.answers(self.answered, beam=1)
        return {**self.task.measure(answers, self.answered.references), "loss": self.task.nats(self.valid)}


def with_steps(settings: TranslateTrainingSettings, lengths: Sequence[tuple[int, int]]) -> TranslateTrainingSettings:
    """The settings with what the training data decide: tokens a batch, and steps of warm-up.

    Args:
        lengths: tokens of source and target of each training pair.
    """
    if not settings.batch_size and not settings.batch_tokens:
        tokens = sum(map(max, lengths)) // FEWEST_BATCHES
        settings = replace(settings, batch_tokens=min(MOST_TOKENS, max(FEWEST_TOKENS, tokens)))
    size, tokens = settings.budget
    batches = len(plan_pairs(lengths, batch_size=size, batch_tokens=tokens, rng=None))
    steps = settings.epochs * math.ceil(batches / settings.accumulate)
    steps = min(steps, settings.max_steps or steps)
    return replace(settings, warmup_steps=min(settings.warmup_steps, steps // WARMUP_SHARE))
