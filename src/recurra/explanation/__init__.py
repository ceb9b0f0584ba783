"""What a model looked at, as numbers."""

from __future__ import annotations

from recurra.explanation.attention import MOST_SENTENCES, Attended, attended

__all__ = ["MOST_SENTENCES", "Attended", "attended"]
