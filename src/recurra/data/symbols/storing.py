"""Symbols as a run stored them."""

from __future__ import annotations

from typing import Any

from recurra.data.encoded import damaged, stored
from recurra.data.symbols.bpe import BpeSymbols
from recurra.data.symbols.characters import CharacterSymbols
from recurra.data.symbols.kind import Symbols
from recurra.data.symbols.raw_bytes import ByteSymbols
from recurra.data.symbols.words import EOS, WordSymbols
from recurra.data.text import BpeTokenizer
from recurra.data.vocabulary import RESERVED, Vocabulary
from recurra.errors import RunError


def symbols_from_json(data: Any, tokenizer_json: str | None = None) -> Symbols:
    """Symbols as a run stored them (`to_json` and `tokenizer_json`).

    Raises:
        RunError: a field is missing or of another kind.
    """
    if stored(data, "kind", str) != "symbols":
        raise damaged("kind", "'symbols'")
    unit = stored(data, "unit", str)
    if unit == "byte":
        return ByteSymbols()
    if unit not in ("char", "bpe", "word"):
        raise damaged("unit", "one of char, byte, bpe, word")
    lowercase = stored(data, "lowercase", bool)
    if unit == "bpe":
        if tokenizer_json is None:
            raise RunError("tokenizer: it is missing, and the run's unit is bpe; copy the whole run again")
        return BpeSymbols(BpeTokenizer.from_json(tokenizer_json, lowercase=False), lowercase)
    vocabulary = Vocabulary.from_json(stored(data, "vocabulary", list))
    if unit == "word":
        if vocabulary.tokens[len(RESERVED) : len(RESERVED) + 1] != (EOS,):
            raise damaged("vocabulary", f"one whose first word is {EOS}")
        return WordSymbols(vocabulary, lowercase)
    if any(len(character) != 1 for character in vocabulary.ids):
        raise damaged("vocabulary", "one of single characters")
    return CharacterSymbols(vocabulary, lowercase)
