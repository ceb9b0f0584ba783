"""Pairs: a text and the text that answers it, read, cut, made ids and dealt into batches.

    parts = partition_pairs(settings.data, seed, given)     # tables with the columns source and target
    features = PairFeatures.fit(parts.train, settings.text) # the tokens of both sides, and the longest kept
    pairs = features.encode_table(parts.train)              # EncodedPair: ids of both sides, and what was cut
    for rows in plan_pairs(lengths_of(pairs), batch_size=0, batch_tokens=2500, rng=rng):
        batch = features.collate([pairs[row] for row in rows])
        batch.source, batch.target                          # Sequence [B, S], Sequence [B, T]: padded ids and lengths
    features.answer(ids, attention, source)                 # the text of an answer, unknown words copied
    features.source_labels(source), features.target_labels(ids)  # what stands beside an attention picture

Every text is encoded, whatever is in it, and ends with `END_ID`; the decoder begins with `BEGIN_ID`.
"""

from recurra.data.pairs.batching import plan_pairs
from recurra.data.pairs.bpe_dropout import BpeDropout
from recurra.data.pairs.columns import SOURCE, TARGET, pair_columns, paired, source_texts
from recurra.data.pairs.copying import with_copies
from recurra.data.pairs.description import describe_pairs, looks_paired
from recurra.data.pairs.features import EncodedPair, PairBatch, PairFeatures, lengths_of
from recurra.data.pairs.lines import read_line_pairs
from recurra.data.pairs.overlap import Overlap, overlap
from recurra.data.pairs.reading import PairParts, pairs_of, partition_pairs
from recurra.data.pairs.sentences import BEGIN_ID, END_ID, PAD_ID, UNK_ID, SentenceSymbols, fit_sentences

__all__ = [
    "BEGIN_ID",
    "END_ID",
    "PAD_ID",
    "SOURCE",
    "TARGET",
    "UNK_ID",
    "BpeDropout",
    "EncodedPair",
    "Overlap",
    "PairBatch",
    "PairFeatures",
    "PairParts",
    "SentenceSymbols",
    "describe_pairs",
    "fit_sentences",
    "lengths_of",
    "looks_paired",
    "overlap",
    "pair_columns",
    "paired",
    "pairs_of",
    "partition_pairs",
    "plan_pairs",
    "read_line_pairs",
    "source_texts",
    "with_copies",
]
