"""The model that settings and features describe."""

from __future__ import annotations

from dataclasses import replace

from recurra.data.features import Features, SeriesFeatures, TextFeatures
from recurra.models import Classifier, SequenceModel
from recurra.nn import TokenEmbedding, VectorInput
from recurra.settings.stack import dilations
from recurra.settings.tasks import ManyToOneSettings

DROPOUT = 0.2  # between layers where the settings do not say


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
    body = SequenceModel(
        model.cell or "lstm",
        frontend.output_size,
        model.hidden_size,
        output_size,
        model.layers,
        model.bidirectional,
        model.dropout_between(DROPOUT),
        model.pooling,
        pool_inputs=model.pool_inputs,
        output_dropout=output_dropout,
        residual=model.residual,
        dilation=dilations(model.dilation),
        attention_window=model.attention_window,
        recurrent_dropout=model.recurrent_dropout,
        weight_dropout=model.weight_dropout,
        zoneout=model.zoneout,
        recompute=settings.training.recompute,
    )
    return Classifier(frontend, body)


def with_cell(settings: ManyToOneSettings, features: Features) -> ManyToOneSettings:
    """The settings with the cell decided, and with it the layers: no recurrence where every input is one vector."""
    model = settings.model
    cell = model.cell
    if cell is None:
        cell = "feedforward" if isinstance(features, SeriesFeatures) and features.vector else "lstm"
    return replace(settings, model=replace(model, cell=cell, num_layers=model.layers))
