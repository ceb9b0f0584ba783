"""A trained translator: a text and the text that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

from recurra.data.answers import in_kind_of
from recurra.data.pairs import pairs_of, source_texts
from recurra.data.readers import READERS, check_file, read_table, table_from_python
from recurra.data.readers.jsonl import columns_of
from recurra.data.readers.lines import read_lines
from recurra.data.readers.options import ReadOptions
from recurra.data.table import Table
from recurra.errors import NotStreamable, RecurraError
from recurra.models.sampling import check_length
from recurra.run.run import Run
from recurra.settings.tasks import TranslateSettings
from recurra.tasks import Translate

SCORE_DIGITS, ATTENTION_DIGITS = 5, 4  # what lies beyond changes with threads


class Answer(NamedTuple):
    """A row of a frame of answers."""

    text: str
    score: float


class TranslateRun(Run):
    """A run of translate."""

    _task: Translate

    @property
    def settings(self) -> TranslateSettings:
        """Every setting that made the run."""
        return cast(TranslateSettings, self._task.settings)

    def evaluate(self, data: Any = None, **search: Any) -> dict[str, Any]:
        """The metrics of translation.

        Args:
            data: a table's file, two files of lines as a tuple (source, target), or Python objects as for `train`;
                None: the test data of the run.
            search: options of the search in place of the run's: beam, length_penalty, coverage_penalty,
                min_target_length, max_target_length, no_repeat_ngram, copy_unknown.

        Returns:
            bleu and chrf (0 to 100) with their signatures, exact_match, token_accuracy and rouge_l (0 to 1), loss
            (nats a target token), examples; and those of the plain methods: `baseline_copy_bleu` of the source itself,
            `baseline_words_bleu` of each word's likeliest translation, ….

        Raises:
            InputError: no data is given and the run's came as Python objects, or its files have changed.
            DataError: the data cannot be used.
            SettingsError: an option of the search is out of range.
        """
        self._task.search(**search)  # a wrong option is said before anything is read
        examples = self._task.examples(self._pairs(data))
        found = self._task.score(examples, **search)
        return {**found.metrics, "examples": len(examples), **self._baseline_scores(examples)}

    def predict(self, inputs: Any, attention: bool = False, n_best: int = 1, **search: Any) -> Any:
        """The answer to each text, in order.

        Args:
            inputs: texts, or one; or columns with the run's column of sources: a mapping, a list of dictionaries, a
                frame.
            attention: whether the alignment is given too.
            n_best: answers to each text, at most as many as beam; those after the best are its `alternatives`.
            search: options of the search in place of the run's, as for `evaluate`.

        Returns:
            A list of `Translation`. For a frame a frame of the same kind with the columns text and score.

        Raises:
            DataError: an input is no text; with its row.
            SettingsError: an option of the search is out of range.
        """
        options = self._task.search(**search)
        if isinstance(inputs, str):
            inputs = [inputs]
        inputs = inputs if hasattr(inputs, "__len__") else list(inputs)
        if not len(inputs):
            return []
        table = table_from_python(inputs)
        column, values = source_texts(table, self.settings.data)
        answers = []
        for row, answer in enumerate(self._task.predict(values, options, attention, n_best)):
            if isinstance(answer, RecurraError):
                raise table.place(row, column).error(str(answer)) from answer
            answers.append(answer)
        plain = in_kind_of(inputs, [Answer(one.text, one.score) for one in answers])
        return answers if isinstance(plain, list) else plain

    def score(self, pairs: Iterable[tuple[str, str]]) -> list[float]:
        """The log probability in nats that the model gives to a target as the answer to a source: forced decoding.

        Args:
            pairs: (source, target), texts.
        """
        sides = list(pairs)
        targets = [self._task.reading.target.encode(target).tolist()[:-1] for _, target in sides]
        return self._task.told([source for source, _ in sides], targets)

    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        count: int = 1,
    ) -> list[str]:
        """Answers to a text drawn by chance: many to one source, as names to a language.

        Args:
            prompt: the source.
            length: tokens of an answer at most; 0: as many as the run allows.
            temperature: 0 takes the likeliest token each time, 1 samples as learned; in between it is more careful.
            top_k: likeliest tokens to sample from; 0: all.
            top_p: the fewest likeliest tokens whose probabilities make this much are sampled from; in (0, 1].
            seed: decides the samples: the same seed, the same answers.
            count: how many answers; each is the same however many there are.

        Raises:
            SettingsError: an option out of range.
        """
        check_length(length)
        options = self._task.search(max_target_length=length or self.settings.translate.max_target_length)
        sampling: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        return self._task.drawn(prompt, options, count=count, **sampling)

    def predict_rows(
        self, rows: Iterable[Any], attention: bool = False, n_best: int = 1, **search: Any
    ) -> Iterator[dict[str, Any]]:
        """`{"text": …, "score": …}` for each row, or an error. Rows may be errors already.

        Beside them stands cut, the tokens of a source beyond the longest read, where there are some.

        Args:
            rows: texts.
            attention: whether source, target and attention stand beside them: the tokens of both sides, and for each
                of the target's its weights over the source's.
            n_best: answers to each text; those after the best stand in `alternatives`.
            search: options of the search in place of the run's.
        """
        for answer in self._task.predict(rows, self._task.search(**search), attention, n_best):
            if isinstance(answer, RecurraError):
                yield {"error": str(answer)}
                continue
            found: dict[str, Any] = {"text": answer.text, "score": round(answer.score, SCORE_DIGITS)}
            if n_best > 1:
                others = answer.alternatives
                found["alternatives"] = [{"text": text, "score": round(score, SCORE_DIGITS)} for text, score in others]
            if answer.cut:
                found["cut"] = answer.cut
            if answer.attention is not None:
                found |= {
                    "source": list(answer.source_labels),
                    "target": list(answer.target_labels),
                    "attention": [[round(float(x), ATTENTION_DIGITS) for x in step] for step in answer.attention],
                }
            yield found

    def inputs_of(self, path: Path, format: str | None = None) -> list[Any]:
        """The sources of a file: of a table the run's column of sources, of any other file its lines.

        Raises:
            DataError: it cannot be read, or has no column of sources.
        """
        data = self.settings.data
        if format == "text" or (format is None and _ending(path) not in READERS):
            check_file(path)
            lines = read_lines(path, ReadOptions(encoding=data.encoding), ends="\n")
            return [line.removesuffix("\n").removesuffix("\r") for line in lines]
        table = read_table(path, delimiter=data.delimiter, header=data.header, encoding=data.encoding, format=format)
        return source_texts(table, data)[1]

    def input_of(self, value: Any, source: str, line: int) -> Any:
        """A JSON value's text: the value itself, or from an object the run's column of sources.

        Raises:
            DataError: the object has no such column.
        """
        if not (isinstance(value, dict) and value):
            return value
        return source_texts(Table(source, columns_of([value], source), [line]), self.settings.data)[1][0]

    def test_inputs(self, test: Any, count: int) -> list[Any]:
        """The first sources of the test data."""
        return list(test.sources[:count])

    def stream(self, state: Any = None) -> NoReturn:
        """A translator has no live session: it reads a text to its end before it answers.

        Raises:
            NotStreamable: always.
        """
        raise NotStreamable(
            f"{self.path}: translate reads a text to its end before it answers, so it cannot stream; give predict the "
            "whole text"
        )

    def facts(self) -> dict[str, Any]:
        """The tokens and the attention."""
        model, features = self.settings.model, self._task.features
        return {
            "decoder_cell": model.decoder_cell,
            "bidirectional": model.bidirectional,
            "attention": model.attention or "inside each layer",
            "unit": list(self.settings.text.units),
            "source_tokens": len(features.source),
            "target_tokens": len(features.target),
            "beam": self.settings.translate.beam,
        }

    def _pairs(self, data: Any) -> Table:
        if data is not None:
            return pairs_of(data, self.settings.data)
        table: Table = self.own_test_data()
        return table


def _ending(path: Path) -> str:
    return (Path(path.stem) if path.suffix.lower() == ".gz" else path).suffix.lower()
