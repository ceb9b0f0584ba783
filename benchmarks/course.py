"""What courses say and what is so: every row of docs/course/what-is-so.md measured, and its table written anew.

    python benchmarks/course.py [--only NAME …] [--threads 1]      (make course)

A few minutes. Figures go to results/course.json, by the name of the measuring function in `claims`; with
`--only` the other rows stay as they were. No number of the table is typed in: what was seen is a sentence that the
measurement makes, and a row that its measurement does not show says so.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from claims import CLAIMS

RESULTS = Path(__file__).parent / "results" / "course.json"
PAGE = Path(__file__).parents[1] / "docs" / "course" / "what-is-so.md"
BEGIN, END = "<!-- measured: written by make course -->\n", "<!-- end of what was measured -->\n"


def main() -> int:
    names = [claim.measure.__name__ for claim in CLAIMS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--threads", type=int, default=1, help="with one, seconds are the processor's (default)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.exists() else {}
    for claim in CLAIMS:
        name = claim.measure.__name__
        if name not in given.only:
            continue
        began = time.process_time()
        found = claim.measure()
        seconds = time.process_time() - began
        rows[name] = {
            "seen": found.seen,
            "holds": found.holds,
            "processor_seconds": round(seconds, 1),
            "figures": found.figures,
        }
        print(
            f"{'holds' if found.holds else 'NOT SEEN'}: {claim.so}\n  {found.seen} ({seconds:.1f} s of the processor)",
            flush=True,
        )
    rows = {name: rows[name] for name in names if name in rows}
    results = {"cores": os.cpu_count(), "threads": given.threads, "torch": torch.__version__, "rows": rows}
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table(results)), encoding="utf-8")
    return 0 if all(row["holds"] for row in rows.values()) else 1


def table(results: dict[str, Any]) -> str:
    """The rows in the order of the claims, as markdown, and what they were measured on."""
    lines = ["| often taught | so | measured |", "|---|---|---|"]
    for claim in CLAIMS:
        row = results["rows"].get(claim.measure.__name__)
        seen = "not measured yet" if row is None else row["seen"] if row["holds"] else f"NOT SEEN HERE: {row['seen']}"
        lines.append(f"| {claim.taught} | {claim.so} | {seen} |")
    threads = f"{results['threads']} thread{'s' if results['threads'] > 1 else ''}"
    return "\n".join([*lines, "", f"torch {results['torch']} on a machine of {results['cores']} cores, {threads}.", ""])


def with_table(page: str, written: str) -> str:
    """The page with another table between its two markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{written}{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
