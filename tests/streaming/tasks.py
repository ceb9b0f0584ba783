"""Tasks with weights drawn at random: a stream asks for no training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from recurra.data.readers import table_from_python
from recurra.run import save_beginning, save_end
from recurra.run.kinds import make_run
from recurra.settings.structure import from_keywords
from recurra.tasks import Classify, ManyToOne

TEXTS = ["It's the cats' 1,000.5 rest", "they'll REST, we've 3.14", "a well-made ΣΕΙΣΜΟΣ. été 😀 你好。"]
SMALL: dict[str, Any] = {"hidden_size": 5, "embedding_size": 4, "max_length": 400}


def text_task(unit: str, **settings: Any) -> ManyToOne:
    """A classification of texts."""
    size = {"vocabulary_size": 290} if unit == "bpe" else {}
    return drawn(Classify, {"input": TEXTS * 2, "target": ["a", "b", "c"] * 2}, unit=unit, **size, **settings)


def series_task(width: int = 2, kind: type[ManyToOne] = Classify, **settings: Any) -> ManyToOne:
    """A classification or regression of series."""
    inputs = np.random.default_rng(0).normal(3, 2, (4, 6, width))
    target: list[Any] = ["a", "b"] * 2 if kind is Classify else [1.0, 2.5, 4.0, 0.5]
    return drawn(kind, {"input": list(inputs), "target": target}, **settings)


def drawn(kind: type[ManyToOne], data: Any, seed: int = 0, **settings: Any) -> ManyToOne:
    """A task fitted to data, its weights drawn anew, wide enough that every step shows in the answer."""
    chosen = {name: value for name, value in SMALL.items() if name != "embedding_size" or "unit" in settings}
    task = kind.fit_features(from_keywords(kind.name, **(chosen | settings)), table_from_python(data))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    task.model.eval()
    return task


def run_folder(path: Path, task: ManyToOne) -> Path:
    """The task as a run, on disk."""
    path.mkdir()
    save_beginning(path, task, (), "0")
    save_end(make_run(path, task, (), {}), "0")
    return path


def predicted(task: ManyToOne, value: Any) -> Any:
    """What `predict` says of one input."""
    answer, _ = next(iter(task.predict([value], task.decode)))
    return answer


def numbers(answer: Any) -> list[float]:
    """An answer as numbers."""
    return [answer.value] if hasattr(answer, "value") else list(answer.probabilities.values())
