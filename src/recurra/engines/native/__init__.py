"""The native engine: recurrent cells on a CPU in C++, whole sequences forward and backward, and single steps."""

from recurra.engines.native.engine import native, why_not
from recurra.engines.native.library import LEVELS, instructions, why_absent
from recurra.engines.native.operators import is_transformed
from recurra.engines.native.stepper import Stepper

__all__ = ["LEVELS", "Stepper", "instructions", "is_transformed", "native", "why_absent", "why_not"]
