"""Text in pieces: each may end inside a word, a merge or a character, and the tokens are those of the whole."""

from __future__ import annotations

import codecs
import sys
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.data.casing import SIGMA, lower_piece
from recurra.data.features import TextFeatures
from recurra.errors import DataError, StateError
from recurra.sequence import Sequence
from recurra.state import map_state
from recurra.streaming.tail import HELD, ByteTail, make_tail, read_tail


class TextStreamState(NamedTuple):
    """What has come and is not yet settled.

    tail: UTF-8 of the text that may yet belong to a longer token; torn: [1] int64, how many of its bytes, the last
    ones, begin a character whose other bytes have not come; cased: [1] int64, 1 where a letter stands before the first
    Σ that waits to know its form.
    """

    tail: ByteTail
    torn: Tensor
    cased: Tensor


class _Tail(NamedTuple):
    """The same in Python: text in lower case up to the first Σ that waits, where the run folds case."""

    text: str
    torn: bytes
    cased: bool


class TextPreprocessing:
    """Text in pieces → tokens; a live text has no end, so max_length cuts nothing.

    Args:
        features: of the run.
    """

    def __init__(self, features: TextFeatures) -> None:
        self.features = replace(features, max_length=sys.maxsize)

    def initial_state(self) -> TextStreamState:
        """No text."""
        return _stored(_Tail("", b"", False))

    def step(self, x: Any, state: TextStreamState) -> tuple[Any, TextStreamState]:
        """One token as the tokenizer gives it (of BPE in the library's spelling, a space being Ġ).

        Raises:
            DataError: it is no token.
        """
        tail = _tail(state)
        _check_whole(tail)
        x = self.features.collate([self.features.encode_tokens([self._token(x)])])
        return map_state(lambda leaf: leaf[:, 0], x.values), state

    def run(self, chunk: Any, state: TextStreamState) -> tuple[Sequence | None, TextStreamState]:
        """A piece of text → the tokens that are settled.

        Args:
            chunk: str, or bytes of UTF-8 that may be cut inside a character.

        Raises:
            DataError: it is neither, the bytes are no UTF-8, or more waits than a state holds.
        """
        tail = _tail(state)
        piece, torn = _decoded(chunk, tail)
        text, waiting, cased = tail.text + piece, "", False
        if self.features.lowercase:
            at = _waiting_at(tail.text)
            lowered = lower_piece(tail.text[at:] + piece, tail.cased)
            text, waiting, cased = tail.text[:at] + lowered.text, lowered.waiting, lowered.cased
        settled = self.features.tokenizer.settled(text)
        after = _stored(_Tail(text[settled:] + waiting, torn, cased))
        return self._tokens(text[:settled]), after

    def rest(self, state: TextStreamState) -> tuple[Sequence | None, TextStreamState]:
        """The tokens of what waits, as if the text ended here; a character that is not whole is not read."""
        if not int(state.tail.length):
            return None, state
        text, torn, cased = _tail(state)
        if self.features.lowercase:
            at, before = _waiting_at(text), "a" if cased else ""
            text = text[:at] + (before + text[at:]).lower()[len(before) :]
        return self._tokens(text), _stored(_Tail("", torn, False))

    def _tokens(self, text: str) -> Sequence | None:
        encoded = self.features.encode(text)
        return self.features.collate([encoded]) if encoded.length else None

    def _token(self, x: Any) -> str:
        features = self.features
        if not isinstance(x, str):
            raise DataError(
                f"step takes one token of a text, and this is {type(x).__name__}; push takes pieces of text"
            )
        if features.unit == "bpe":
            if x not in features.vocabulary.ids:
                raise DataError(f"step: {x[:40]!r} is no token of this run's BPE; push takes pieces of text")
            return x
        token = x.lower() if features.lowercase else x
        if len(token) != 1 if features.unit == "char" else len(token.split()) != 1:
            unit = "one character" if features.unit == "char" else "one word"
            raise DataError(f"step: {x[:40]!r} is not {unit}; push takes pieces of text")
        return token


def _waiting_at(text: str) -> int:
    """Where the part of a tail begins that waits for its lower case."""
    at = text.find(SIGMA)
    return len(text) if at < 0 else at


def _decoded(chunk: Any, tail: _Tail) -> tuple[str, bytes]:
    """A piece as text, and the bytes of a character that is not whole."""
    if isinstance(chunk, str):
        _check_whole(tail)
        return chunk, b""
    if not isinstance(chunk, bytes | bytearray | memoryview):
        raise DataError(f"push takes a piece of text as str or bytes, and this is {type(chunk).__name__}")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(tail.torn + bytes(chunk))
    except UnicodeDecodeError as error:
        raise DataError(
            f"push: byte {max(0, error.start - len(tail.torn)) + 1} of this piece is no UTF-8; give text in UTF-8, or "
            "as str"
        ) from error
    return text, decoder.getstate()[0]


def _check_whole(tail: _Tail) -> None:
    if tail.torn:
        raise DataError(
            f"the bytes pushed before end inside a character (after {len(tail.torn)} of its bytes); push the others, "
            "as bytes, first"
        )


def _tail(state: TextStreamState) -> _Tail:
    held, torn = read_tail(state.tail), int(state.torn)
    try:
        return _Tail(
            held[: len(held) - torn].decode("utf-8", "surrogatepass"), held[len(held) - torn :], bool(state.cased)
        )
    except UnicodeDecodeError as error:
        raise StateError("the state's text is no UTF-8; begin a new stream") from error


def _stored(tail: _Tail) -> TextStreamState:
    content = tail.text.encode("utf-8", "surrogatepass") + tail.torn
    if len(content) > HELD:
        raise DataError(
            f"{len(content)} bytes of text have come without the end of a word, and a live text holds {HELD}; "
            "is it text? (unit char holds nothing)"
        )
    return TextStreamState(make_tail(content), torch.tensor([len(tail.torn)]), torch.tensor([int(tail.cased)]))
