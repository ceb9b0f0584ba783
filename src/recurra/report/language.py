"""The report of a language model: scores, curves, where the loss lies, what it writes; and its card's words."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from recurra.data.corpus import Text
from recurra.report.card import CardWords, place_of
from recurra.report.page import Headline, Passage, ReportPage, Table, write_report
from recurra.report.parts import curves_picture, facts_of, model_line, scores_table, settings_of
from recurra.report.saving import Cell
from recurra.run import LanguageRun
from recurra.settings.names import UNIT_WORDS
from recurra.tasks.model import LanguageScore, ModelTraining

DRAWN = ((0.5, 0), (0.8, 1), (1.0, 2))  # temperature and seed
PASSAGE_LENGTH = {"char": 320, "byte": 320, "bpe": 80, "word": 60}  # symbols
LOOKED_AT = 20_000  # symbols of the test text, for the table of symbols
SHOWN = 15  # symbols in it
WINDOW = 512


def write_language_report(
    run: LanguageRun, training: ModelTraining, test: Text | None, score: LanguageScore, history: list[dict[str, Any]]
) -> None:
    """Write `report.html` and `plots/` in the run folder.

    Raises:
        WorkError: the disk is full or fails.
    """
    result, unit = run.result, training.task.symbols.unit
    tables = [
        scores_table(
            result,
            ["loss", "perplexity", "bits_per_character"],
            f"Loss in nats a symbol, of a text read with its state carried; symbols are {UNIT_WORDS[unit]}.",
        )
    ]
    if test is not None and len(test):
        tables.append(_symbols(training, test))
    write_report(
        run.path,
        ReportPage(
            title="Language model",
            subtitle=f"{model_line(run)}, {len(training.task.symbols):,} symbols ({unit})",
            headline=Headline(
                "test perplexity",
                f"{result['perplexity']:.3f}",
                f"loss {result['loss']:.4f} nats; n-grams {result.get('baseline_ngram_loss', float('nan')):.4f}",
            ),
            facts=facts_of(run, "Symbols"),
            tables=tables,
            pictures=[curves_picture(run, training, history)],
            passages=_passages(run, unit),
            settings=settings_of(run),
        ),
    )


def language_words(run: LanguageRun, training: ModelTraining, test: Text | None) -> CardWords:
    """What the card of a language model says."""
    place = place_of(run)
    unit = training.task.symbols.unit
    limits = [
        "The loss is that of texts like the test text; other languages and kinds of text were not measured.",
        "It makes up text that looks like its training text, and may repeat parts of it.",
    ]
    unk = training.task.symbols.unk_id
    if test is not None and len(test) and unk is not None:
        limits.insert(0, f"{test.occurrences[unk]:,} of {len(test):,} symbols of the test text are unknown to it.")
    use = [
        "```sh",
        f"recurra generate {place} --prompt 'The'",
        f"echo 'The' | recurra predict {place}",
        f"recurra evaluate {place} --data FILE",
        "```",
        "",
        "```python",
        "import recurra",
        "",
        f"run = recurra.load({run.path.absolute().name!r})",
        'run.generate("The", length=200, temperature=0.8)',
        "```",
    ]
    amounts = "{train_examples:,} symbols to train on, {valid_examples:,} for validation, {test_examples:,} for test."
    return CardWords(
        summary=f"reads a text ({UNIT_WORDS[unit]}), answers what follows",
        model=model_line(run),
        amounts=amounts.format(**run.result),
        limits=limits,
        use="\n".join(use),
        pipeline="text-generation",
    )


def _passages(run: LanguageRun, unit: str) -> list[Passage]:
    return [
        Passage(f"temperature {temperature:g}, seed {seed}", text)
        for temperature, seed in DRAWN
        for text in run.generate(length=PASSAGE_LENGTH[unit], temperature=temperature, seed=seed)
    ]


def _symbols(training: ModelTraining, test: Text) -> Table:
    """The symbols whose loss is most of the whole, on the beginning of the test text."""
    task = training.task
    ids = torch.tensor([[task.symbols.begin_id, *test.ids[:LOOKED_AT].tolist()]], device=task.device)
    losses = []
    state = task.model.initial_state(1)
    with torch.inference_mode():
        for first in range(0, ids.shape[1] - 1, WINDOW):
            window = ids[:, first : first + WINDOW + 1]
            logits, state = task.model(window[:, :-1], state)
            losses.append(torch.nn.functional.cross_entropy(logits[0], window[0, 1:], reduction="none").cpu())
    targets, nats = ids[0, 1:].cpu().numpy(), torch.cat(losses).double().numpy()
    total = np.bincount(targets, nats, len(task.symbols))
    count = np.bincount(targets, minlength=len(task.symbols))
    rows: list[list[Cell]] = [
        [repr(task.symbols.names[i]), int(count[i]), float(total[i] / count[i]), float(total[i] / total.sum())]
        for i in np.argsort(-total)[:SHOWN].tolist()
        if count[i]
    ]
    header = ["symbol", "times", "nats each", "share of the loss"]
    return Table("Where the loss lies", header, rows, f"The first {len(targets):,} symbols of the test text.")
