"""The page of familiar listings: each runs as it stands, and gives the logits of our line after weights are copied."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

PAGE = Path(__file__).parents[2] / "docs" / "course" / "listings.md"


def sections() -> dict[str, list[str]]:
    """The code blocks under each heading; those before the first heading are under ""."""
    head, *parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    texts = {"": head} | {part.partition("\n")[0]: part for part in parts}
    found = {title: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for title, text in texts.items()}
    return {title: blocks for title, blocks in found.items() if blocks}


SECTIONS = sections()
COMPARED = [title for title, blocks in SECTIONS.items() if any("ours = " in block for block in blocks)]


def run(*titles: str) -> dict[str, Any]:
    """What is defined after the listings under these headings have run, each page-wide name among them."""
    names: dict[str, Any] = {"__name__": "listing"}
    for block in [*SECTIONS[""], *(block for title in titles for block in SECTIONS[title])]:
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def compared(title: str) -> tuple[nn.Module, Any, dict[str, Any]]:
    """The listing and ours with equal weights, in evaluation mode, and everything defined."""
    names = run(title)
    plain, ours = names["plain"], names["ours"]
    (layer,) = (module for module in plain.modules() if isinstance(module, nn.RNNBase))
    names["copy_weights"](ours, layer, plain.fc)
    return plain.eval(), ours.eval(), names


def test_the_page_has_the_listings_that_people_search_for() -> None:
    text = "\n".join(block for blocks in SECTIONS.values() for block in blocks)
    for name in ("BasicRNN", "SentimentRNN", "VanillaRNN", "LSTMModel", "Seq2Seq"):
        assert f"class {name}(" in text
    assert len(COMPARED) == 5


@pytest.mark.parametrize("title", COMPARED)
def test_a_listing_gives_the_logits_of_our_line(title: str) -> None:
    plain, ours, names = compared(title)
    x = names["x"]
    assert x.shape == (3, 15, 10)
    if hasattr(plain, "embedding"):
        tokens = torch.randint(100, (3, 15))
        logits, expected = ours(plain.embedding(tokens))[0], plain(tokens)
    else:
        logits, expected = ours(x)[0], plain(x)
    assert logits.shape == (3, 5)
    assert float(expected.detach().std()) > 0.01  # they say something
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("title", COMPARED)
def test_our_line_is_one_line(title: str) -> None:
    (block,) = (block for block in SECTIONS[title] if "ours = " in block)
    assert len(block.strip().splitlines()) == 1


def test_dropout_between_stacked_layers_has_the_listings_rate() -> None:
    names = run("LSTMModel, with its own zero states and dropout when stacked")
    assert names["plain"].lstm.dropout == names["ours"].encoder.dropout == 0.2
    assert names["LSTMModel"](10, 20, 1, 5).lstm.dropout == 0.0


def test_in_pieces_ours_gives_the_logits_of_the_whole_and_the_listing_cannot() -> None:
    plain, ours, names = compared("VanillaRNN")
    x = names["x"]
    _, state = ours(x[:, :7])
    torch.testing.assert_close(ours(x[:, 7:], state)[0], plain(x))
    assert float((plain(x[:, 7:]) - plain(x)).detach().abs().max()) > 0.01


def test_with_padding_ours_gives_each_rows_own_logits() -> None:
    plain, ours, _ = compared("SentimentRNN")
    lengths = torch.tensor([15, 4, 9])
    tokens = torch.randint(1, 100, (3, 15)) * (torch.arange(15) < lengths[:, None])
    logits, _ = ours(plain.embedding(tokens), lengths=lengths)
    alone = torch.cat([plain(tokens[row : row + 1, :length]) for row, length in enumerate(lengths.tolist())])
    torch.testing.assert_close(logits, alone)
    assert float((plain(tokens) - alone).detach().abs().max()) > 0.01


def test_the_listing_that_has_no_line_of_ours_runs_and_looks_at_every_step() -> None:
    names = run("Sequence to sequence with attention")
    assert names["logits"].shape == (3, 4, 5)
    x = names["x"].clone().requires_grad_()
    names["Seq2Seq"](10, 20, 5)(x, torch.zeros(3, 1, dtype=torch.int64)).sum().backward()
    assert bool((x.grad.abs().sum(-1) > 0).all())
