"""The sessions of a tagger: a tag for each token as it comes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from recurra.errors import InputError, NotStreamable
from recurra.models import Tagger
from recurra.nn import RecurrentState
from recurra.nn.recurrent_steps import RecurrentSteps
from recurra.sequence import Sequence
from recurra.state import map_state
from recurra.streaming import Pipeline, Session, SessionState, TokenPreprocessing
from recurra.tasks.streams import stream_digest

if TYPE_CHECKING:
    from recurra.tasks.tag import Tag


class TaggerSteps:
    """A tagger in one direction, as in evaluation: what a session asks of a model."""

    def __init__(self, model: Tagger) -> None:
        model.encoder.check_streamable()
        self.model, self._encoder = model, RecurrentSteps(model.encoder)

    def check(self) -> None:
        """Refuse a model in training mode.

        Raises:
            InputError
        """
        if self.model.training:
            raise InputError("Tagger: it is in training mode; call eval() first, a session runs as in evaluation")

    def initial_state(self, batch_size: int) -> RecurrentState:
        """The state before the first token."""
        return self.model.initial_state(batch_size)

    def step(self, values: Any, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """The values of one token → logits [1, 1, Σ sizes], and the next state."""
        device = self.model.head.weight.device
        x = self.model.vectors(map_state(lambda leaf: leaf.to(device), values))
        y, state = self._encoder.step(x, state)
        return self.model.head(y)[:, None], state

    def run(self, x: Sequence | None, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """Many tokens, or None → logits [1, T, Σ sizes], and the state after them."""
        weight = self.model.head.weight
        if x is None:
            return weight.new_zeros(1, 0, len(weight)), state
        logits, state = self.model(x.to(weight.device), state)
        return logits, state


class TagOfEach:
    """Logits of tokens → their tags; it has no state."""

    def __init__(self, task: Tag) -> None:
        self.task = task

    def initial_state(self) -> tuple[()]:
        """None."""
        return ()

    def step(self, outputs: Tensor, state: tuple[()]) -> tuple[str, tuple[()]]:
        """The tag of one token."""
        tags, state = self.run(outputs, 1, state)
        return tags[0], state

    def run(self, outputs: Tensor, steps: int, state: tuple[()]) -> tuple[list[str], tuple[()]]:
        """The tags of the tokens that were read together."""
        numbers = self.task.decided(outputs, torch.tensor([outputs.shape[1]]))
        return self.task.tags[0].decode(numbers[0].tolist()), state


def tag_session(task: Tag, state: SessionState | str | Path | None = None, name: str = "this model") -> Session:
    """A live sentence through a tagger.

    Args:
        task: features, tags and model.
        state: to begin from: another session's, or the path of one that was saved; None: from the beginning.
        name: whose stream it is, for messages.

    Raises:
        NotStreamable: the model is bidirectional, or tags are chosen for whole sentences.
        StateError: the file is missing, damaged, or of another run.
        ShapeError: the state is not one of this run.
    """
    model = TaggerSteps(task.model)
    if task.constrained or task.model.crf is not None:
        why = "it has a random field" if task.model.crf is not None else "its tags write whole spans"
        raise NotStreamable(
            f"{name} chooses the tags of a sentence together ({why}), so no tag is known before the last token; "
            "use predict, or run.model.step for the scores of each token"
        )
    pipeline = Pipeline(TokenPreprocessing(task.features), model, TagOfEach(task), name, lambda: stream_digest(task))
    return Session(pipeline, state)
