"""Starting from the weights and the vocabulary of an earlier run (fine-tuning)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from torch import nn

from recurra.errors import RunError, SettingsError
from recurra.settings.tasks import ManyToOneSettings, TaskSettings

STRUCTURE = {  # what decides the names and shapes of the weights, or what a token is
    "model": (
        "cell",
        "hidden_size",
        "num_layers",
        "bidirectional",
        "residual",
        "dilation",
        "attention_window",
        "pooling",
    ),
    "text": ("unit", "lowercase", "embedding_size", "char_ngrams", "ngram_buckets"),
}

S = TypeVar("S", bound=TaskSettings)
M = TypeVar("M", bound=ManyToOneSettings)


def with_structure(settings: M, start: ManyToOneSettings) -> M:
    """The settings with the model's structure of an earlier run, where they are left at their defaults.

    Raises:
        SettingsError: an option is given and is not the earlier run's; all of them in one report.
    """
    mend = "embeddings: the vectors come from the run to start from; leave it out"
    return structure_of(settings, start, STRUCTURE, [mend] if settings.text.embeddings else [])


def structure_of(
    settings: S, start: TaskSettings, structure: Mapping[str, Sequence[str]], problems: Sequence[str] = ()
) -> S:
    """The settings with the options of an earlier run that decide its weights.

    Args:
        settings: where an option is at its default, or as in that run.
        start: the earlier run's.
        structure: group → the options that are taken over.
        problems: what is wrong already.

    Raises:
        SettingsError: an option is given and is not the earlier run's; all of them in one report.
    """
    changes, found = {}, []
    for group, names in structure.items():
        own, earlier = getattr(settings, group), getattr(start, group)
        defaults = {field.name: field.default for field in fields(own)}
        for name in names:
            value, wanted = getattr(own, name), getattr(earlier, name)
            if value not in (defaults[name], wanted):
                found.append(f"{name}: it is {value!r}, and the run to start from has {wanted!r}; leave it out")
        changes[group] = replace(own, **{name: getattr(earlier, name) for name in names})
    if found or problems:
        raise SettingsError("; ".join([*found, *problems]))
    return replace(settings, **changes)


def take_weights(model: nn.Module, start: nn.Module, without: tuple[str, ...] = ()) -> None:
    """Copy an earlier model's weights.

    Args:
        without: how the names of those begin that begin anew.

    Raises:
        RunError: the weights do not fit, though the settings of both agree.
    """
    weights = model.state_dict()
    for name, tensor in start.state_dict().items():
        if name.startswith(without):
            continue
        if name not in weights or weights[name].shape != tensor.shape:
            raise RunError(f"init: {name} is of another shape in that run; give the options that it was trained with")
        weights[name].copy_(tensor)
