"""The settings of each task: the common groups and what is the task's own."""

from __future__ import annotations

from dataclasses import dataclass, field

from recurra.errors import SettingsError
from recurra.settings.groups import DataSettings, ModelSettings, TextSettings, TrainingSettings
from recurra.settings.names import ClassWeights


@dataclass(frozen=True, kw_only=True)
class ClassifySettings:
    """Everything that makes a classification run."""

    data: DataSettings = field(default_factory=DataSettings)
    text: TextSettings = field(default_factory=TextSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    classify: ClassifyOptions = field(default_factory=lambda: ClassifyOptions())

    def check(self) -> None:
        """Refuse values outside their range, all of them in one report.

        Raises:
            SettingsError: every problem, one after the other.
        """
        groups = (self.data, self.text, self.model, self.training, self.classify)
        found = [problem for group in groups for problem in group.problems()]
        if found:
            raise SettingsError("; ".join(found))


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions:
    """What only classification has."""

    class_weights: ClassWeights = "none"
    """Weight of each class in the loss: none, or balanced (inverse frequency)."""
    logit_adjustment: float = 0.0
    """Strength with which answers are freed of the classes' frequencies, for the rare ones (0.5, say; 1: wholly)."""
    output_dropout: float = 0.3
    """Dropout on the pooled vector, before the last layer."""
    rdrop: float = 0.0
    """Weight of the divergence between two passes with their own dropout (R-Drop; 1 to 5, say); 0: one pass."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        found = []
        if not 0 <= self.output_dropout < 1:
            found.append(f"output_dropout: {self.output_dropout} is not in [0, 1)")
        for name in ("logit_adjustment", "rdrop"):
            if not 0 <= getattr(self, name) < float("inf"):
                found.append(f"{name}: {getattr(self, name)} is not a number of 0 or more")
        return found
