"""A run certified: its own model, with its own preprocessing, on its own test data, in every way that it can answer."""

from recurra.certification.certify import certify_run

__all__ = ["certify_run"]
