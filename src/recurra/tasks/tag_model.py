"""The tagger that settings and features describe, and which settings decide its structure."""

from __future__ import annotations

from collections.abc import Sequence

from recurra.data.token_features import TokenFeatures
from recurra.models import Tagger, TokenInput
from recurra.nn import CharacterEncoder, Recurrent
from recurra.settings.stack import dilations
from recurra.settings.tasks import TagSettings

STRUCTURE = {  # what decides the names and shapes of the weights, or what a token is
    "model": ("cell", "hidden_size", "num_layers", "bidirectional", "residual", "dilation", "attention_window"),
    "tokens": ("lowercase", "embedding_size", "affixes", "char_hidden_size", "char_embedding_size"),
    "tag": ("crf",),
}
DROPOUT = 0.4  # between layers where the settings do not say


def build_tagger(settings: TagSettings, features: TokenFeatures, sizes: Sequence[int]) -> Tagger:
    """The model that the settings describe, with fresh weights from torch's generator.

    Args:
        sizes: how many tags each kind has, the target's first.
    """
    tokens, model = settings.tokens, settings.model
    characters = None
    if tokens.char_hidden_size:
        characters = CharacterEncoder(len(features.characters), tokens.char_embedding_size, tokens.char_hidden_size)
    frontend = TokenInput(
        len(features.words),
        len(features.affixes) if tokens.affixes else 0,
        len(features.shapes) if tokens.affixes else 0,
        tokens.embedding_size,
        characters,
        tokens.embedding_dropout,
    )
    dropout = model.dropout_between(DROPOUT)
    encoder = Recurrent(
        model.cell or "lstm",
        frontend.output_size,
        model.hidden_size,
        model.layers,
        bidirectional=model.bidirectional,
        residual=model.residual,
        dilation=dilations(model.dilation),
        attention_window=model.attention_window,
        dropout=dropout,
        variational=dropout > 0,
        recurrent_dropout=model.recurrent_dropout,
        weight_dropout=model.weight_dropout,
        zoneout=model.zoneout,
        recompute=settings.training.recompute,
    )
    return Tagger(frontend, encoder, sizes, settings.tag.output_dropout, settings.tag.crf)
