"""Whole models, built from the modules of `recurra.nn`."""

from recurra.models.classifier import Classifier
from recurra.models.language_model import (
    LanguageModel,
    LanguageModelLoss,
    LanguageModelNoise,
    LanguageModelState,
    LanguageModelSteps,
)
from recurra.models.sequence_model import SequenceModel, SequenceModelState
from recurra.models.steps import ClassifierSteps
from recurra.models.tagger import Tagger, TokenInput

__all__ = [
    "Classifier",
    "ClassifierSteps",
    "LanguageModel",
    "LanguageModelLoss",
    "LanguageModelNoise",
    "LanguageModelState",
    "LanguageModelSteps",
    "SequenceModel",
    "SequenceModelState",
    "Tagger",
    "TokenInput",
]
