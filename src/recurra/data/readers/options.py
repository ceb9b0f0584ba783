"""How a table file is to be read."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from recurra.errors import SettingsError


@dataclass(frozen=True)
class ReadOptions:
    """What a user can say about a file.

    Args:
        delimiter: character between fields; empty: a tab for TSV, a comma for CSV.
        header: whether the first line names the columns.
        encoding: of text files.

    Raises:
        SettingsError: the delimiter is not one usable character, or the encoding is not known.
    """

    delimiter: str = ""
    header: bool = True
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if len(self.delimiter) > 1 or self.delimiter in ('"', "\r", "\n", "\0"):
            raise SettingsError(
                f"delimiter: {self.delimiter!r} cannot stand between fields; "
                "give one character other than a quote or a line break"
            )
        try:
            "".encode(self.encoding)  # base64 and its like are codecs, and no encodings of text
            codecs.lookup(self.encoding)
        except (LookupError, ValueError) as error:
            raise SettingsError(
                f"encoding: {self.encoding!r} is not known; utf-8, latin-1, cp1252 and utf-16 are common"
            ) from error

    @property
    def codec(self) -> str:
        """The codec to open a file with: a byte order mark at the front of UTF-8 is no text."""
        return "utf-8-sig" if codecs.lookup(self.encoding).name == "utf-8" else self.encoding
