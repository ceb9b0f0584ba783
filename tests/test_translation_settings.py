"""The settings of translation: what goes together, what does not, and where its files are."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from recurra.settings.options import documentation
from recurra.settings.translation import (
    PairsSettings,
    PairSymbolSettings,
    TranslateOptions,
    TranslateTrainingSettings,
    TranslatorSettings,
)

GROUPS = (PairsSettings, PairSymbolSettings, TranslatorSettings, TranslateTrainingSettings, TranslateOptions)


@pytest.mark.parametrize("group", GROUPS)
def test_defaults_are_legal_and_every_option_is_documented(group: type[Any]) -> None:
    assert group().problems() == []
    lines = documentation(group)
    assert all(lines[field.name].endswith((".", "…")) for field in fields(group))


def test_no_option_stands_in_two_groups() -> None:
    names = [field.name for group in GROUPS for field in fields(group)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (PairsSettings(source=("a.en",)), "source: 1 file(s) are named, and 0 of target"),
        (PairsSettings(source=("a.en", "b.en"), target=("a.fr",)), "source: 2 file(s) are named, and 1 of target"),
        (PairsSettings(source=("a",), target=("a",)), "source: a is target too"),
        (PairsSettings(data=("t.csv",), source=("a", "b")), "source: 2 columns are named, and a table has one"),
        (PairsSettings(data=("t.csv",), source=("a",), target=("a",)), "target: the column 'a' is source already"),
        (PairsSettings(valid_source="v.en"), "valid_source: it needs the lines beside it; give valid_target too"),
        (PairsSettings(test_target="t.fr"), "test_target: it needs the lines beside it; give test_source too"),
        (PairsSettings(test="t.csv", test_source="a", test_target="b"), "test: give a table, or test_source and"),
        (PairsSettings(valid_source="v", valid_target="v"), "valid_source: v is valid_target too"),
        (PairsSettings(valid="1.5"), "valid: a fraction lies between 0 and 1"),
        (PairsSettings(max_length=-1), "max_length: -1 is below 0"),
        (PairsSettings(delimiter=";;"), "delimiter: ';;' is not one character"),
        (PairSymbolSettings(target_unit="char"), "joint: bpe and char have no vocabulary in common; give no-joint"),
        (PairSymbolSettings(bpe_dropout=1.0), "bpe_dropout: 1.0 is not in [0, 1)"),
        (PairSymbolSettings(vocabulary_size=-1), "vocabulary_size: -1 is below 0"),
        (TranslatorSettings(decoder_cell="lstn"), "decoder_cell: 'lstn' is not known; did you mean 'lstm'"),
        (TranslatorSettings(output_dropout=1.0), "output_dropout: 1.0 is not in [0, 1)"),
        (TranslatorSettings(attention="none", input_feeding=True), "input_feeding: attention none has nothing to feed"),
        (TranslatorSettings(dilation="1,2", num_layers=2), "dilation: it is 1,2, and translate has none"),
        (TranslateTrainingSettings(batch_tokens=-1), "batch_tokens: -1 is below 0"),
        (TranslateTrainingSettings(recompute=8), "recompute: translate has none"),
        (TranslateTrainingSettings(batch_size=-1), "batch_size: -1 is below 1"),
        (TranslateOptions(beam=0), "beam: 0 is not in 1 to 1024; 1 searches greedily"),
        (TranslateOptions(teacher_forcing=1.1), "teacher_forcing: 1.1 is not in [0, 1]"),
        (TranslateOptions(forcing_schedule="linear"), "forcing_schedule: linear falls from 1 to teacher_forcing, and"),
        (TranslateOptions(length_penalty=float("nan")), "length_penalty: nan is not a number of 0 or more"),
        (TranslateOptions(no_repeat_ngram=-1), "no_repeat_ngram: -1 is below 0"),
        (
            TranslateOptions(min_target_length=9, max_target_length=3),
            "min_target_length: 9 is above max_target_length, 3",
        ),
    ],
)
def test_what_is_wrong_is_said(settings: Any, problem: str) -> None:
    found = settings.problems()
    assert len(found) == 1 and found[0].startswith(problem), found


def test_pairs_are_counted_or_their_tokens() -> None:
    assert TranslateTrainingSettings().budget == (0, 2500)
    assert TranslateTrainingSettings(batch_size=32).budget == (32, 0)
    assert TranslateTrainingSettings(batch_size="auto").problems() == []


def test_source_and_target_are_files_without_a_table_and_columns_with_one() -> None:
    lines = PairsSettings(source=("a.en",), target=("a.fr",), valid_source="v.en", valid_target="v.fr", test="t.csv")
    whole = lines.with_whole_paths()
    here = Path.cwd()
    assert whole.paths == tuple(str(here / name) for name in ("a.en", "a.fr", "t.csv", "v.en", "v.fr"))
    assert lines.names_data and not PairsSettings(source=("a",)).names_data
    table = PairsSettings(data=("t.csv",), source=("en",), target=("fr",)).with_whole_paths()
    assert (table.source, table.data) == (("en",), (str(here / "t.csv"),))
    assert lines.with_whole_paths(objects=True).source == ("a.en",)
