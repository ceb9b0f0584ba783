"""The laws of recurrence, measured on a module: how far two ways of the same computation are apart."""

from recurra.laws.agreement import TOLERANCES, difference, within
from recurra.laws.certificate import Certificate, Compared, certify_module
from recurra.laws.recurrence import (
    LAWS,
    a_batch_row_equals_the_row_alone,
    chunks_equal_whole,
    engines_agree,
    later_inputs_change_no_earlier_output,
    left_padding_equals_right,
    length_zero_keeps_the_state,
    nothing_is_written,
    packed_equals_padded,
    padding_is_never_read,
    resets_equal_splitting,
    steps_equal_whole,
)

__all__ = [
    "LAWS",
    "TOLERANCES",
    "Certificate",
    "Compared",
    "a_batch_row_equals_the_row_alone",
    "certify_module",
    "chunks_equal_whole",
    "difference",
    "engines_agree",
    "later_inputs_change_no_earlier_output",
    "left_padding_equals_right",
    "length_zero_keeps_the_state",
    "nothing_is_written",
    "packed_equals_padded",
    "padding_is_never_read",
    "resets_equal_splitting",
    "steps_equal_whole",
    "within",
]
