"""What a run is certified on: inputs of its test data, or drawn ones, and from them sequences of many lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from recurra.data.features import SeriesFeatures, TextFeatures
from recurra.data.pairs import END_ID, PairFeatures
from recurra.data.partition import check_unchanged
from recurra.data.table import Table
from recurra.data.token_features import TokenFeatures
from recurra.data.vocabulary import RESERVED
from recurra.errors import InputError, RecurraError
from recurra.laws.certificate import LENGTHS
from recurra.randomness import numpy_generator
from recurra.run import Run, TranslateRun
from recurra.run.language_run import LanguageRun
from recurra.sequence import first_tensor, map_values, valid_mask

INPUTS = 24  # of the test data
MOST_BYTES = 256 << 20  # of data files, beyond which inputs are drawn: a certificate is a matter of seconds
MOST_SYMBOLS = 8192  # of a test text
MOST_READ = 256  # symbols of an input to predict
TEST, DRAWN = "steps of its test data", "drawn steps"
DRAWN_STEPS = (5, 1, 17, 3, 31, 2)  # of drawn inputs, over and over
TEXT_JOINED = {"word": " ", "char": "", "bpe": ""}


class Given(NamedTuple):
    """inputs: as `run.predict_rows` takes them. rows: values [1, T, …] on the model's device. source: what they are."""

    inputs: list[Any]
    rows: list[Any]
    source: str


def given_to(run: Run) -> Given:
    """Inputs and sequences for a run: the same on every call, in every process."""
    if isinstance(run, LanguageRun):
        return _text_given_to(run)
    inputs, source = test_inputs(run), TEST
    if not inputs:
        inputs, source = drawn_inputs(run), DRAWN
    if not inputs:
        raise InputError(f"{run.path}: there is nothing to certify it on; its test data are not where they were")
    longest = getattr(run.parts, "max_length", 0) or getattr(run.parts.features, "max_length", 0)
    return Given(inputs, _cut(_steps(run, inputs), _lengths(int(longest))), source)


def test_inputs(run: Run) -> list[Any]:
    """Inputs of the run's test data; none where the files are no longer there, or the data came as Python objects."""
    test = _test_part(run)
    if isinstance(test, Table):
        test = test.select(range(min(INPUTS, len(test))))
    return [] if test is None else run.test_inputs(run.parts.examples(test), INPUTS)


def drawn_inputs(run: Run) -> list[Any]:
    """Raw inputs that the run's features read: tokens of the vocabulary, or numbers like those of the training data."""
    features, draw = run.parts.features, numpy_generator(0, "certificate inputs")
    steps = [DRAWN_STEPS[place % len(DRAWN_STEPS)] for place in range(INPUTS)]
    if isinstance(features, SeriesFeatures):
        size = features.input_size
        if features.vector:
            return [(features.mean + features.std * draw.standard_normal(size)).tolist() for _ in steps]
        return [(features.mean + features.std * draw.standard_normal((count, size))).tolist() for count in steps]
    if isinstance(features, TextFeatures):
        tokens = [token for token in features.vocabulary.tokens if token not in RESERVED] or ["a"]
        between = TEXT_JOINED[features.unit]
        return [between.join(draw.choice(tokens, count).tolist()) for count in steps]
    if isinstance(features, PairFeatures):
        said = np.arange(END_ID + 1, len(features.source))
        return [features.source.decode(draw.choice(said, count).tolist()) for count in steps]
    if isinstance(features, TokenFeatures):
        words = [word for word in features.words.tokens if word not in RESERVED]
        return [draw.choice(words, count).tolist() for count in steps]
    return []


def _text_given_to(run: LanguageRun) -> Given:
    """Of a language model: pieces of its test text, or of drawn symbols."""
    symbols, text = run.parts.symbols, _test_part(run)
    ids, source = (
        (torch.empty(0), DRAWN) if text is None else (torch.from_numpy(text.ids[:MOST_SYMBOLS].astype("int64")), TEST)
    )
    if not len(ids):
        legal = [number for number in range(len(symbols)) if number not in symbols.silent_ids]
        ids = torch.from_numpy(numpy_generator(0, "certificate inputs").choice(legal, MOST_SYMBOLS).astype("int64"))
    rows = _cut(ids.to(run.parts.device), _lengths(run.settings.language.bptt_length))
    pieces = [symbols.decode(row[0, :MOST_READ].tolist()) for row in rows]
    return Given(pieces, rows, source)


def _test_part(run: Run) -> Any:
    """The test part of the run's own data, as its task reads it; None where it cannot be read, or is too much."""
    if not run.files:
        return None
    try:
        if sum(Path(record.path).stat().st_size for record in run.files) > MOST_BYTES:
            return None
        check_unchanged(run.files)
        return run.parts.read(run.settings, None, run.parts).test
    except (RecurraError, OSError):
        return None


def _lengths(longest: int) -> list[int]:
    """Those of every certificate, and a prime beyond the longest in training."""
    return [*LENGTHS, next_prime(max(longest, *LENGTHS))]


def next_prime(number: int) -> int:
    """The smallest prime above a number."""
    return next(n for n in range(number + 1, 2 * number + 2) if all(n % k for k in range(2, int(n**0.5) + 1)))


def _steps(run: Run, inputs: list[Any]) -> Any:
    """All steps of some inputs, one after the other: values [N, …] on the model's device."""
    task = run.parts
    if isinstance(run, TranslateRun):
        ids = [task.features.encode(value).source for value in inputs]
        return torch.from_numpy(np.concatenate(ids)).to(task.device)
    batch = task.features.collate([task.features.encode(value) for value in inputs])
    valid = valid_mask(batch.lengths, batch.steps)
    return map_values(lambda part: part[valid].to(task.device), batch.values)


def _cut(steps: Any, lengths: list[int]) -> list[Any]:
    """Sequences of some lengths out of steps [N, …], which begin again where they end."""
    total = int(first_tensor(steps).shape[0])
    rows, at = [], 0
    for length in lengths:
        index = torch.from_numpy(np.arange(at, at + length) % max(total, 1))
        rows.append(map_values(lambda part: part[index.to(part.device)][None], steps))  # noqa: B023
        at += length
    return rows
