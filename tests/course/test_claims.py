"""What courses say and what is so: every row is measured, and its measurement shows it, small ones here."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import course  # noqa: E402
from claims import CLAIMS  # noqa: E402
from claims.costs import in_chunks, whole  # noqa: E402
from claims.learning import Rows, accuracy  # noqa: E402
from claims.measured import Measured, exponent, geometric_mean, medians, number, percent  # noqa: E402

MEASURES = {claim.measure.__name__: claim.measure for claim in CLAIMS}

# A small run of each. Those of the second table need time or training to show what they show: here they only run.
EXACT: dict[str, dict[str, Any]] = {
    "last_column": {"rows": 4},
    "batch_read_as_time": {},
    "clipping": {},
    "vanishing": {"seeds": 2},
    "one_to_one": {},
    "two_biases": {},
    "look_ahead": {},
    "skips": {"seeds": 2},
    "hidden_never_returned": {},
}
LONG: dict[str, dict[str, Any]] = {
    "packing": {"rows": 4, "steps": 30, "size": 8, "rounds": 1},
    "gru_beside_lstm": {"shapes": ((2, 5, 8),), "rounds": 1},
    "lstm_beside_gru": {"seeds": 2, "epochs": 1, "numbers": 3, "most": 40},
    "cost": {"steps": (5, 10), "sizes": (8, 16), "rows": 2, "rounds": 1},
    "which_states": {"seeds": 1, "epochs": 1, "most": 40, "steps": 2},
    "exposure": {"steps": 2, "hidden": 8, "rows": 4, "characters": 4000},
    "attention": {"steps": (64, 128), "chunk": 16, "rounds": 1},
}


def test_every_row_is_measured_in_a_small_run_here() -> None:
    assert sorted([*EXACT, *LONG]) == sorted(MEASURES)


@pytest.mark.parametrize("name", EXACT)
def test_a_measurement_shows_what_its_row_says(name: str) -> None:
    found = MEASURES[name](**EXACT[name])
    assert found.holds, found.seen
    check(found)


@pytest.mark.parametrize("name", LONG)
def test_a_long_measurement_runs(name: str) -> None:
    check(MEASURES[name](**LONG[name]))


def check(found: Measured) -> None:
    """A sentence fit for a cell of the table, and figures fit for the file."""
    assert "|" not in found.seen and "\n" not in found.seen and re.search(r"\d", found.seen)
    assert json.loads(json.dumps(found.figures))


def test_the_cost_of_a_layer_is_counted_and_what_it_keeps_is_linear() -> None:
    found = MEASURES["cost"](**LONG["cost"]).figures
    assert found["gates"] == {"rnn": 1.0, "gru": 3.0, "lstm": 4.0}
    assert all(abs(found["bytes"][name] - 1) < 0.2 for name in "TBH")
    assert found["depth"]["20"] > 1.6 * found["depth"]["10"]


def test_packing_and_gathering_by_length_give_the_rows_own_end_and_padding_does_not() -> None:
    differences = MEASURES["packing"](**LONG["packing"]).figures["difference"]
    assert max(differences["packed"], differences["ours"]) < 1e-5 < 0.01 < differences["padded"]


def test_attention_in_chunks_is_attention_whatever_the_chunk() -> None:
    queries, keys, values = torch.randn(3, 37, 8, dtype=torch.float64)
    for chunk in (1, 5, 37, 100):
        torch.testing.assert_close(
            in_chunks(queries.float(), keys.float(), values.float(), chunk), whole(queries, keys, values).float()
        )


def test_the_page_is_what_was_measured_and_every_row_holds() -> None:
    results = json.loads(course.RESULTS.read_text(encoding="utf-8"))
    rows = results["rows"]
    assert list(rows) == list(MEASURES)
    assert [name for name, row in rows.items() if not row["holds"]] == []
    page = course.PAGE.read_text(encoding="utf-8")
    assert course.with_table(page, course.table(results)) == page
    assert page.count("\n| ") == 1 + len(CLAIMS)


def test_a_row_that_its_measurement_does_not_show_says_so() -> None:
    name = CLAIMS[0].measure.__name__
    rows = {name: {"seen": "3 of 4", "holds": False}}
    written = course.table({"rows": rows, "threads": 1, "cores": 2, "torch": "2"}).splitlines()
    assert written[2].endswith("| NOT SEEN HERE: 3 of 4 |")
    assert all(line.endswith("| not measured yet |") for line in written[3 : 2 + len(CLAIMS)])


def test_the_same_seed_gives_the_same_accuracy_and_rows_are_cut_to_their_longest() -> None:
    draw = torch.Generator().manual_seed(0)
    rows = Rows(
        torch.randint(1, 5, (40, 9), generator=draw), torch.randint(1, 7, (40,), generator=draw), torch.arange(40) % 2
    )
    assert rows.at(torch.arange(40))[0].shape[1] == int(rows.lengths.max())
    assert accuracy("gru", (rows, rows), 1, 3, hidden=8) == accuracy("gru", (rows, rows), 1, 3, hidden=8)
    learned = accuracy("gru", (rows, rows), 1, 60, hidden=16)
    assert learned > 0.8


def test_the_tools_of_a_measurement() -> None:
    assert exponent([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx(2.0)
    assert geometric_mean([1e-4, 1e-8]) == pytest.approx(1e-6)
    assert [number(one) for one in (0, 0.7216, 284.3, 50.0, 1.6e-13, 1204.0, 2.5e7)] == [
        "0", "0.722", "284", "50.0", "1.6e-13", "1,204", "25,000,000",
    ]  # fmt: skip
    assert percent(0.9137) == "91.4 %"
    assert medians([lambda: None, lambda: math.sqrt(2)], 3)[0] >= 0
