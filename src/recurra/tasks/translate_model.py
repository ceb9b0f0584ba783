"""The translator that settings and features describe, and which settings decide its structure."""

from __future__ import annotations

from typing import Any

from recurra.data.pairs import BEGIN_ID, END_ID, PairFeatures
from recurra.models import Decoder, Encoder, Seq2Seq
from recurra.settings.stack import cell_names, layer_cells
from recurra.settings.tasks import TranslateSettings
from recurra.settings.translation import TranslatorSettings

STRUCTURE = {  # what decides the names and shapes of the weights, or what a token is
    "model": (
        "cell", "decoder_cell", "hidden_size", "encoder_size", "num_layers", "bidirectional", "residual",
        "attention_window", "attention", "input_feeding", "tied",
    ),
    "text": ("unit", "target_unit", "joint", "lowercase", "embedding_size"),
}  # fmt: skip
DROPOUT = 0.3  # between layers where the settings do not say
LARGEST_EMBEDDING = 256  # where the settings do not say


def embedding_size(settings: TranslateSettings) -> int:
    """Features of a token's embedding."""
    return settings.text.embedding_size or min(settings.model.hidden_size, LARGEST_EMBEDDING)


def build_translator(settings: TranslateSettings, features: PairFeatures) -> Seq2Seq:
    """The model that the settings describe, with fresh weights from torch's generator.

    Raises:
        SettingsError: options that do not go together.
    """
    text, model = settings.text, settings.model
    cells, decoder_cells = cells_of(model)
    shared: dict[str, Any] = {
        "num_layers": model.layers,
        "residual": model.residual,
        "embedding_dropout": text.embedding_dropout,
        "dropout": model.dropout_between(DROPOUT),
        "output_dropout": model.output_dropout,
        "weight_dropout": model.weight_dropout,
        "recurrent_dropout": model.recurrent_dropout,
        "zoneout": model.zoneout,
    }
    encoder = Encoder(
        cells,
        len(features.source),
        embedding_size(settings),
        model.encoder_features,
        bidirectional=model.bidirectional,
        attention_window=model.attention_window if "transformer" in cells else None,
        **shared,
    )
    decoder = Decoder(
        decoder_cells,
        len(features.target),
        embedding_size(settings),
        model.hidden_size,
        memory_size=encoder.output_size,
        attention=model.attention,
        input_feeding=model.input_feeding,
        tied=model.tied,
        embedding=encoder.embedding if model.tied and features.joint else None,
        attention_window=model.attention_window if "transformer" in decoder_cells else None,
        **shared,
    )
    return Seq2Seq(encoder, decoder, bos_id=BEGIN_ID, eos_id=END_ID)


def cells_of(model: TranslatorSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The cell of each layer of the encoder, and of the decoder."""
    cell = model.cell or "lstm"
    cells, decoder_cells = (layer_cells(cell_names(one), model.layers) for one in (cell, model.decoder_cell or cell))
    return cells, decoder_cells
