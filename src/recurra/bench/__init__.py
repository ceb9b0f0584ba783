"""The performance of this machine: engines beside each other on the same weights, in turns, as ratios."""

from recurra.bench.sequences import Case, measured_case
from recurra.bench.steps import measured_step
from recurra.bench.tune import measured_costs, save_costs

__all__ = ["Case", "measured_case", "measured_costs", "measured_step", "save_costs"]
