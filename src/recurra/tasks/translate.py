"""translate: a text in, a text out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.baselines import WordByWord
from recurra.data.pairs import (
    BEGIN_ID,
    END_ID,
    EncodedPair,
    PairFeatures,
    PairParts,
    lengths_of,
    partition_pairs,
    plan_pairs,
)
from recurra.data.partition import Given
from recurra.data.table import Table
from recurra.errors import DataError, RecurraError, SettingsError
from recurra.models import Found, Seq2Seq, score_targets
from recurra.randomness import seed_of
from recurra.settings.tasks import TranslateSettings
from recurra.settings.translation import TranslateOptions
from recurra.tasks.evaluating import evaluating
from recurra.tasks.pair_baselines import fit_word_by_word, plain_scores
from recurra.tasks.pair_examples import PairExamples
from recurra.tasks.task import Task
from recurra.tasks.translate_model import STRUCTURE, build_translator, cells_of, embedding_size
from recurra.tasks.translate_search import Reach, attends, drawn_for, found_for, with_options
from recurra.tasks.translate_training import TranslateTraining, with_steps
from recurra.tasks.warm_start import structure_of, take_weights
from recurra.text_metrics import (
    TextScores,
    bleu_of,
    bleu_statistics,
    corpus_chrf,
    exact_matches,
    rouge_l,
    text_scores,
    token_accuracy,
)

PREDICT_ROWS = 1024  # texts encoded and sorted together in prediction: memory stays flat, batches stay full
MOST_READ = 4096  # tokens of a source in prediction; training cuts by max_length
LOSS_TOKENS = 10_000  # of a batch whose loss is measured
METRICS = {
    "bleu": True, "chrf": True, "exact_match": True, "token_accuracy": True, "rouge_l": True, "loss": False,
}  # fmt: skip


class Translation(NamedTuple):
    """An answer, and what the decoder looked at.

    text: the answer. score: its log probability in nats, by the length penalty and coverage penalty of the search.
    source_labels [S], target_labels [T]: tokens as they are shown, the ends among them. attention: [T, S] float32 of
    each token of the answer over the source's. Where attention was not asked for, or the model has none, it is None
    and the labels are empty. cut: tokens of the source beyond the longest read. alternatives: (text, score) of the
    answers after this one, the best first, where several were asked for.
    """

    text: str
    score: float
    source_labels: tuple[str, ...] = ()
    target_labels: tuple[str, ...] = ()
    attention: NDArray[np.float32] | None = None
    cut: int = 0
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class TranslateScore:
    """What a translator came to on pairs.

    Args:
        metrics: by name, with the signatures of BLEU and chrF.
        answers: a text for each source.
        scores: what each sentence came to.
    """

    metrics: dict[str, Any]
    answers: list[str]
    scores: TextScores


class Translate(Task):
    """The tokens of both sides and the model of one translator.

    Args:
        settings: all of them; what the model's options leave to the data is filled in.
        features: texts → ids.
        reach: how long answers are.
        device: where the model is.
    """

    name = "translate"
    model: Seq2Seq
    metrics: ClassVar[dict[str, bool]] = METRICS

    def __init__(
        self, settings: TranslateSettings, features: PairFeatures, reach: Reach, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(settings, device)
        self.features, self.reach = features, reach
        # what is longer than anything in training is answered all the same, whole
        self.reading = replace(features, max_length=max(features.max_length, MOST_READ))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(settings.training.seed, "weights"))
            self.model = build_translator(settings, features).to(self.device)

    @classmethod
    def read(cls, settings: TranslateSettings, given: Given | None, known: Any = None) -> PairParts:
        """The pairs of a run."""
        return partition_pairs(settings.data, settings.training.seed, given)

    @classmethod
    def fit_features(
        cls, settings: TranslateSettings, train: Table, device: torch.device | str = "cpu", start: Any = None
    ) -> Self:
        """Learn the tokens of both sides from the training pairs, and build the model.

        Raises:
            DataError: there is nothing in the texts.
            SettingsError: no token is frequent enough, or options of the model do not go together.
        """
        longest = settings.data.max_length
        if start is None:
            features = PairFeatures.fit(train, settings.text, longest)
        else:
            features = replace(start.features, max_length=longest or start.features.max_length)
        model = settings.model
        inside = model.attention is None and set(cells_of(model)[1]) == {"transformer"}
        model = replace(
            model,
            cell=model.cell or "lstm",
            decoder_cell=model.decoder_cell or model.cell or "lstm",
            num_layers=model.layers,
            attention=None if inside else model.attention or "general",
        )
        settings = replace(settings, model=model)
        settings = replace(settings, text=replace(settings.text, embedding_size=embedding_size(settings)))
        pairs = features.encode_table(train)
        settings = replace(settings, training=with_steps(settings.training, lengths_of(pairs)))
        return cls(settings, features, Reach.fit(pairs), device)

    @classmethod
    def from_json(cls, saved: dict[str, Any], tokenizer: str | None) -> tuple[PairFeatures, Reach]:
        """Features, and how long answers are."""
        return PairFeatures.from_json(saved["features"], tokenizer), Reach.from_json(saved["reach"])

    def to_json(self) -> dict[str, Any]:
        """Features, and how long answers are, as plain values."""
        return {"features": self.features.to_json(), "reach": self.reach.to_json()}

    @property
    def tokenizer_json(self) -> str | None:
        """What BPE has learned; None for other units."""
        return self.features.tokenizer_json

    @property
    def metric(self) -> str:
        """BLEU; chrF where most targets have fewer than four words, of which BLEU says nothing."""
        return "chrf" if self.features.short_targets else "bleu"

    @classmethod
    def with_structure(cls, settings: TranslateSettings, start: Task) -> TranslateSettings:
        """The settings with the structure of an earlier run."""
        if not isinstance(start, Translate):
            raise SettingsError(
                f"init: {settings.training.init} is a {start.name} run, and translate cannot start there"
            )
        return structure_of(settings, start.settings, STRUCTURE)

    def take_weights(self, start: Task) -> bool:
        """Copy the earlier run's weights: its tokens are this run's."""
        assert isinstance(start, Translate)
        take_weights(self.model, start.model)
        return True

    def training(self, parts: PairParts) -> TranslateTraining:
        """Batches, losses and validation metrics on the pairs."""
        return TranslateTraining(self, self.examples(parts.train), self.examples(parts.valid), parts.notes)

    def examples(self, part: Table) -> PairExamples:
        """Pairs made ready."""
        return PairExamples.of(part, self.features)

    def search(self, **given: Any) -> TranslateOptions:
        """The options of the search, some of them given anew.

        Raises:
            SettingsError: one that is none of a search, out of range, or without effect on this model.
        """
        options = with_options(self.settings.translate, given)
        if options.coverage_penalty and not attends(self.model):
            raise SettingsError("coverage_penalty: it counts attention, and attention is none; leave it out")
        return options

    def answers(self, examples: PairExamples, **search: Any) -> list[str]:
        """The text of the answer to each source."""
        return [one.text for one in self.translated(examples.sources, self.search(**search))]

    def translated(
        self, sources: list[str], options: TranslateOptions, attention: bool = False, n_best: int = 1
    ) -> list[Translation]:
        """The answer to each source, in their order; the model in evaluation mode."""
        pairs = [self.reading.encode(source) for source in sources]
        found = self._searched(pairs, options, attention, n_best)
        each = zip(sources, pairs, found, strict=True)
        return [self._translation(*one, options, attention) for one in each]

    def found(self, sources: list[str], **search: Any) -> list[Found]:
        """What the search finds for each source, as ids."""
        pairs = [self.reading.encode(source) for source in sources]
        return [best for best, *_ in self._searched(pairs, self.search(**search), False, 1)]

    def _searched(
        self, pairs: list[EncodedPair], options: TranslateOptions, attention: bool, n_best: int
    ) -> list[list[Found]]:
        how: dict[str, Any] = {"attention": attention, "n_best": n_best, "device": self.device}
        return found_for(self.model, self.reading, pairs, self.reach, options, **how)

    def drawn(self, source: str, options: TranslateOptions, **sampling: Any) -> list[str]:
        """Answers to a text drawn by chance; sampling as of `drawn_for`."""
        pair = self.reading.encode(source)
        found = drawn_for(self.model, self.reading, pair, self.reach, options, device=self.device, **sampling)
        return [self._text(source, one, options) for one in found]

    def told(self, sources: list[str], targets: list[list[int]]) -> list[float]:
        """The log probability in nats of each target, ids without the end: forced decoding, one after the other."""
        found = []
        for source, target in zip(sources, targets, strict=True):
            ids = self.reading.collate_sources([self.reading.encode(source)]).to(self.device)
            said = torch.tensor([[*target, END_ID]], device=self.device)
            with torch.inference_mode():
                state = self.model.begin(ids.values, ids.lengths)
                scored = score_targets(self.model.decoder, state, said, bos_id=BEGIN_ID)
            found.append(float(scored.log_probability[0]))
        return found

    def nats(self, examples: PairExamples) -> float:
        """The loss: nats a target token, the truth told."""
        total, count = 0.0, 0
        with evaluating(self.model):
            for rows in plan_pairs(lengths_of(examples.encoded), batch_size=0, batch_tokens=LOSS_TOKENS, rng=None):
                batch = self.features.collate([examples.encoded[row] for row in rows]).to(self.device)
                source, target = batch.source, batch.target
                total += float(self.model.loss(source.values, source.lengths, target.values, target.lengths).nats)
                count += int(target.lengths.sum())
        return total / max(1, count)

    def score(self, examples: PairExamples, **search: Any) -> TranslateScore:
        """Metrics of the answers that the search finds, their signatures, and the loss."""
        answers = self.answers(examples, **search)
        scores = text_scores(answers, examples.references)
        signatures = {f"{name}_signature": text for name, text in scores.signatures.items()}
        return TranslateScore({**scores.metrics, "loss": self.nats(examples), **signatures}, answers, scores)

    def measure(self, answers: list[str], references: list[str]) -> dict[str, float]:
        """The metrics alone, which is quicker."""
        overlaps = [rouge_l(one, other) for one, other in zip(answers, references, strict=True)]
        return {
            "bleu": bleu_of(bleu_statistics(answers, references)),
            "chrf": corpus_chrf(answers, references)[0],
            "exact_match": float(exact_matches(answers, references).mean()),
            "token_accuracy": token_accuracy(answers, references),
            "rouge_l": float(np.mean(overlaps)),
        }

    def fit_baselines(self, training: TranslateTraining) -> WordByWord:
        """The most likely translation of each word."""
        held = [training.valid.table] if self.settings.training.refit else []
        return fit_word_by_word(training.train.table, *held)

    def score_baselines(self, baselines: WordByWord, examples: PairExamples) -> dict[str, float]:
        """`baseline_copy_bleu`, `baseline_words_bleu`, …, and the seconds of fitting."""
        return plain_scores(baselines, examples.sources, examples.references)

    def baselines_to_files(self, baselines: WordByWord) -> dict[str, bytes]:
        """Words and their translations as JSON."""
        return baselines.to_files()

    def baselines_from_files(self, files: Mapping[str, bytes], folder: Path) -> WordByWord:
        """As `baselines_to_files` wrote them."""
        return WordByWord.from_files(files, folder)

    def sizes(self, training: TranslateTraining, test: PairExamples) -> dict[str, int]:
        """Pairs of each part, and their target tokens."""
        parts = {"train": training.train, "valid": training.valid, "test": test}
        return (
            {f"{name}_examples": len(part) for name, part in parts.items()}
            | {f"{name}_tokens": sum(target for _, target in part.lengths) for name, part in parts.items()}
            | {"train_cut": training.train.cut}
        )

    def notes(self, training: TranslateTraining, test: PairExamples) -> list[str]:
        """What reading has seen, and how many training pairs are cut."""
        cut = training.train.cut
        longest = self.features.max_length
        found = [f"{cut:,} training pairs are longer than {longest:,} tokens (max_length) and are cut"] if cut else []
        return [*training.notes, *found]

    def predict(
        self, inputs: Iterable[Any], options: TranslateOptions, attention: bool = False, n_best: int = 1
    ) -> Iterator[Translation | RecurraError]:
        """The answer to each input, in order; in place of what is no text stands the error."""
        waiting: list[str | RecurraError] = []
        for value in inputs:
            waiting.append(value if isinstance(value, str | RecurraError) else _no_text(value))
            if len(waiting) == PREDICT_ROWS:
                yield from self._predicted(waiting, options, attention, n_best)
                waiting = []
        yield from self._predicted(waiting, options, attention, n_best)

    def _predicted(
        self, rows: list[str | RecurraError], options: TranslateOptions, attention: bool, n_best: int
    ) -> Iterator[Translation | RecurraError]:
        found = iter(self.translated([row for row in rows if isinstance(row, str)], options, attention, n_best))
        for row in rows:
            yield next(found) if isinstance(row, str) else row

    def _translation(
        self, source: str, pair: EncodedPair, found: list[Found], options: TranslateOptions, attention: bool
    ) -> Translation:
        best, *others = found
        answer = Translation(
            self._text(source, best, options),
            best.score,
            cut=pair.cut,
            alternatives=tuple((self._text(source, one, options), one.score) for one in others),
        )
        if not attention or not best.attention.shape[1]:
            return answer
        return answer._replace(
            source_labels=tuple(self.reading.source_labels(source)),
            target_labels=tuple(self.reading.target_labels([*best.tokens.tolist(), END_ID])),
            attention=best.attention.cpu().numpy(),
        )

    def _text(self, source: str, found: Found, options: TranslateOptions) -> str:
        weights = found.attention.cpu().numpy() if options.copy_unknown else None
        return self.reading.answer(found.tokens.tolist(), weights, source)


def _no_text(value: Any) -> DataError:
    return DataError(f"is {type(value).__name__}; a text is expected")
