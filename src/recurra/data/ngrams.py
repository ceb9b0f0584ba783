"""Character n-grams of a word, hashed into a table (Bojanowski et al., 2017, "fastText")."""

from __future__ import annotations

import zlib

from recurra.errors import SettingsError


def ngram_ids(word: str, buckets: int, low: int = 3, high: int = 5) -> list[int]:
    """Rows of the n-grams of `<word>`, boundary marks included, shorter n-grams first.

    The hash is CRC-32 of the n-gram's UTF-8: the same on every machine and in every process.

    Args:
        word: any token.
        buckets: rows of the table; row 0 is padding, so ids are 1 to buckets - 1.
        low, high: characters of an n-gram, at least and at most.

    Raises:
        SettingsError: there is no row beside the padding.
    """
    if buckets < 2:
        raise SettingsError(f"ngram_buckets: {buckets} is below 2; row 0 of the table is padding")
    marked = f"<{word}>"
    return [
        1 + zlib.crc32(marked[start : start + size].encode("utf-8", "surrogatepass")) % (buckets - 1)
        for size in range(low, high + 1)
        for start in range(len(marked) - size + 1)
    ]
