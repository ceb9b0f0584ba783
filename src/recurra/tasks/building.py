"""The model that settings and features describe."""

from __future__ import annotations

from dataclasses import replace

from recurra.data.features import Features, SeriesFeatures, TextFeatures
from recurra.models import Classifier, SequenceModel
from recurra.nn import TokenEmbedding, VectorInput
from recurra.settings.tasks import ManyToOneSettings


def build_model(settings: ManyToOneSettings, features: Features, output_size: int, output_dropout: float) -> Classifier:
    """The model that the settings describe, with fresh weights from torch's generator."""
    text, model = settings.text, settings.model
    frontend: TokenEmbedding | VectorInput
    if isinstance(features, TextFeatures):
        frontend = TokenEmbedding(
            len(features.vocabulary),
            text.embedding_size,
            text.ngram_buckets if text.char_ngrams else 0,
            text.embedding_dropout,
        )
    else:
        frontend = VectorInput(features.input_size)
    dropout = model.dropout if model.dropout is not None else (0.2 if model.num_layers > 1 else 0.0)
    body = SequenceModel(
        model.cell or "lstm",
        frontend.output_size,
        model.hidden_size,
        output_size,
        model.num_layers,
        model.bidirectional,
        dropout,
        model.pooling,
        pool_inputs=model.pool_inputs,
        output_dropout=output_dropout,
        residual=model.residual,
        recurrent_dropout=model.recurrent_dropout,
        weight_dropout=model.weight_dropout,
        zoneout=model.zoneout,
    )
    return Classifier(frontend, body)


def with_cell(settings: ManyToOneSettings, features: Features) -> ManyToOneSettings:
    """The settings with the cell decided: no recurrence where every input is one vector."""
    if settings.model.cell is not None:
        return settings
    one_step = isinstance(features, SeriesFeatures) and features.vector
    return replace(settings, model=replace(settings.model, cell="feedforward" if one_step else "lstm"))
