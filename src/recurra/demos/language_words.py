"""Number words in many languages, made by num2words, a library: data for text classification without a download.

A number is in one part only, so no model has met the numbers on which it is tested. A text that comes up twice is
dropped wherever it stands: languages share words (`ni` is nine in Danish, Norwegian and Swedish), and such a text has
no one answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from recurra.optional import require
from recurra.randomness import numpy_generator

LANGUAGES: Mapping[str, str] = {
    "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "en": "English", "es": "Spanish", "fi": "Finnish",
    "fr": "French", "is": "Icelandic", "it": "Italian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "sk": "Slovak", "sl": "Slovene", "sr": "Serbian", "sv": "Swedish",
    "tr": "Turkish",
}  # fmt: skip
"""num2words' code → English name: twenty in Latin script that it spells out well, near relatives among them."""

BELOW = 1000  # numbers are 0 to 999: "seven hundred and forty-two" is as long as words get

Columns = dict[str, list[str]]


@dataclass(frozen=True)
class LanguageWords:
    """The parts, each with the columns "text" and "language"; dropped: texts left out, the same one in two places."""

    train: Columns
    valid: Columns
    test: Columns
    dropped: int


def language_words(
    seed: int, *, train: int, valid: int, test: int, languages: Mapping[str, str] = LANGUAGES
) -> LanguageWords:
    """Number words, each drawn number in every language.

    Args:
        seed: draws the numbers and deals them to the parts.
        train, valid, test: numbers of each part, at most 1,000 together.
        languages: num2words' code → name.

    Raises:
        MissingExtra: num2words is not installed.
    """
    say = require("num2words", extra="demo").num2words
    numbers = [int(one) for one in numpy_generator(seed, "languages").permutation(BELOW)[: train + valid + test]]
    said = {number: [say(number, lang=code).lower() for code in languages] for number in numbers}
    times = Counter(text for texts in said.values() for text in texts)

    def columns(chosen: list[int]) -> Columns:
        rows = [
            (text, language)
            for number in chosen
            for text, language in zip(said[number], languages.values(), strict=True)
            if times[text] == 1
        ]
        return {"text": [text for text, _ in rows], "language": [language for _, language in rows]}

    return LanguageWords(
        train=columns(numbers[:train]),
        valid=columns(numbers[train : train + valid]),
        test=columns(numbers[train + valid :]),
        dropped=sum(count for count in times.values() if count > 1),
    )
