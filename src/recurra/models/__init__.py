"""Whole models, built from the modules of `recurra.nn`."""

from recurra.models.classifier import Classifier
from recurra.models.language_model import (
    LanguageModel,
    LanguageModelLoss,
    LanguageModelNoise,
    LanguageModelState,
    LanguageModelSteps,
)
from recurra.models.search import (
    Found,
    Scored,
    SearchOptions,
    beam_search,
    greedy_search,
    sample_search,
    score_targets,
)
from recurra.models.seq2seq import (
    Bridge,
    Decoder,
    DecoderNoise,
    DecoderOutput,
    DecoderState,
    DecoderSteps,
    Encoder,
    EncoderNoise,
    Seq2Seq,
    Seq2SeqLoss,
    Seq2SeqNoise,
    make_seq2seq,
)
from recurra.models.sequence_model import SequenceModel, SequenceModelState
from recurra.models.steps import ClassifierSteps
from recurra.models.tagger import Tagger, TokenInput

__all__ = [
    "Bridge",
    "Classifier",
    "ClassifierSteps",
    "Decoder",
    "DecoderNoise",
    "DecoderOutput",
    "DecoderState",
    "DecoderSteps",
    "Encoder",
    "EncoderNoise",
    "Found",
    "LanguageModel",
    "LanguageModelLoss",
    "LanguageModelNoise",
    "LanguageModelState",
    "LanguageModelSteps",
    "Scored",
    "SearchOptions",
    "Seq2Seq",
    "Seq2SeqLoss",
    "Seq2SeqNoise",
    "SequenceModel",
    "SequenceModelState",
    "Tagger",
    "TokenInput",
    "beam_search",
    "greedy_search",
    "make_seq2seq",
    "sample_search",
    "score_targets",
]
