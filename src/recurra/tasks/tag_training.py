"""What the training loop asks of tagging."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.data.encoded import Encoded, check_training_inputs
from recurra.data.tagged import UNSEEN
from recurra.data.token_features import pieces
from recurra.data.vocabulary import RESERVED, UNK_ID
from recurra.errors import SettingsError
from recurra.models import Tagger
from recurra.sequence import Sequence, valid_mask
from recurra.tasks.tag_examples import Numbers, TaggedExamples, joined, target_tensor
from recurra.tasks.training import RowsTraining

if TYPE_CHECKING:
    from recurra.tasks.tag import Tag


class TagBatch(NamedTuple):
    """inputs, and targets [B, T, K] int64: the tags of every kind, -1 on padding and for what training has not seen"""

    inputs: Sequence
    targets: Tensor


class TagTraining(RowsTraining):
    """Batches, losses and validation metrics of one tagging run.

    Args:
        task: features, tags and model.
        train, valid: sentences.

    Raises:
        SettingsError: the metric is not measured, or an option has no effect here.
        DataError: a training sentence is empty.
    """

    task: Tag
    train: TaggedExamples
    valid: TaggedExamples

    def __init__(self, task: Tag, train: TaggedExamples, valid: TaggedExamples) -> None:
        self.choose_metric(task)
        settings = task.settings
        if settings.tag.crf and settings.training.label_smoothing:
            raise SettingsError("label_smoothing: a conditional random field has none; leave it at 0, or crf off")
        self.train, self.valid = train, valid
        check_training_inputs(train.encoded, train.table.place)
        most = task.max_length
        self._pieces: list[Encoded] = []
        self._targets: list[Numbers] = []
        self._rows: list[int] = []  # of each piece its sentence
        for row, (encoded, targets) in enumerate(zip(train.encoded, train.targets, strict=True)):
            for at, piece in enumerate(pieces(encoded, most)):
                self._pieces.append(piece)
                self._targets.append(targets[at * most : at * most + piece.length])
                self._rows.append(row)
        self._rarity = _rarity(self._pieces, len(task.features.words), settings.tokens.word_dropout)

    def again(self) -> TagTraining:
        """A training of fresh weights on training and validation data together, with no sentences left to score."""
        task = type(self.task)(
            self.task.settings, self.task.features, self.task.tags, self.task.constrained, self.task.device
        )
        rows = [row for row, encoded in enumerate(self.valid.encoded) if encoded.length]
        return TagTraining(task, joined(self.train, self.valid.select(rows)), self.valid.select([]))

    @property
    def lengths(self) -> list[int]:
        """Tokens of each training piece."""
        return [piece.length for piece in self._pieces]

    def batch(self, indices: list[int], step_seed: int) -> TagBatch:
        """Pieces of training sentences, rare words read as unknown now and then."""
        inputs = self.task.features.collate([self._pieces[index] for index in indices])
        if self._rarity is not None:
            token = inputs.values.token
            drawn = torch.from_numpy(np.random.default_rng(step_seed).random(token.shape, dtype=np.float32))
            unknown = token.masked_fill(drawn < self._rarity[token], UNK_ID)
            inputs = Sequence(inputs.values._replace(token=unknown), inputs.lengths)
        targets = target_tensor([self._targets[index] for index in indices], inputs.steps, len(self.task.tags))
        return TagBatch(inputs.to(self.task.device), targets.to(self.task.device))

    def loss(self, batch: TagBatch) -> tuple[Tensor, Tensor | float]:
        """Sum of the losses of all kinds of tags, and the count of the tokens."""
        settings = self.task.settings
        logits, _ = self.model(batch.inputs)
        smoothing = settings.training.label_smoothing
        total = target_losses(self.task.model, logits, batch.inputs.lengths, batch.targets, smoothing).sum()
        for kind, own in enumerate(self.task.model.kinds(logits)):
            if kind:
                total = total + settings.tag.also_weight * _entropies(own, batch.targets[..., kind], smoothing).sum()
        return total, float(batch.inputs.lengths.sum())

    def describe(self, indices: list[int]) -> str:
        """Sentences by the lines of their file, and the longest of them."""
        return self.described({self._rows[index] for index in indices}, max(self.lengths[index] for index in indices))


def target_losses(
    model: Tagger, logits: Tensor, lengths: Tensor, targets: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """The loss of each row's target tags [B] in nats: cross entropy by token, or that of the whole path with a field.

    A row that holds a tag which training has not seen has no path to score, and the loss 0.
    """
    own, target = model.kinds(logits)[0], targets[..., 0]
    if model.crf is None:
        return _entropies(own, target, label_smoothing).sum(1)
    valid = valid_mask(lengths, own.shape[1], own.device)
    scored = ((target != UNSEEN) | ~valid).all(1)
    likelihood = model.crf.log_likelihood(own.float(), target.clamp(min=0), lengths)
    return torch.where(scored, -likelihood, 0.0)


def _entropies(logits: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
    """[B, T, C], [B, T] → cross entropies [B, T], 0 where there is no target."""
    losses = F.cross_entropy(
        logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32)),
        target.flatten(),
        ignore_index=UNSEEN,
        reduction="none",
        label_smoothing=label_smoothing,
    )
    return losses.view(target.shape)


def _rarity(encoded: list[Encoded], words: int, strength: float) -> Tensor | None:
    """[words] the probability with which each is read as unknown (Kiperwasser and Goldberg, 2016); None: never."""
    if not strength:
        return None
    tokens = np.concatenate([one.values.token for one in encoded])
    counts = torch.from_numpy(np.bincount(tokens, minlength=words)).double()
    found = (strength / (counts + strength)).float()
    found[: len(RESERVED)] = 0.0
    return found
