"""The section of a model card that says what the certificate says, put in the place of the old one."""

from __future__ import annotations

import re

from recurra.run.certificate import Certified, largest

HEADING = "## Certificate"
SECTION = re.compile(rf"(?ms)^{HEADING}\n\n.*?(?=\n\n## |\Z)")


def section(found: Certified) -> str:
    """The heading and what stands below it."""
    return f"{HEADING}\n\n{_words(found)}"


def with_section(card: str, found: Certified) -> str:
    """A card with this section in the place of the one it has; a card without one stays as it is."""
    return SECTION.sub(lambda _: section(found), card, count=1)


def _words(found: Certified) -> str:
    if found.state not in ("holds", "fails"):
        return "Not certified."
    content = found.content
    lengths = content["lengths"]
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    measured = (
        f"Measured with {versions} on {content['device']} ({content['dtype']}, engine {content['engine']}), on "
        f"{content['rows']}: {len(lengths)} sequences of {min(lengths, default=0):,} to {max(lengths, default=0):,} "
        "steps. `certificate.json` has each pair."
    )
    failing = [f"{pair['name']} ({_inert(pair['reason'])})" for pair in content["pairs"] if pair["verdict"] == "fails"]
    if failing:
        return f"Not certified: one shot of a sequence is not the same as {'; '.join(failing)}.\n\n{measured}"
    held = [pair["name"] for pair in content["pairs"] if pair["verdict"] == "holds" and pair["name"] != "float64"]
    away = [pair["name"] for pair in content["pairs"] if pair["verdict"] == "does not apply"]
    says = (
        f"Certified: one shot of a sequence and {len(held)} other ways give the same answers, at most "
        f"{largest(content):.1e} apart: {', '.join(held)}."
    )
    rest = f" These do not apply to this model: {', '.join(away)}." if away else ""
    return f"{says}{rest}\n\n{measured}"


def _inert(text: str) -> str:
    """A reason may hold a module's own words."""
    return re.sub(r"[^\w .,:;()+-]", " ", text)[:200]
