"""The report of a translator: scores with intervals, curves, lengths, sentences; and its card's words."""

from __future__ import annotations

from typing import Any

import numpy as np

from recurra.report.card import CardWords, row_counts, use_listing
from recurra.report.page import Headline, ReportPage, Sample, Table, write_report
from recurra.report.parts import curves_picture, drawn_lengths, facts_of, model_line, scores_table, settings_of
from recurra.report.saving import Cell
from recurra.run import TranslateRun
from recurra.statistics import bootstrap_interval
from recurra.tasks import TranslateScore, TranslateTraining
from recurra.tasks.pair_examples import PairExamples
from recurra.text_metrics import TextScores, bleu_of

SAMPLES = 12
EXAMPLE_LENGTH = 60  # characters of the source on the card
METRICS = ["bleu", "chrf", "exact_match", "token_accuracy", "rouge_l", "loss"]
OF_SENTENCES = ("exact_match", "rouge_l", "chrf")  # whose mean over sentences has an interval


def write_translation_report(
    run: TranslateRun,
    training: TranslateTraining,
    test: PairExamples,
    score: TranslateScore,
    history: list[dict[str, Any]],
) -> None:
    """Write `report.html` and `plots/` in the run folder.

    Raises:
        WorkError: the disk is full or fails.
    """
    result, metric = run.result, training.metric
    tables = [scores_table(result, METRICS, _note(run, training)), _signatures(score.scores)]
    if len(test) > 1:
        tables.insert(1, _intervals(score.scores))
    plain = ", ".join(
        f"{words} {result[f'baseline_{name}_{shown(metric)}']:.2f}"
        for name, words in (("copy", "the source copied"), ("words", "word for word"))
    )
    write_report(
        run.path,
        ReportPage(
            title="Translation",
            subtitle=f"{_model(run)}, tested on {result['test_examples']:,} pairs",
            headline=Headline(f"test {shown(metric).replace('_', ' ')}", f"{result[shown(metric)]:.2f}", plain),
            facts=facts_of(run, "Pairs"),
            tables=tables,
            pictures=[curves_picture(run, training, history), drawn_lengths(run, training.lengths, "tokens")],
            samples=_samples(test, score),
            settings=settings_of(run),
        ),
    )


def translation_words(run: TranslateRun, training: TranslateTraining, test: PairExamples) -> CardWords:
    """What the card of a translator says."""
    result = run.result
    source, target = run.settings.text.units
    units = f"{source} tokens" if source == target else f"{source} tokens, answered in {target} tokens"
    example = next((text for text in test.sources if 0 < len(text) <= EXAMPLE_LENGTH), None)
    return CardWords(
        summary=f"reads a text ({units}), answers a text",
        model=_model(run),
        amounts=f"{row_counts(run)} {result['train_tokens']:,} target tokens to train on.",
        limits=_limits(run, test),
        use=use_listing(run, example),
        pipeline="translation",
    )


def shown(metric: str) -> str:
    """The metric of a headline: that which chose the weights, where plain methods have it too."""
    return "bleu" if metric == "loss" else metric


def _note(run: TranslateRun, training: TranslateTraining) -> str:
    options = run.settings.translate
    search = "greedy search" if options.beam == 1 else f"a beam of {options.beam}"
    held = len(training.answered)
    return (
        f"BLEU and chrF lie between 0 and 100. The test data were answered by {search}, {held:,} validation pairs by "
        "greedy search. Loss in nats a target token. The source itself is the row copy; words is each word's most "
        "likely translation."
    )


def _intervals(scores: TextScores) -> Table:
    rows: list[list[Cell]] = []
    bleu = bootstrap_interval(scores.bleu_statistics, bleu_of)
    rows.append(["bleu of the corpus", bleu.mean, bleu.low, bleu.high])
    for name in OF_SENTENCES:
        one = bootstrap_interval(scores.sentences[name])
        rows.append([f"{name}, mean of sentences", one.mean, one.low, one.high])
    note = f"95 % by bootstrap over {len(scores.bleu_statistics):,} test sentences."
    return Table("How sure the scores are", ["metric", "test", "from", "to"], rows, note)


def _signatures(scores: TextScores) -> Table:
    note = "With these other programs and papers can be compared."
    return Table(
        "Signatures of sacrebleu", ["metric", "signature"], [list(one) for one in scores.signatures.items()], note
    )


def _samples(test: PairExamples, score: TranslateScore) -> list[Sample]:
    """Sentences spread over the test data from the worst to the best, so that they show what the score means."""
    order = np.argsort(score.scores.sentences["chrf"], kind="stable")
    places = np.linspace(0, len(order) - 1, min(SAMPLES, len(order))).astype(int)
    return [Sample(test.sources[row], test.references[row], score.answers[row], None) for row in order[places].tolist()]


def _model(run: TranslateRun) -> str:
    model = run.settings.model
    decoder = "" if model.decoder_cell == model.cell else f", decoder {model.decoder_cell}"
    fed = " with input feeding" if model.input_feeding else ""
    attention = {"none": "no attention", None: "attention inside each layer"}.get(
        model.attention, f"{model.attention} attention{fed}"
    )
    return f"{model_line(run)}{decoder}, {attention}"


def _limits(run: TranslateRun, test: PairExamples) -> list[str]:
    result, found = run.result, []
    if len(test):
        found.append(f"{result['exact_match']:.4f} of the test answers are the reference, word by word.")
    if result["train_cut"]:
        found.append(
            f"{result['train_cut']:,} training pairs were cut at {run.parts.features.max_length:,} tokens; longer "
            "texts are answered whole, and were not measured."
        )
    found.append("An answer may leave things out, add some or repeat itself, however fluent it is.")
    found.append("Languages and kinds of text other than those of the training data were not measured.")
    found.append("It reads a text to its end before it answers, so it cannot stream.")
    return found
