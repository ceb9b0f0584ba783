"""Trackers: a training's numbers, sent to TensorBoard, trackio, Weights & Biases or MLflow too."""

from recurra.training.trackers.tracked import tracked
from recurra.training.trackers.tracker import Tracker, make_trackers

__all__ = ["Tracker", "make_trackers", "tracked"]
