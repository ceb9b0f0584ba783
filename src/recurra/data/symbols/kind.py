"""What every kind of symbols can do, and a text that comes in pieces."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int32]
UNREADABLE = "\ufffd"


class Unseen(NamedTuple):
    """A symbol of a text that training never saw.

    Args:
        symbol: as it stands in the text.
        position: its first character's, from 0.
    """

    symbol: str
    position: int


class Decoder(Protocol):
    """Ids that come one after the other → text; what does not yet make a character is held."""

    def feed(self, ids: Iterable[int]) -> str:
        """The text that these ids complete."""

    def finish(self) -> str:
        """What is held, as text (U+FFFD where it is none), and the decoder as new."""

    @property
    def tail(self) -> bytes:
        """All that it holds: `symbols.decoder(tail)` goes on from here."""


class Symbols(Protocol):
    """The symbols of a language model, by id."""

    @property
    def unit(self) -> str:
        """ "char", "byte", "bpe" or "word"."""

    def __len__(self) -> int:
        """Rows of an embedding and of the logits: every id, `begin_id` and `unk_id` included."""

    @property
    def begin_id(self) -> int:
        """Read first by a fresh state, never a target; of no text."""

    @property
    def unk_id(self) -> int | None:
        """What a symbol never seen is read as; None where every text can be written."""

    @property
    def silent_ids(self) -> tuple[int, ...]:
        """Ids that stand for no text of their own, which generation leaves out: `begin_id` and `unk_id`."""

    @property
    def newline_ids(self) -> tuple[int, ...]:
        """Ids that end a line."""

    @property
    def names(self) -> tuple[str, ...]:
        """How each symbol is shown, by id."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest kind of number that holds every id of a text."""

    def encode(self, text: str | bytes) -> Ids:
        """[N] ids of a whole text; bytes are UTF-8."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids."""

    def encoder(self, tail: bytes = b"") -> Encoder:
        """For a text that comes in pieces; a tail is that of the encoder it goes on from."""

    def decoder(self, tail: bytes = b"") -> Decoder:
        """For ids that come one after the other."""

    def unseen(self, text: str) -> tuple[Unseen, ...]:
        """The symbols that are read as unknown, in order."""

    def settled(self, text: str) -> int:
        """How many characters of a text are encoded in the same way whatever follows them."""

    def to_json(self) -> dict[str, Any]:
        """What `symbols_from_json` reads, `tokenizer_json` apart."""

    @property
    def tokenizer_json(self) -> str | None:
        """What BPE has learned; None for the other units."""


class Encoder:
    """A text in pieces → ids: however it is cut, they are those of the whole.

    Bytes are read as UTF-8, and may be cut inside a character; what is no UTF-8 is U+FFFD, and for `unit` byte itself.

    Args:
        symbols: of the model.
        tail: of the encoder that this one goes on from.
    """

    def __init__(self, symbols: Symbols, tail: bytes = b"") -> None:
        self._symbols = symbols
        self._held, self._broken = "", b""  # text whose symbols are not settled, and bytes that are no character yet
        if tail:
            reader = codecs.getincrementaldecoder("utf-8")("surrogatepass")
            self._held = reader.decode(tail)
            self._broken = reader.getstate()[0]

    def feed(self, piece: str | bytes) -> Ids:
        """[n] ids that this piece settles; none is possible."""
        if self._symbols.unit == "byte":
            return self._symbols.encode(piece)
        text = self._held + self._read(piece)
        end = self._symbols.settled(text)
        self._held = text[end:]
        return self._symbols.encode(text[:end])

    def finish(self) -> Ids:
        """[n] ids of what is held, as the text ends here; and the encoder as new."""
        text = self._held + self._broken.decode("utf-8", "replace")
        self._held, self._broken = "", b""
        return self._symbols.encode(text)

    @property
    def tail(self) -> bytes:
        """All that it holds, as bytes."""
        return self._held.encode("utf-8", "surrogatepass") + self._broken

    def _read(self, piece: str | bytes) -> str:
        if isinstance(piece, str):
            broken, self._broken = self._broken, b""
            return broken.decode("utf-8", "replace") + piece
        reader = codecs.getincrementaldecoder("utf-8")("replace")
        text = reader.decode(self._broken + piece)
        self._broken = reader.getstate()[0]
        return text


def as_text(text: str | bytes) -> str:
    """A whole text, of bytes as UTF-8 with U+FFFD for what is none."""
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def folded(text: str) -> str:
    """Lower case, character by character: `str.lower` looks around a capital sigma, and so beyond a piece."""
    return text.replace("Σ", "σ").lower()


def smallest_dtype(size: int) -> np.dtype[Any]:
    """For ids below `size`."""
    return np.dtype(np.uint8 if size <= 1 << 8 else np.uint16 if size <= 1 << 16 else np.int32)
