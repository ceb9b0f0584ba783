"""Where data meets models: one task a file, and the table of tasks by name."""

from recurra.tasks.classify import Classify, Prediction
from recurra.tasks.examples import Examples, Score
from recurra.tasks.many_to_one import ManyToOne
from recurra.tasks.model import Continuation, Model
from recurra.tasks.regress import Estimate, Regress
from recurra.tasks.tag import Tag, Tagged
from recurra.tasks.tag_examples import TaggedExamples, TagScore
from recurra.tasks.tag_training import TagTraining
from recurra.tasks.task import Task, TaskTraining
from recurra.tasks.training import ManyToOneTraining
from recurra.tasks.translate import Translate, TranslateScore, Translation
from recurra.tasks.translate_training import TranslateTraining

TASKS: dict[str, type[Task]] = {
    "classify": Classify,
    "regress": Regress,
    "tag": Tag,
    "model": Model,
    "translate": Translate,
}

__all__ = [
    "TASKS",
    "Classify",
    "Continuation",
    "Estimate",
    "Examples",
    "ManyToOne",
    "ManyToOneTraining",
    "Model",
    "Prediction",
    "Regress",
    "Score",
    "Tag",
    "TagScore",
    "TagTraining",
    "Tagged",
    "TaggedExamples",
    "Task",
    "TaskTraining",
    "Translate",
    "TranslateScore",
    "TranslateTraining",
    "Translation",
]
