"""The plain method beside each task's score: a constant answer, and a linear model on features one would try first.

`fit_baselines` fits both on the rows that train the recurrent model; `to_files` and `from_files` take them into a run
and out of it, without a pickle. The fitted ones answer from what is stored, so the loaded ones give the same answers.
Beside a tagger stands the most frequent tag of each word (`FrequentTag`), beside a translator each word's most likely
translation (`WordByWord`).
Beside a language model stands one of n-grams: `fit_ngrams`, `ngrams_to_files`, `ngrams_from_files`.
"""

from recurra.baselines.fitting import Baselines, fit_baselines
from recurra.baselines.frequent import FrequentTag
from recurra.baselines.linear import Kind as BaselineKind
from recurra.baselines.ngram_model import ORDERS, NgramModel, fit_ngrams
from recurra.baselines.ngram_storing import ngrams_from_files, ngrams_to_files
from recurra.baselines.storing import from_files, to_files
from recurra.baselines.word_by_word import WordByWord

__all__ = [
    "ORDERS",
    "BaselineKind",
    "Baselines",
    "FrequentTag",
    "NgramModel",
    "WordByWord",
    "fit_baselines",
    "fit_ngrams",
    "from_files",
    "ngrams_from_files",
    "ngrams_to_files",
    "to_files",
]
