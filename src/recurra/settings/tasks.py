"""The settings of each task: the common groups and what is the task's own."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from recurra.errors import SettingsError
from recurra.settings.groups import (
    DataSettings,
    LayersSettings,
    ModelSettings,
    SplitSettings,
    TextSettings,
    TrainingSettings,
)
from recurra.settings.language import (
    CorpusSettings,
    LanguageLayersSettings,
    LanguageOptions,
    LanguageTrainingSettings,
    SymbolSettings,
)
from recurra.settings.names import ClassWeights, RegressionLoss
from recurra.settings.tagging import TaggedSettings, TaggerSettings, TagOptions, TagTrainingSettings, TokenSettings
from recurra.settings.translation import (
    PairsSettings,
    PairSymbolSettings,
    TranslateOptions,
    TranslateTrainingSettings,
    TranslatorSettings,
)


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


@dataclass(frozen=True, kw_only=True)
class RegressOptions:
    """What only regression has."""

    loss: RegressionLoss = "mse"
    """What is made small, of standardised targets: mse (squares), mae (absolute values), or huber (between them)."""
    output_dropout: float = 0.1
    """Dropout on the pooled vector, before the last layer."""

    def problems(self) -> list[str]:
        """Everything that is wrong with these values, a sentence each."""
        if not 0 <= self.output_dropout < 1:
            return [f"output_dropout: {self.output_dropout} is not in [0, 1)"]
        return []


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """What every task has; each gives the groups their own options, and adds one."""

    data: SplitSettings = field(default_factory=SplitSettings)
    model: LayersSettings = field(default_factory=LayersSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def check(self) -> None:
        """Refuse values outside their range, all of them in one report.

        Raises:
            SettingsError: every problem, one after the other.
        """
        found = [problem for one in fields(self) for problem in getattr(self, one.name).problems()]
        if found:
            raise SettingsError("; ".join(found))


@dataclass(frozen=True, kw_only=True)
class ManyToOneSettings(TaskSettings):
    """What the tasks with one answer a sequence have."""

    data: DataSettings = field(default_factory=DataSettings)
    text: TextSettings = field(default_factory=TextSettings)
    model: ModelSettings = field(default_factory=ModelSettings)


@dataclass(frozen=True, kw_only=True)
class ClassifySettings(ManyToOneSettings):
    """Everything that makes a classification run."""

    classify: ClassifyOptions = field(default_factory=ClassifyOptions)


@dataclass(frozen=True, kw_only=True)
class RegressSettings(ManyToOneSettings):
    """Everything that makes a regression run."""

    regress: RegressOptions = field(default_factory=RegressOptions)


@dataclass(frozen=True, kw_only=True)
class TagSettings(TaskSettings):
    """Everything that makes a tagging run."""

    data: TaggedSettings = field(default_factory=TaggedSettings)
    tokens: TokenSettings = field(default_factory=TokenSettings)
    model: TaggerSettings = field(default_factory=TaggerSettings)
    training: TagTrainingSettings = field(default_factory=TagTrainingSettings)
    tag: TagOptions = field(default_factory=TagOptions)


@dataclass(frozen=True, kw_only=True)
class LanguageSettings(TaskSettings):
    """Everything that makes a language model."""

    data: CorpusSettings = field(default_factory=CorpusSettings)
    text: SymbolSettings = field(default_factory=SymbolSettings)
    model: LanguageLayersSettings = field(default_factory=LanguageLayersSettings)
    training: LanguageTrainingSettings = field(default_factory=LanguageTrainingSettings)
    language: LanguageOptions = field(default_factory=LanguageOptions)


@dataclass(frozen=True, kw_only=True)
class TranslateSettings(TaskSettings):
    """Everything that makes a translator."""

    data: PairsSettings = field(default_factory=PairsSettings)
    text: PairSymbolSettings = field(default_factory=PairSymbolSettings)
    model: TranslatorSettings = field(default_factory=TranslatorSettings)
    training: TranslateTrainingSettings = field(default_factory=TranslateTrainingSettings)
    translate: TranslateOptions = field(default_factory=TranslateOptions)
