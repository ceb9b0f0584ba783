"""Live sequences through a whole pipeline: raw input in, answers out, all that they depend on in one state."""

from recurra.streaming.pipeline import Decoding, Model, Pipeline, Preprocessing, Quick
from recurra.streaming.quick import QuickSeries
from recurra.streaming.series import SeriesPreprocessing, SeriesStreamState
from recurra.streaming.session import Session, SessionState
from recurra.streaming.symbols import SymbolPreprocessing, SymbolStreamState
from recurra.streaming.tail import ByteTail, make_tail, read_tail
from recurra.streaming.text import TextPreprocessing, TextStreamState
from recurra.streaming.tokens import TokenPreprocessing

__all__ = [
    "ByteTail",
    "Decoding",
    "Model",
    "Pipeline",
    "Preprocessing",
    "Quick",
    "QuickSeries",
    "SeriesPreprocessing",
    "SeriesStreamState",
    "Session",
    "SessionState",
    "SymbolPreprocessing",
    "SymbolStreamState",
    "TextPreprocessing",
    "TextStreamState",
    "TokenPreprocessing",
    "make_tail",
    "read_tail",
]
