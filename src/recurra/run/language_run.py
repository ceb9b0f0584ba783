"""A trained language model: what follows a text, and what a text costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from recurra.data.corpus import Text, read_text
from recurra.data.readers import read_table
from recurra.data.readers.lines import read_lines
from recurra.data.readers.options import ReadOptions
from recurra.errors import DataError, RecurraError, SettingsError
from recurra.models.generation import generate
from recurra.models.sampling import check_length
from recurra.run.run import Run
from recurra.settings.tasks import LanguageSettings
from recurra.streaming import Session, SessionState
from recurra.tasks import Continuation, Model
from recurra.tasks.language_stream import language_session

TEXT_COLUMNS = ("text", "input", "prompt")
DIGITS = 6  # of a probability or a loss: what lies beyond changes with threads


class LanguageRun(Run):
    """A run of the task model."""

    _task: Model

    @property
    def settings(self) -> LanguageSettings:
        """Every setting that made the run."""
        return self._task.settings

    def evaluate(self, data: Any = None) -> dict[str, float]:
        """Metrics of a text, its state carried from beginning to end.

        Args:
            data: files of plain text, or in a mapping `{"text": …}` the text itself; None: the test text of the run.

        Returns:
            loss (nats a symbol), perplexity, bits_per_character, symbols, and the n-gram model's beside them.

        Raises:
            InputError: no data is given and the run's came as Python objects, or its files have changed.
            DataError: a file cannot be read, or there is no text.
        """
        text = self._text(data)
        if text is None or not len(text):
            raise DataError("there is no text to evaluate; name a file", None if data is None else str(data))
        return {**self._task.score(text).metrics, "symbols": len(text), **self._baseline_scores(text)}

    def predict(self, inputs: str | Iterable[str]) -> list[Continuation]:
        """What follows each text, and what the text itself costs.

        Args:
            inputs: texts, or one.

        Raises:
            DataError: an input is no text.
        """
        return [self._task.continuation(text) for text in ([inputs] if isinstance(inputs, str) else inputs)]

    def predict_rows(self, rows: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """For each text: next (the likeliest symbols with their probabilities), loss, perplexity, or an error.

        `unseen` lists symbols that training never saw, where there are any.
        """
        for row in rows:
            try:
                if isinstance(row, RecurraError):
                    raise row
                found = self._task.continuation(row)
            except RecurraError as error:
                yield {"error": str(error)}
                continue
            numbers = {"loss": found.loss, "perplexity": found.perplexity}
            yield {
                "next": {name: round(one, DIGITS) for name, one in found.next.items()},
                **{name: round(one, DIGITS) if math.isfinite(one) else None for name, one in numbers.items()},
                **({"unseen": list(found.unseen)} if found.unseen else {}),
            }

    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 200,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        count: int = 1,
    ) -> list[str]:
        """Texts that go on from a prompt; the prompt itself is not in them.

        Args:
            prompt: text to go on from; empty: the beginning of a text.
            length: symbols to make.
            temperature: 0 takes the likeliest symbol each time, 1 samples as learned; in between it is more careful.
            top_k: likeliest symbols to sample from; 0: all.
            top_p: the fewest likeliest symbols whose probabilities make this much are sampled from; in (0, 1].
            seed: decides the samples: the same seed, the same texts.
            count: how many texts; each is the same however many there are.

        Raises:
            SettingsError: an option out of range.
        """
        if count < 1:
            raise SettingsError(f"count: {count} is below 1; give the number of texts to make")
        sampling: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        return ["".join(self.pieces(prompt, length=length, row=row, **sampling)) for row in range(count)]

    def pieces(
        self,
        prompt: str = "",
        *,
        length: int = 200,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        row: int = 0,
    ) -> Iterator[str]:
        """One text of `generate`, number `row`, piece by piece as it is made.

        Raises:
            SettingsError: an option out of range; at the call, before the first piece.
        """
        check_length(length)
        tokens = generate(
            self._task.model,
            self._task.ids_of(prompt),
            length=length,
            first=row,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            without=self._task.silent,
        )
        return self._decoded(tokens, prompt)

    def stream(
        self,
        state: SessionState | str | Path | None = None,
        *,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> Session:
        """A live text: `push` a piece, or `step` one symbol; each is answered by what follows, and a symbol drawn.

        Args:
            state: to begin from: another session's `state`, or the path of one that a session saved, draws and all;
                None: from the beginning of a text.
            seed, temperature, top_k, top_p: of the draws, as in `generate`.

        Raises:
            SettingsError: an option out of range.
            StateError: the file is missing, damaged, or of another run.
            ShapeError: the state is not one of this run.
        """
        return language_session(
            self._task, state, str(self.path), seed=seed, temperature=temperature, top_k=top_k, top_p=top_p
        )

    def unseen(self, prompt: str) -> tuple[str, ...]:
        """Symbols of a text that training never saw, and the model reads as unknown."""
        return tuple(dict.fromkeys(one.symbol for one in self._task.symbols.unseen(prompt)))

    def inputs_of(self, path: Path, format: str | None = None) -> list[Any]:
        """The texts of a file: of a table the column text (or its only one), else its lines.

        Raises:
            DataError: it cannot be read.
        """
        if format in ("text", None):
            options = ReadOptions(encoding=self.settings.data.encoding)
            return [line.rstrip("\r\n") for line in read_lines(path, options)]
        table = read_table(path, encoding=self.settings.data.encoding, format=format)
        column = next((name for name in TEXT_COLUMNS if name in table.columns), None)
        if column is None and len(table.columns) != 1:
            raise DataError(f"which column is the text? call it {TEXT_COLUMNS[0]}", path)
        return table.column(column or next(iter(table.columns)))

    def input_of(self, value: Any, source: str, line: int) -> Any:
        """A JSON value's text: the value itself, or from an object its text.

        Raises:
            DataError: the object has none.
        """
        if not isinstance(value, dict):
            return value
        for name in TEXT_COLUMNS:
            if name in value:
                return value[name]
        raise DataError(f"there is no {TEXT_COLUMNS[0]!r} in the object", source, line)

    def test_inputs(self, test: Any, count: int) -> list[Any]:
        """The beginning of the test text."""
        return [] if test is None else [self._task.symbols.decode(test.ids[:count].tolist())]

    def facts(self) -> dict[str, Any]:
        """The symbols."""
        return {"unit": self._task.symbols.unit, "symbols": len(self._task.symbols)}

    def _text(self, data: Any) -> Text | None:
        encoding = self.settings.data.encoding
        if data is None:
            text: Text | None = self.own_test_data()
            return text
        if isinstance(data, dict):
            return read_text([], self._task.symbols, given=data)
        paths = [data] if isinstance(data, str | Path) else list(data)
        return read_text(paths, self._task.symbols, encoding=encoding)

    def _decoded(self, tokens: Iterator[torch.Tensor], prompt: str) -> Iterator[str]:
        decoder = self._task.symbols.decoder()
        decoder.feed(self._task.symbols.encode(prompt).tolist()[-1:])  # so that words are joined to the prompt's
        for one in tokens:
            if piece := decoder.feed(one.tolist()):
                yield piece
        if piece := decoder.finish():
            yield piece
