"""Spans written as tags: BIO, IOB1, BIOES and BILOU, read as conlleval reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch

OUTSIDE = "O"
_SPAN_TAG = re.compile(r"([BIESLU])-(.+)", re.DOTALL)
_AS_BIOES = {"L": "E", "U": "S"}  # BILOU's last and unit are the end and the single one of BIOES
BEGINS, ENDS = ("B", "S"), ("E", "S")


class Span(NamedTuple):
    """kind: what it is; start: its first token; stop: the token after its last, both from 0"""

    kind: str
    start: int
    stop: int


def are_span_tags(names: Iterable[str]) -> bool:
    """Whether tags write spans: each is O or has a prefix of BIOES or BILOU, and one at least begins or continues."""
    names = set(names)
    return bool(names - {OUTSIDE}) and all(name == OUTSIDE or _SPAN_TAG.fullmatch(name) for name in names)


def parts_of(tag: str) -> tuple[str, str]:
    """`B-PER` → (`B`, `PER`); what is no tag of a span is outside, (`O`, ``)."""
    found = _SPAN_TAG.fullmatch(tag)
    return (_AS_BIOES.get(found[1], found[1]), found[2]) if found else (OUTSIDE, "")


def spans_of(tags: Sequence[str]) -> list[Span]:
    """The spans that the tags of a sentence write.

    As conlleval has it (Tjong Kim Sang and Buchholz, 2000): a span begins at B or S, and also at I or E where none of
    its kind is open; so IOB1 is read right, and a span that a model begins with I counts where the truth has it.
    """
    found: list[Span] = []
    start, open_kind, before = 0, "", OUTSIDE
    for at, (prefix, kind) in enumerate([*map(parts_of, tags), (OUTSIDE, "")]):
        goes_on = prefix in ("I", "E") and before in ("B", "I") and kind == open_kind
        if before != OUTSIDE and not goes_on:
            found.append(Span(open_kind, start, at))
        if prefix != OUTSIDE and not goes_on:
            start, open_kind = at, kind
        before = prefix
    return found


def legal_tags(names: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which tags of BIO (or BIOES, where it has ends) may stand first [C], next to each other [C, C], and last [C]."""
    parts = [parts_of(name) for name in names]
    has_ends = any(prefix in ENDS for prefix, _ in parts)

    def may_follow(before: tuple[str, str], tag: tuple[str, str]) -> bool:
        is_open = before[0] in ("B", "I")
        if tag[0] in ("I", "E"):
            return is_open and before[1] == tag[1]
        return not (has_ends and is_open)

    outside = (OUTSIDE, "")
    first = torch.tensor([may_follow(outside, tag) for tag in parts])
    following = torch.tensor([[may_follow(before, tag) for tag in parts] for before in parts])
    last = torch.tensor([may_follow(before, outside) for before in parts])
    return first, following, last


def all_legal(sentences: Iterable[Sequence[str]], names: Sequence[str]) -> bool:
    """Whether every sentence's tags follow the rules of `legal_tags`; IOB1 does not."""
    number = {name: at for at, name in enumerate(names)}
    first, following, last = (part.tolist() for part in legal_tags(names))
    for tags in sentences:
        own = [number[tag] for tag in tags]
        if own and not (first[own[0]] and last[own[-1]] and all(following[a][b] for a, b in pairwise(own))):
            return False
    return True
