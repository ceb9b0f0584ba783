"""Search: from a model that scores the next token to whole texts."""

from recurra.models.search.beam import beam_search
from recurra.models.search.forced import Scored, score_targets
from recurra.models.search.found import Found
from recurra.models.search.options import SearchOptions
from recurra.models.search.sampled import greedy_search, sample_search

__all__ = ["Found", "Scored", "SearchOptions", "beam_search", "greedy_search", "sample_search", "score_targets"]
