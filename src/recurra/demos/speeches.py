"""Pairs made of a play, for examples: a speech and its answer, a speech and its headline by rule.

A play is plain text: speeches with a blank line between them, the speaker's name and a colon on the first line of each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

SCENE = 50  # speeches that are kept together: the answer of one pair is the question of the next
HEADLINE_WORDS = 6
SHORTEST = 8  # words of a sentence that a headline is made of
SAYS_LITTLE = (
    "a an the and but or nor so yet o oh ah my your his her its our their thy this that these those am is are was were "
    "be been being do does did doth have has had hath will shall would should may might must can could of to in on at "
    "by for with from as if then i you he she it we they me him us them thou thee"
)
LEFT_OUT = frozenset(SAYS_LITTLE.split())
WORD = re.compile(r"[\w'’-]+")
SENTENCE = re.compile(r"[^.!?;:]+")


class Speech(NamedTuple):
    """speaker; text: on one line."""

    speaker: str
    text: str


class PlayPairs(NamedTuple):
    """Columns of a table: source, target, and scene, the group that is never divided."""

    source: list[str]
    target: list[str]
    scene: list[str]


def speeches(play: str) -> list[Speech]:
    """The speeches of a play, in order; blocks of text that name no speaker are passed over."""
    found = []
    for block in re.split(r"\n\s*\n", play.replace("\r\n", "\n")):
        head, _, text = block.strip().partition("\n")
        if head.endswith(":") and text.strip():
            found.append(Speech(head[:-1].strip(), " ".join(text.split())))
    return found


def replies(spoken: Sequence[Speech]) -> PlayPairs:
    """Each speech with the one that follows it, where another one speaks."""
    rows = [
        (first.text, second.text, at // SCENE)
        for at, (first, second) in enumerate(pairwise(spoken))
        if first.speaker != second.speaker
    ]
    return _columns(rows)


def reductions(spoken: Sequence[Speech]) -> PlayPairs:
    """The first sentence of each speech with its headline, where it is long enough to be made shorter."""
    rows = []
    for at, speech in enumerate(spoken):
        first = SENTENCE.search(speech.text)
        sentence = first[0].strip() if first else ""
        if len(WORD.findall(sentence)) >= SHORTEST and (short := headline(sentence)):
            rows.append((sentence, short, at // SCENE))
    return _columns(rows)


def headline(sentence: str) -> str:
    """The first six words that say something: articles, pronouns and auxiliaries are left out, and signs.

    If we proceed any further, hear me speak → Proceed any further hear speak
    """
    kept = [word for word in WORD.findall(sentence) if word.lower() not in LEFT_OUT]
    short = " ".join(kept[:HEADLINE_WORDS])
    return short[:1].upper() + short[1:]


def _columns(rows: list[tuple[str, str, int]]) -> PlayPairs:
    return PlayPairs(
        [source for source, _, _ in rows], [target for _, target, _ in rows], [str(scene) for *_, scene in rows]
    )
