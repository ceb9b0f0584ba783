"""Baselines as two files of a run, without a pickle: JSON for n-grams and settings, safetensors for numbers.

What is read is checked before it is used: kinds, sizes that agree, n-grams in ascending order (so each once), numbers
that are finite. Nothing of scikit-learn's own is stored, so another version of it reads the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from recurra.baselines.fitting import MAX_FEATURES, NAMES, Baselines
from recurra.baselines.linear import Linear
from recurra.baselines.number_features import NumberFeatures, columns_of
from recurra.baselines.stored_files import FORMAT, NUMBERS_FILE, WORDS_FILE, Arrays, StoredFiles, finite
from recurra.baselines.text_features import NGRAMS, NgramBlock, TextFeatures


def to_files(baselines: Baselines) -> dict[str, bytes]:
    """The two files, by name."""
    linear, features = baselines.linear, baselines.features
    content: dict[str, Any] = {
        "format": FORMAT,
        "kind": baselines.kind,
        "input_kind": baselines.input_kind,
        "seconds": baselines.seconds,
        "rows": list(baselines.rows),
        "setting": linear.setting,
    }
    arrays: Arrays = {
        "constant": baselines.constant,
        "outputs": linear.outputs,
        "weight": linear.weight,
        "scale": linear.scale,
        "bias": linear.bias,
    }
    if isinstance(features, TextFeatures):
        content["ngrams"] = {block.analyzer: list(block.ngrams) for block in features.blocks}
        arrays |= {f"idf.{block.analyzer}": block.idf for block in features.blocks}
    else:
        content["width"] = features.width
        arrays |= {"mean": features.mean, "std": features.std}
    packed = safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    return {WORDS_FILE: json.dumps(content).encode("ascii"), NUMBERS_FILE: packed}


def from_files(files: Mapping[str, bytes], folder: Path = Path(), *, outputs: int | None = None) -> Baselines:
    """Baselines as a run stored them.

    Args:
        files: the bytes of both, by name.
        folder: of the run, for errors.
        outputs: classes or labels of the run, 1 for numbers; an answer beyond them is refused. None: not checked.

    Raises:
        RunError: a file is missing or damaged; naming it.
    """
    return _Reader(files, folder).read(outputs)


class _Reader(StoredFiles):
    """One reading of the two files."""

    def read(self, outputs: int | None) -> Baselines:
        if not isinstance(self.content, dict) or self.content.get("format") != FORMAT:
            raise self.fault("format", f"{FORMAT}, the one that this version reads")
        kind, input_kind = self.choice("kind", NAMES), self.choice("input_kind", ("text", "series", "vector"))
        features = self.text_features() if input_kind == "text" else self.number_features(input_kind == "vector")
        linear = self.linear(features)
        constant = self.constant(kind)
        if kind == "numbers" and linear.outputs.tolist() != [0]:
            raise self.array_fault("outputs", "one output for numbers")
        if kind == "marks" and linear.outputs.tolist() != list(range(len(constant))):
            raise self.array_fault("outputs", "one output for each label")
        if outputs is not None and not self.within(kind, linear, constant, outputs):
            raise self.array_fault("outputs", f"of the {outputs} outputs of this run")
        return Baselines(kind, input_kind, constant, features, linear, self.seconds(kind), self.rows())

    def within(self, kind: str, linear: Linear, constant: NDArray[Any], outputs: int) -> bool:
        if kind == "classes":
            return int(linear.outputs[-1]) < outputs and int(constant) < outputs
        return len(linear.outputs) == outputs

    def text_features(self) -> TextFeatures:
        stored = self.content.get("ngrams")
        if not isinstance(stored, dict) or list(stored) != list(NGRAMS):
            raise self.fault("ngrams", f"lists of {' and '.join(NGRAMS)} n-grams")
        blocks = []
        for analyzer, ngrams in stored.items():
            if not isinstance(ngrams, list) or not all(isinstance(one, str) and one for one in ngrams):
                raise self.fault("ngrams", "lists of texts")
            if any(one >= other for one, other in pairwise(ngrams)):
                raise self.fault("ngrams", "in ascending order, each once")
            idf = self.array(f"idf.{analyzer}", np.float32, (len(ngrams),))
            blocks.append(NgramBlock(analyzer, tuple(ngrams), idf))
        features = TextFeatures(tuple(blocks))
        if features.size > MAX_FEATURES:
            raise self.fault("ngrams", f"at most {MAX_FEATURES}")
        return features

    def number_features(self, vector: bool) -> NumberFeatures:
        width = self.content.get("width")
        if type(width) is not int or not 0 <= width < 1 << 31:
            raise self.fault("width", "a whole number")
        mean = self.array("mean", np.float64, (None,))
        std = self.array("std", np.float64, mean.shape)
        if not (std > 0).all():
            raise self.array_fault("std", "positive numbers")
        if len(mean) != columns_of(width, vector=vector):
            raise self.array_fault("mean", "a number for each column of the features")
        return NumberFeatures(width, vector, mean, std)

    def linear(self, features: TextFeatures | NumberFeatures) -> Linear:
        kept = np.float16 if isinstance(features, TextFeatures) else np.float32
        weight = self.array("weight", kept, (None, features.size))
        outputs = self.array("outputs", np.int64, (len(weight),))
        scale, bias = (self.array(name, np.float64, (len(weight),)) for name in ("scale", "bias"))
        if not len(outputs) or outputs[0] < 0 or not (np.diff(outputs) > 0).all():
            raise self.array_fault("outputs", "ascending numbers from 0")
        setting = self.content.get("setting")
        if not isinstance(setting, dict) or not all(
            value in (None, "balanced") or finite(value) for value in setting.values()
        ):
            raise self.fault("setting", "a table of numbers")
        return Linear(outputs, weight, scale, bias, setting)

    def constant(self, kind: str) -> NDArray[Any]:
        constant = self.array(
            "constant", np.float64 if kind == "numbers" else np.int64, (None,) if kind == "marks" else ()
        )
        if kind != "numbers" and not ((constant >= 0).all() if kind == "classes" else np.isin(constant, (0, 1)).all()):
            raise self.array_fault("constant", "a class, or marks 0 and 1")
        return constant

    def seconds(self, kind: Any) -> dict[str, float]:
        seconds = self.content.get("seconds")
        names = NAMES[kind]
        if not isinstance(seconds, dict) or tuple(seconds) != names or not all(map(finite, seconds.values())):
            raise self.fault("seconds", f"numbers for {' and '.join(names)}")
        return {name: float(value) for name, value in seconds.items()}

    def rows(self) -> tuple[int, int]:
        rows = self.content.get("rows")
        if (
            not isinstance(rows, list)
            or len(rows) != 2
            or not all(type(row) is int for row in rows)
            or not 0 < rows[1] <= rows[0]
        ):
            raise self.fault("rows", "rows of training and rows fitted")
        return rows[0], rows[1]
