"""Symbols: a text as the ids that a language model reads and predicts, and back.

One interface for characters, bytes, BPE tokens and words (`Symbols`):

    symbols = fit_symbols(pieces, "char", vocabulary_size=20000, min_count=None, lowercase=False)
    symbols.encode("a text")            # ids [N], uint8, uint16 or int32; never fails
    symbols.decode(ids)                 # the text
    encoder = symbols.encoder()         # a text that comes in pieces
    encoder.feed("a te"), encoder.feed("xt"), encoder.finish()
    decoder = symbols.decoder()         # ids that come one by one
    decoder.feed([3]), decoder.finish()
    symbols.unseen("a prompt")          # what is read as unknown, and where
    len(symbols), symbols.begin_id, symbols.unk_id, symbols.silent_ids, symbols.newline_ids, symbols.names
    symbols_from_json(symbols.to_json(), symbols.tokenizer_json)

Whoever predicts with a fresh state reads `begin_id` first: it stands for "nothing is known yet", in training at the
front of every row of a batch, and in generation before the prompt or in place of one. It is never a target.
"""

from recurra.data.symbols.fitting import fit_symbols
from recurra.data.symbols.kind import Decoder, Encoder, Ids, Symbols, Unseen
from recurra.data.symbols.storing import symbols_from_json

__all__ = ["Decoder", "Encoder", "Ids", "Symbols", "Unseen", "fit_symbols", "symbols_from_json"]
