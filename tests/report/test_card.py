"""The model card: measured facts, and no text of a user's that does anything in Markdown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

import recurra
from recurra.report.card import inert, wilson
from recurra.training.folder import clear

EVIL = [
    "<script>alert(1)</script>", "[x](javascript:alert(1))", "![i](http://e.example/i.png)", "a | b | c", "# title",
    "`code`", "&lt;b&gt;", "www.evil.example", "http://evil.example", "**bold**", "- item\n\n# head", "```", "~~~", "",
    "$$x$$", "a@evil.example", "<!--", "\\", "\\<b>", "1. one", "x" * 500, "a\u202eb", "\ud800", "---", "    code",
]  # fmt: skip
SMALL: dict[str, Any] = {"epochs": 1, "hidden_size": 4, "embedding_size": 4, "threads": 1}


def front(text: str) -> dict[str, Any]:
    return yaml.safe_load(text.split("---\n")[1])  # type: ignore[no-any-return]


@pytest.mark.parametrize("text", EVIL)
def test_a_user_s_text_is_only_text(text: str) -> None:
    """CommonMark's own parser sees one paragraph (or one cell) of text."""
    for parser in (MarkdownIt("commonmark"), MarkdownIt("gfm-like", {"linkify": False})):
        (opening, inline, closing) = parser.parse(inert(text))
        assert (opening.type, closing.type) == ("paragraph_open", "paragraph_close")
        assert {child.type for child in inline.children or ()} <= {"text", "text_special"}
        rows = parser.parse(f"| a | b |\n| --- | --- |\n| {inert(text)} | z |")
        if parser.options.get("linkify") is not None and any(token.type == "table_open" for token in rows):
            cells = [token.content for token in rows if token.type == "inline"]
            assert len(cells) == 4
            assert cells[3] == "z"


def test_no_address_in_a_user_s_text_stands_as_one() -> None:
    for text in EVIL:
        assert not re.search(r"(https?://|www\.|\w@\w)", inert(text))


def test_the_card_says_what_was_measured(tmp_path: Path) -> None:
    rows = [f"{word} film about <b>{i}</b>,{label}" for i in range(30) for word, label in (("good", "g"), ("bad", "b"))]
    rows += ["odd film,<script>"] * 5
    data = tmp_path / "a_[b](c).csv"
    data.write_text("\n".join(["text,label", *rows]) + "\n")

    run = recurra.train(
        "classify", data=data, max_length=3, lr=0.01, bidirectional=True, out=tmp_path / "run_*1*", **SMALL
    )
    text = (run.path / "README.md").read_text()
    result = run.result
    assert front(text) == {
        "library_name": "recurra",
        "tags": ["recurra", "classify", "lstm"],
        "pipeline_tag": "text-classification",
        "metrics": ["accuracy", "f1"],
    }
    assert r"# run\_\*1\*" in text
    assert r"answers one of 3 labels: \<script\>, b, g." in text
    accuracy = f"{result['accuracy']:.4f}"
    valid = f"{result['valid_accuracy']:.4f}"
    plain = [f"{result[f'baseline_{name}_accuracy']:.4f}" for name in ("majority", "linear")]
    assert f"| `accuracy` | {accuracy} | {valid} | {plain[0]} | {plain[1]} |" in text
    assert "| metric | test | validation | majority baseline, test | linear baseline, test |" in text
    assert ("The model (" in text) == (result["accuracy"] <= result["baseline_linear_accuracy"])
    assert rf"| a\_\[b\]\(c\)\.csv | train | 65 | `{run.files[0].sha256}` |" in text
    trained = result["train_examples"]
    assert f"{trained:,} training rows, {result['valid_examples']:,} for validation" in text
    cut = sum(len(row.rpartition(",")[0].split()) > 3 for row in rows)
    assert cut == 60
    assert f"{result['train_cut']:,} of {trained:,} training rows were cut to 3 words" in text
    assert re.search(r"1 of 3 labels have fewer than 10 training rows: \\<script\\> \([1-5]\)", text)
    assert re.search(r"\d of \d+ tokens of the test data are not in the vocabulary", text)
    assert "cannot stream" in text
    assert "| `lr` | 0\\.01 |" in text
    assert "`batch_size`" not in text
    assert "Not certified." in text
    assert str(tmp_path) not in text


def test_a_card_of_numbers_from_objects_says_so_and_its_listing_runs(tmp_path: Path) -> None:
    data = {"x": [[float(i), 1.0] for i in range(40)], "y": [2.0 * i for i in range(40)]}
    run = recurra.train("regress", data=data, target="y", out=tmp_path / "b", **{**SMALL, "embedding_size": 128})
    text = (run.path / "README.md").read_text()
    assert front(text) == {
        "library_name": "recurra",
        "tags": ["recurra", "regress", run.settings.model.cell],
        "metrics": ["mae", "rmse", "r_squared"],
    }
    assert "reads numbers, answers a number" in text
    assert "The data came as Python objects" in text
    assert "| mean baseline, test | ridge baseline, test |" in text
    listing = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert listing
    done = subprocess.run([sys.executable, "-c", listing[1]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_interval_is_wilson_s() -> None:
    """Against the values of Newcombe, 1998, table I: 81 of 263, and 0 of 20."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_an_earlier_card_goes_with_an_overwritten_run(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("an earlier card")
    clear(tmp_path)
    assert not (tmp_path / "README.md").exists()
