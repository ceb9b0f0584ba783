"""Where data meets models: one task a file, and the table of tasks by name."""

from recurra.tasks.classify import Classify, Prediction
from recurra.tasks.examples import Examples, Score
from recurra.tasks.many_to_one import ManyToOne
from recurra.tasks.regress import Estimate, Regress
from recurra.tasks.training import ManyToOneTraining
from recurra.tasks.warm_start import take_weights, with_structure

TASKS: dict[str, type[ManyToOne]] = {"classify": Classify, "regress": Regress}

__all__ = [
    "TASKS",
    "Classify",
    "Estimate",
    "Examples",
    "ManyToOne",
    "ManyToOneTraining",
    "Prediction",
    "Regress",
    "Score",
    "take_weights",
    "with_structure",
]
