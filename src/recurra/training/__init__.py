"""Training: one loop, its optimiser and schedule, its checkpoints and its display."""
