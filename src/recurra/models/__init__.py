"""Whole models, built from the modules of `recurra.nn`."""

from recurra.models.classifier import Classifier
from recurra.models.sequence_model import SequenceModel, SequenceModelState
from recurra.models.tagger import Tagger, TokenInput

__all__ = ["Classifier", "SequenceModel", "SequenceModelState", "Tagger", "TokenInput"]
