"""Bytes as symbols: any file can be read, and nothing is ever unknown."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recurra.data.symbols.kind import Encoder, Ids, Unseen

BYTES = 256


@dataclass(frozen=True, eq=False)
class ByteSymbols:
    """Id i is the byte i; one more stands for the beginning of a text."""

    unit: str = field(default="byte", init=False)

    def __len__(self) -> int:
        return BYTES + 1

    @property
    def begin_id(self) -> int:
        """Read first by a fresh state."""
        return BYTES

    @property
    def unk_id(self) -> None:
        """There is none."""
        return None

    @property
    def silent_ids(self) -> tuple[int, ...]:
        """The id that is no byte."""
        return (BYTES,)

    @property
    def newline_ids(self) -> tuple[int, ...]:
        """The newline's."""
        return (ord("\n"),)

    @property
    def names(self) -> tuple[str, ...]:
        """ASCII as it is, the others as <0xE9>."""
        return (*(name_of(bytes([i])) for i in range(BYTES)), "<begin>")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of every id of a text."""
        return np.dtype(np.uint8)

    def encode(self, text: str | bytes) -> Ids:
        """[N] ids, one a byte; a text is written as UTF-8."""
        return np.frombuffer(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, np.uint8)

    def decode(self, ids: Iterable[int]) -> str:
        """The text that the bytes are as UTF-8; U+FFFD where they are none."""
        decoder = self.decoder()
        return decoder.feed(ids) + decoder.finish()

    def encoder(self, tail: bytes = b"") -> Encoder:
        """For a text that comes in pieces."""
        return Encoder(self)

    def decoder(self, tail: bytes = b"") -> BytesDecoder:
        """For ids that come one after the other."""
        return BytesDecoder([*(bytes([i]) for i in range(BYTES)), b""], tail)

    def unseen(self, text: str) -> tuple[Unseen, ...]:
        """Nothing."""
        return ()

    def settled(self, text: str) -> int:
        """Every byte is."""
        return len(text)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"kind": "symbols", "unit": self.unit}

    @property
    def tokenizer_json(self) -> None:
        """Only BPE has one."""
        return None


class BytesDecoder:
    """Ids → the characters that their bytes complete.

    Args:
        table: each id's bytes.
        tail: of the decoder that this one goes on from.
    """

    def __init__(self, table: Sequence[bytes], tail: bytes = b"") -> None:
        self._table = table
        self._reader = codecs.getincrementaldecoder("utf-8")("replace")
        self._reader.decode(tail)

    def feed(self, ids: Iterable[int]) -> str:
        """The text that is whole now."""
        return self._reader.decode(b"".join([self._table[i] for i in ids]))

    def finish(self) -> str:
        """U+FFFD for a character that was begun."""
        text = self._reader.decode(b"", final=True)
        self._reader.reset()
        return text

    @property
    def tail(self) -> bytes:
        """The bytes of a character that was begun."""
        return self._reader.getstate()[0]


def name_of(content: bytes) -> str:
    """Bytes as they are shown: as text where they are some, else in hexadecimal."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in content)
