"""The native engine: recurrent cells on a CPU in C++, whole sequences forward and backward, and single steps."""

from recurra.engines.native.engine import both_ways, native, why_not
from recurra.engines.native.layers import Layer
from recurra.engines.native.library import LEVELS, instructions, why_absent
from recurra.engines.native.operators import is_transformed
from recurra.engines.native.plan import Plan, Readout, Summary, why_no_plan
from recurra.engines.native.stepper import STATES, Stepper, layer_of

__all__ = [
    "LEVELS",
    "STATES",
    "Layer",
    "Plan",
    "Readout",
    "Stepper",
    "Summary",
    "both_ways",
    "instructions",
    "is_transformed",
    "layer_of",
    "native",
    "why_absent",
    "why_no_plan",
    "why_not",
]
