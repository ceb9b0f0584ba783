"""A whole sequence-to-sequence model from its sizes."""

from __future__ import annotations

from collections.abc import Sequence as Several

from recurra.errors import SettingsError
from recurra.models.seq2seq.decoder import Decoder
from recurra.models.seq2seq.encoder import Encoder
from recurra.models.seq2seq.model import Seq2Seq
from recurra.nn.layers import CellKind
from recurra.settings.names import DecoderAttention


def make_seq2seq(
    cell: CellKind | Several[CellKind],
    source_size: int,
    target_size: int,
    embedding_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    decoder_cell: CellKind | Several[CellKind] | None = None,
    decoder_layers: int | None = None,
    encoder_size: int | None = None,
    bidirectional: bool = True,
    attention: DecoderAttention | None = None,
    attention_size: int | None = None,
    scaled: bool = False,
    input_feeding: bool = False,
    repeat_context: bool = False,
    tied: bool = True,
    joint: bool = False,
    embedding_dropout: float = 0.0,
    dropout: float = 0.0,
    output_dropout: float = 0.0,
    weight_dropout: float = 0.0,
    bos_id: int = 1,
    eos_id: int = 2,
) -> Seq2Seq:
    """Encoder and decoder of one size and one regularisation.

    `"transformer"` gives a Transformer encoder and decoder; with `decoder_cell="lstm"` the encoder alone is one.

    Args:
        cell: of the encoder, and of the decoder where decoder_cell is None.
        source_size, target_size: tokens of each vocabulary.
        embedding_size, hidden_size, num_layers: as in `Encoder` and `Decoder`.
        decoder_layers: layers of the decoder; num_layers if None.
        encoder_size: features of each direction of the encoder; hidden_size if None.
        joint: the vocabularies are one: source and target share an embedding.
        dropout: rate between layers; it acts in a half that has two layers or more.
        the rest: as in `Encoder`, `Decoder` and `Seq2Seq`.

    Raises:
        SettingsError: an option that would have no effect, or sizes that do not fit.
    """
    if joint and source_size != target_size:
        raise SettingsError(
            f"joint: source and target have {source_size} and {target_size} tokens; one embedding needs one vocabulary"
        )
    layers = num_layers if decoder_layers is None else decoder_layers
    if dropout and max(num_layers, layers) == 1:
        raise SettingsError(f"dropout: {dropout} acts between layers and there is one; give num_layers 2 or more")
    encoder = Encoder(
        cell,
        source_size,
        embedding_size,
        hidden_size if encoder_size is None else encoder_size,
        num_layers,
        bidirectional=bidirectional,
        embedding_dropout=embedding_dropout,
        dropout=dropout if num_layers > 1 else 0.0,
        output_dropout=output_dropout,
        weight_dropout=weight_dropout,
    )
    decoder = Decoder(
        cell if decoder_cell is None else decoder_cell,
        target_size,
        embedding_size,
        hidden_size,
        layers,
        memory_size=encoder.output_size,
        attention=attention,
        attention_size=attention_size,
        scaled=scaled,
        input_feeding=input_feeding,
        repeat_context=repeat_context,
        tied=tied,
        embedding=encoder.embedding if joint else None,
        embedding_dropout=embedding_dropout,
        dropout=dropout if layers > 1 else 0.0,
        output_dropout=output_dropout,
        weight_dropout=weight_dropout,
    )
    return Seq2Seq(encoder, decoder, bos_id=bos_id, eos_id=eos_id)
