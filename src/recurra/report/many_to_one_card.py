"""What the card of a run with one answer a sequence says: classify and regress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from recurra.data.features import TextFeatures
from recurra.data.vocabulary import UNK_ID
from recurra.report.card import CardWords, inert, row_counts, use_listing, wilson
from recurra.report.parts import model_line
from recurra.run import TableRun
from recurra.settings.names import UNIT_WORDS
from recurra.tasks import Classify, Examples, ManyToOneTraining

LABELS_SHOWN = 30
RARE_ROWS = 10  # training rows below which a class is called rare
WIDEST_EXAMPLE = 8  # numbers a step


def many_to_one_words(run: TableRun, training: ManyToOneTraining, test: Examples) -> CardWords:
    """The words of a classification or a regression."""
    text = isinstance(training.task, Classify) and run.reads_text
    return CardWords(
        summary=_summary(run, training),
        model=model_line(run),
        amounts=row_counts(run),
        limits=_limits(run, training, test),
        use=_use(run, training),
        pipeline="text-classification" if text else "",
    )


def _summary(run: TableRun, training: ManyToOneTraining) -> str:
    task = training.task
    read = "a text" if run.reads_text else "numbers"
    if not isinstance(task, Classify):
        return f"reads {read}, answers a number"
    names = [inert(name) for name in run.labels[:LABELS_SHOWN]]
    more = f", and {len(run.labels) - LABELS_SHOWN} more" if len(run.labels) > LABELS_SHOWN else ""
    answers = "any number of" if task.targets.several else "one of"
    return f"reads {read}, answers {answers} {len(run.labels)} labels: {', '.join(names)}{more}"


def _limits(run: TableRun, training: ManyToOneTraining, test: Examples) -> list[str]:
    """What was measured of where the model is weak, a sentence each."""
    result, task = run.result, training.task
    found = []
    if "accuracy" in result and result["test_examples"]:
        low, high = wilson(result["accuracy"], result["test_examples"])
        found.append(
            f"With {result['test_examples']:,} test rows the accuracy lies between {low:.4f} and {high:.4f} "
            "(95 % interval, for data like the test data)."
        )
    if training.train.cut:
        unit = UNIT_WORDS[run.settings.text.unit] if run.reads_text else "steps"
        found.append(
            f"{training.train.cut:,} of {result['train_examples']:,} training rows were cut to "
            f"{task.features.max_length:,} {unit}; what lies beyond is not read."
        )
    if isinstance(task, Classify):
        found += _rare(run.labels, training.train.targets)
    if isinstance(task.features, TextFeatures):
        ids = [one.values.token for one in test.encoded]
        tokens, unknown = sum(map(len, ids)), sum(int((one == UNK_ID).sum()) for one in ids)
        if tokens:
            found.append(f"{unknown:,} of {tokens:,} tokens of the test data are not in the vocabulary.")
        found.append("Languages and kinds of text other than those of the training data were not measured.")
    if run.settings.model.bidirectional:
        found.append("It reads in both directions, so it needs the whole sequence and cannot stream.")
    return found


def _rare(labels: Sequence[str], targets: list[Any]) -> list[str]:
    counts = Counter(one for target in targets for one in (target if isinstance(target, list) else [target]))
    rare = [(counts[index], name) for index, name in enumerate(labels) if counts[index] < RARE_ROWS]
    if not rare:
        return []
    shown = ", ".join(f"{inert(name)} ({count})" for count, name in sorted(rare)[:LABELS_SHOWN])
    more = ", …" if len(rare) > LABELS_SHOWN else ""
    return [f"{len(rare)} of {len(labels)} labels have fewer than {RARE_ROWS} training rows: {shown}{more}."]


def _use(run: TableRun, training: ManyToOneTraining) -> str:
    features = training.task.features
    example: Any = "a text"
    if not isinstance(features, TextFeatures):
        step = [0.0] * features.input_size
        example = step if features.vector else [step, step]
    short = isinstance(features, TextFeatures) or features.input_size <= WIDEST_EXAMPLE
    return use_listing(run, example if short else None)
