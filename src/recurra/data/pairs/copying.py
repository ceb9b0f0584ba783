"""Unknown words of an answer, in whose place stands the source word that the decoder looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.pairs.sentences import END_ID, UNK_ID, SentenceSymbols
from recurra.data.pairs.words import bare


def with_copies(ids: Sequence[int], attention: NDArray[Any], surfaces: Sequence[str], target: SentenceSymbols) -> str:
    """The text of an answer (Luong et al., 2015, "Addressing the rare word problem").

    Args:
        ids: [T] of the answer, the beginning not among them.
        attention: [T, S or more] of each token over the source's; what is beyond `surfaces` (the end) is no word.
        surfaces: [S] of the source: `source.surfaces(text)`; an empty source leaves the unknown words unknown.
        target: the symbols of the answer.
    """
    ids = list(ids)
    ids = ids[: ids.index(END_ID)] if END_ID in ids else ids
    pieces: list[str] = []
    for at, i in enumerate(ids):
        if i == UNK_ID and surfaces:
            word = surfaces[int(np.argmax(attention[at, : len(surfaces)]))]
            pieces.append(word if target.unit == "word" else bare(word))
        else:
            pieces += target.pieces_of([i])
    return target.text_of(pieces)
