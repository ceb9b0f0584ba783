"""Pairs for the examples of `translate`, made of tiny_shakespeare: replies and headlines, as tables of JSON lines.

python benchmarks/pairs_data.py replies replies.jsonl
python benchmarks/pairs_data.py headlines headlines.jsonl
recurra train translate --data replies.jsonl --group scene
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from data import find
from recurra.demos.speeches import reductions, replies, speeches

KINDS = {"replies": replies, "headlines": reductions}


def write(kind: str, out: Path) -> int:
    """A pair a line, with the columns source, target and scene; how many there are."""
    play = find("tiny_shakespeare/input.txt").read_text(encoding="utf-8")
    pairs = KINDS[kind](speeches(play))
    with out.open("w", encoding="utf-8") as file:
        for row in zip(*pairs, strict=True):
            file.write(json.dumps(dict(zip(pairs._fields, row, strict=True)), ensure_ascii=False) + "\n")
    return len(pairs.source)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in KINDS:
        sys.exit(f"usage: python benchmarks/pairs_data.py {'|'.join(KINDS)} OUT.jsonl")
    print(f"{write(sys.argv[1], Path(sys.argv[2])):,} pairs in {sys.argv[2]}")
