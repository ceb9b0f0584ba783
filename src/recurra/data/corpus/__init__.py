"""Corpus: plain text, of any size, as long arrays of ids for training, validation and test.

    corpus = read_corpus(["book.txt"], "char", valid="0.1", test="0.1")
    # or in three steps, where the symbols are another run's:
    texts = cut_texts(["book.txt"], valid="0.1", test="0.1", raw=unit == "byte")
    symbols = learn_symbols(texts.train, "char")
    corpus = encode_texts(texts, symbols, folder)

    corpus.symbols                      # learned from the training part alone (recurra.data.symbols)
    corpus.train.ids                    # [N] uint8, uint16 or int32; on disk where it is large
    corpus.train.counts                 # characters, bytes, words, lines: what losses are given per
    corpus.files                        # FileRecords: path, SHA-256, lines, split
    read_text(["other.txt"], symbols)   # a text for evaluation, by the symbols of a run

    rows = cut_rows(corpus.train.ids, 32, symbols)  # 32 stretches, each from the start of a line
    for window in rows.windows(window_lengths(rows.steps, 128, seed=0, epoch=3)):
        window.inputs, window.targets, window.lengths           # int64 [B, T], [B, T], [B]; lengths None: all are full
    for window in cold_windows(corpus.valid.ids, 256, 32, symbols):  # each from a fresh state
        ...

A row's first input is `begin_id` and its first target the row's first symbol, so every symbol of a text is a target
exactly once an epoch, and the state is fresh (zero, nothing read) wherever `begin_id` is read. Beyond a row's end,
targets are IGNORED.

The text is read several times and never held: to count it and see that all of it can be read, to find where to cut it,
to learn the symbols, to write their ids. It is cut into stretches, training first, then validation, then test, at the
end of a line where one is near. Files follow each other as if they were one, with a newline between them.
"""

from recurra.data.corpus.counting import Counts
from recurra.data.corpus.description import describe_text
from recurra.data.corpus.encoding import Text
from recurra.data.corpus.reading import (
    Corpus,
    Stretch,
    Texts,
    cut_texts,
    encode_text,
    encode_texts,
    learn_symbols,
    read_corpus,
    read_text,
)
from recurra.data.corpus.windows import Rows, Window, cold_windows, cut_rows, window_lengths

__all__ = [
    "Corpus",
    "Counts",
    "Rows",
    "Stretch",
    "Text",
    "Texts",
    "Window",
    "cold_windows",
    "cut_rows",
    "cut_texts",
    "describe_text",
    "encode_text",
    "encode_texts",
    "learn_symbols",
    "read_corpus",
    "read_text",
    "window_lengths",
]
