"""How the model of a run is called by the pairs of a certificate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.laws.subject import Result, Subject, packed_rows, subject_of, unpacked
from recurra.laws.trees import Tree
from recurra.models import Seq2Seq
from recurra.sequence import Padding, Sequence, first_tensor, shift_right

SAID = 7  # tokens of the target that a translator is asked about


def model_subject(model: nn.Module) -> Subject:
    """A model as its run calls it: by Sequences where it has a frontend, else as any module over sequences."""
    if isinstance(model, Seq2Seq):
        return _answering(model)
    return _with_frontend(model) if hasattr(model, "frontend") else subject_of(model)


def _answering(model: Any) -> Subject:
    """A translator: sources in, one answer each, the logits of some tokens that are always the same."""

    def run(values: Any, lengths: Tensor | None = None) -> Result:
        said = torch.arange(SAID, device=values.device) % model.decoder.vocabulary_size
        logits, _ = model(values, lengths, said.expand(values.shape[0], SAID))
        return logits.flatten(1), None

    return Subject(
        module=model,
        run=run,
        step=None,
        packed=None,
        options=frozenset({"lengths"}),
        initial_state=None,
        stream=None,
        bound=_answering,
        takes_empty=True,
        poison=False,
        within_steps="",
        reasons={
            "packed": "a translator takes padded sources with their lengths",
            "resets": "a run's model takes none; resets are for layers in one's own loop",
        },
    )


def _with_frontend(model: Any) -> Subject:
    """A frontend and what reads its vectors: a Classifier, a Tagger. Padding is zeros, as the data room makes it."""

    def run(values: Any, lengths: Tensor | None = None, state: Tree = None, padding: Padding = "right") -> Result:
        if lengths is None:
            first = first_tensor(values)
            lengths = torch.full((first.shape[0],), first.shape[1])
        given = Sequence.from_left(values, lengths) if padding == "left" else Sequence(values, lengths)
        outputs, state = model(given, state)
        a_step_each = outputs.dim() == 3
        return shift_right(outputs, lengths) if padding == "left" and a_step_each else outputs, state

    def step(values: Any, state: Tree) -> Result:
        outputs, state = model.step(values, state)
        return outputs, state

    def packed(values: Any, lengths: Tensor) -> Result:
        """The vectors packed, for what takes them so."""
        return unpacked(model.body(packed_rows(model.frontend(values), lengths)))

    return Subject(
        module=model,
        run=run,
        step=step if callable(getattr(model, "step", None)) else None,
        packed=packed if hasattr(model, "body") else None,
        options=frozenset({"lengths", "state", "padding"}),
        initial_state=getattr(model, "initial_state", None),
        stream=None,
        bound=_with_frontend,
        takes_empty=True,
        poison=False,
        within_steps="frontend",
        reasons={"resets": "a run's model takes none; resets are for layers in one's own loop"},
    )
