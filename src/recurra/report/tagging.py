"""The report of a tagging run: scores, curves, errors by tag, confused pairs, unknown words, spans, sentences."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.vocabulary import UNK_ID
from recurra.metrics import ClassificationMetrics
from recurra.report.card import CardWords, inert, use_listing, wilson
from recurra.report.page import Headline, Picture, ReportPage, Sample, Table, write_report
from recurra.report.parts import curves_picture, drawn_lengths, facts_of, model_line, scores_table, settings_of
from recurra.report.plots import confusion, confusion_numbers
from recurra.report.saving import Cell, save_plot
from recurra.run import TagRun
from recurra.tasks import TaggedExamples, TagScore, TagTraining

SAMPLES = 12
CONFUSED_PAIRS = 15
MISTAKEN_WORDS = 20
PICTURED_TAGS = 60  # beyond, the squares of the confusion matrix are too small to read
LABELS_SHOWN = 30
UNSEEN_NAME = "(not in training)"
METRICS = [
    "accuracy", "known_accuracy", "unknown_accuracy", "span_f1", "span_precision", "span_recall", "loss",
]  # fmt: skip


def write_tagging_report(
    run: TagRun, training: TagTraining, test: TaggedExamples, score: TagScore, history: list[dict[str, Any]]
) -> None:
    """Write `report.html` and `plots/` in the run folder.

    Raises:
        WorkError: the disk is full or fails.
    """
    task, result = training.task, run.result
    counted = task.confusion(score.predicted, test)
    names = (*run.labels, UNSEEN_NAME)
    matrix = counted.confusion.numpy()
    tables = [
        scores_table(
            result,
            METRICS,
            "Unknown words are not in the training data. Loss in nats a token; validation data chose the weights.",
        ),
        _words(test, score),
        _tags(names, counted),
    ]
    tables += _confused(matrix, names)
    predicted = task.names_of(score.predicted)
    if task.has_spans:
        tables.insert(1, _spans(task.spans(predicted, test).per_kind()))
    tables += _mistaken(test, predicted)
    pictures = [curves_picture(run, training, history)]
    if len(run.labels) <= PICTURED_TAGS:
        png = save_plot(run.path, "confusion", *_drawn(matrix, names))
        caption = "Test tokens: the true tag in each row, the predicted one in each column."
        pictures.append(Picture("Confusion", png, f"Confusion matrix of {len(run.labels)} tags", caption))
    pictures.append(drawn_lengths(run, training.lengths, "tokens"))
    metric = task.metric
    write_report(
        run.path,
        ReportPage(
            title="Tagging",
            subtitle=f"{model_line(run)}, {len(run.labels)} tags of {task.tags[0].column}, tested on "
            f"{result['test_tokens']:,} tokens in {result['test_examples']:,} sentences",
            headline=Headline(
                f"test {metric.replace('_', ' ')}",
                f"{100 * result[metric]:.2f} %",
                f"most frequent tags {100 * result[f'baseline_frequent_{metric}']:.2f} %, unknown words "
                f"{100 * result['unknown_accuracy']:.2f} %",
            ),
            facts=facts_of(run),
            tables=tables,
            pictures=pictures,
            samples=_samples(test, predicted),
            settings=settings_of(run),
        ),
    )


def tagging_words(run: TagRun, training: TagTraining, test: TaggedExamples) -> CardWords:
    """What the card of a tagging run says."""
    result, task = run.result, training.task
    names = [inert(name) for name in run.labels[:LABELS_SHOWN]]
    more = f", and {len(run.labels) - LABELS_SHOWN} more" if len(run.labels) > LABELS_SHOWN else ""
    amounts = ", ".join(
        f"{result[f'{part}_examples']:,} sentences ({result[f'{part}_tokens']:,} tokens) {use}"
        for part, use in (("train", "for training"), ("valid", "for validation"), ("test", "for test"))
    )
    return CardWords(
        summary=f"reads the tokens of a sentence, answers for each one of {len(run.labels)} tags: "
        f"{', '.join(names)}{more}",
        model=model_line(run) + (", with a random field" if run.settings.tag.crf else ""),
        amounts=f"{amounts}.",
        limits=_limits(run, task.constrained, test),
        use=use_listing(run, "a few words"),
        pipeline="token-classification",
    )


def _limits(run: TagRun, constrained: bool, test: TaggedExamples) -> list[str]:
    result, found = run.result, []
    if test.tokens:
        low, high = wilson(result["accuracy"], test.tokens)
        unknown = sum(int((one.values.token == UNK_ID).sum()) for one in test.encoded)
        found.append(
            f"With {test.tokens:,} test tokens the accuracy lies between {low:.4f} and {high:.4f} (95 % interval, for "
            "data like the test data; errors in one sentence go together, which widens it)."
        )
        found.append(
            f"{unknown:,} of {test.tokens:,} test tokens are words that training has not seen; of these "
            f"{result['unknown_accuracy']:.4f} are tagged right."
        )
    if test.unseen:
        found.append(f"{test.unseen:,} test tokens have a tag that training has not seen.")
    if constrained:
        found.append("Only tags that write whole spans are answered.")
    found.append("Languages and kinds of text other than those of the training data were not measured.")
    if run.settings.model.bidirectional:
        found.append("It reads in both directions, so it needs the whole sentence and cannot stream.")
    return found


def _words(test: TaggedExamples, score: TagScore) -> Table:
    """Known and unknown words: how many, how many wrong."""
    counts = np.zeros((2, 2), np.int64)
    for numbers, targets, encoded in zip(score.predicted, test.targets, test.encoded, strict=True):
        unknown = (encoded.values.token == UNK_ID).astype(np.int64)
        np.add.at(counts, (unknown, (numbers != targets[:, 0]).astype(np.int64)), 1)
    rows: list[list[Cell]] = []
    for name, (right, wrong) in zip(("seen in training", "never seen"), counts.tolist(), strict=True):
        total = right + wrong
        rows.append([name, total, wrong, right / total if total else None])
    return Table("Known and unknown words", ["words", "test tokens", "errors", "accuracy"], rows)


def _tags(names: tuple[str, ...], counted: ClassificationMetrics) -> Table:
    matrix = counted.confusion.numpy()
    wrong = matrix.sum(1) - matrix.diagonal()
    total = max(1, int(wrong.sum()))
    ordered = sorted(range(len(names)), key=lambda tag: (-int(wrong[tag]), names[tag]))
    values = counted.per_class()
    rows: list[list[Cell]] = [
        [
            names[tag], int(values[tag]["support"]), int(wrong[tag]), int(wrong[tag]) / total,
            values[tag]["precision"], values[tag]["recall"], values[tag]["f1"],
        ]
        for tag in ordered
        if matrix[tag].sum() or matrix[:, tag].sum()
    ]  # fmt: skip
    header = ["tag", "test tokens", "errors", "share of errors", "precision", "recall", "F1"]
    return Table("Errors by tag", header, rows)


def _confused(matrix: NDArray[np.int64], names: tuple[str, ...]) -> list[Table]:
    pairs = [(int(matrix[i, j]), i, j) for i, j in np.argwhere(matrix).tolist() if i != j]
    if not pairs:
        return []
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows: list[list[Cell]] = [[names[truth], names[guess], count] for count, truth, guess in pairs[:CONFUSED_PAIRS]]
    return [Table("Most often confused", ["truth", "taken for", "tokens"], rows)]


def _spans(kinds: dict[str, dict[str, float]]) -> Table:
    rows: list[list[Cell]] = [
        [kind, int(one["support"]), one["precision"], one["recall"], one["f1"]] for kind, one in kinds.items()
    ]
    note = "A span counts where its kind, beginning and end are right."
    return Table("Spans", ["kind", "test spans", "precision", "recall", "F1"], rows, note)


def _mistaken(test: TaggedExamples, predicted: list[list[str]]) -> list[Table]:
    """The words that are most often wrong, each with what it was taken for."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for tokens, truth, tags in zip(test.inputs, test.tags, predicted, strict=True):
        counts.update((token, a, b) for token, a, b in zip(tokens, truth, tags, strict=True) if a != b)
    if not counts:
        return []
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MISTAKEN_WORDS]
    rows: list[list[Cell]] = [[*what, count] for what, count in ordered]
    return [Table("Words most often wrong", ["word", "truth", "taken for", "tokens"], rows)]


def _drawn(matrix: NDArray[np.int64], names: tuple[str, ...]) -> tuple[Any, Any, Any]:
    """The confusion matrix, without the class of what training has not seen where the test data have none."""
    last = len(names) if matrix[-1].any() else len(names) - 1
    square, shown = matrix[:last, :last], names[:last]
    return (confusion(square, shown), *confusion_numbers(square, shown))


def _samples(test: TaggedExamples, predicted: list[list[str]]) -> list[Sample]:
    """Sentences with the most errors first, then some spread over the test data; only wrong tokens say both tags."""
    errors = [
        sum(a != b for a, b in zip(truth, tags, strict=True)) for truth, tags in zip(test.tags, predicted, strict=True)
    ]
    wrong = sorted((row for row in range(len(errors)) if errors[row]), key=lambda row: (-errors[row], row))
    right = [row for row in range(len(errors)) if not errors[row] and test.inputs[row]]
    chosen = wrong[: SAMPLES // 2]
    missing = SAMPLES - len(chosen)
    chosen += right[:: max(1, len(right) // missing)][:missing]
    return [
        Sample(" ".join(test.inputs[row]), " ".join(test.tags[row]), " ".join(predicted[row]), None) for row in chosen
    ]
