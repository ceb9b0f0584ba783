"""Where data meets models: one task a file, and the table of tasks by name."""

from recurra.tasks.classify import Classify, ClassifyTraining, Examples, Prediction, Score

TASKS = {"classify": Classify}

__all__ = ["TASKS", "Classify", "ClassifyTraining", "Examples", "Prediction", "Score"]
