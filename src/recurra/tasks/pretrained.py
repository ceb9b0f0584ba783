"""Pretrained word vectors: read for a task's vocabulary when its training begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from recurra.data.embeddings import Embeddings, EmbeddingsRecord, read_embeddings
from recurra.data.features import Features, TextFeatures
from recurra.data.partition import FileRecord, check_unchanged
from recurra.errors import SettingsError
from recurra.settings.groups import TextSettings
from recurra.settings.tasks import ManyToOneSettings

S = TypeVar("S", bound=ManyToOneSettings)


def embeddings_for(settings: ManyToOneSettings, features: Features) -> Embeddings | None:
    """The vectors of the file that the settings name, None where they name none.

    Raises:
        DataError: the file cannot be used.
        SettingsError: the inputs are no texts.
    """
    if not settings.text.embeddings:
        return None
    if not isinstance(features, TextFeatures):
        raise SettingsError("embeddings: they are for texts, and here the inputs are numbers; leave it out")
    return read_embeddings(Path(settings.text.embeddings), features.vocabulary.ids)


def with_embedding_size(settings: S, embeddings: Embeddings) -> S:
    """The settings with the size of the vectors, where embedding_size is left at its default.

    Raises:
        SettingsError: another size is given.
    """
    own, size = settings.text.embedding_size, embeddings.vectors.shape[1]
    if own not in (TextSettings.embedding_size, size):
        raise SettingsError(
            f"embedding_size: it is {own}, and the vectors of {embeddings.record.path} have {size} numbers; "
            "leave it out"
        )
    return replace(settings, text=replace(settings.text, embedding_size=size))


def embeddings_again(record: EmbeddingsRecord, features: Features) -> Embeddings:
    """The vectors that a run began with, from their file.

    Raises:
        DataError: the file is gone or has changed.
    """
    assert isinstance(features, TextFeatures), "only texts have embeddings"
    check_unchanged((FileRecord(record.path, record.sha256, record.found, "embeddings"),))
    return read_embeddings(Path(record.path), features.vocabulary.ids)
