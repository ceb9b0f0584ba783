"""The plain rows beside `translate`: the source itself, and each word's most likely translation, with their scores.

    python benchmarks/translate_plain.py multi30k tatoeba replies headlines

Of each set the cased detokenised BLEU with its interval over sentences, BLEU in lower case, chrF, exact match and
ROUGE-L on its test pairs, and the seconds of fitting. Replies and headlines are cut by scene, as `--group scene` does.
"""

from __future__ import annotations

import sys
from typing import Any

import data
from recurra.data.pairs import SOURCE, TARGET, PairParts, partition_pairs
from recurra.data.partition import Given
from recurra.demos.speeches import PlayPairs, reductions, replies, speeches
from recurra.settings.translation import PairsSettings
from recurra.statistics import bootstrap_interval
from recurra.tasks.pair_baselines import fit_word_by_word, plain_answers
from recurra.text_metrics import bleu_of, corpus_bleu, text_scores

SEED = 0


def multi30k_files() -> dict[str, Any]:
    """The options that name them."""
    files = {
        f"{name}{side}": str(data.find(f"multi30k_en_fr/{part}.{language}.gz"))
        for name, part in (("", "train"), ("valid_", "val"), ("test_", "test_2016_flickr"))
        for side, language in (("source", "en"), ("target", "fr"))
    }
    return files | {side: (files[side],) for side in ("source", "target")}


def tatoeba_files() -> dict[str, Any]:
    """The options that name them."""
    train, valid, test = (str(data.find(f"tatoeba_en_fr/{part}.tsv.gz")) for part in ("train", "valid", "test"))
    return {"data": (train,), "valid": valid, "test": test, "header": False}


def multi30k() -> PairParts:
    return partition_pairs(PairsSettings(**multi30k_files()), SEED)


def tatoeba() -> PairParts:
    return partition_pairs(PairsSettings(**tatoeba_files()), SEED)


def play(pairs: PlayPairs) -> PairParts:
    return partition_pairs(PairsSettings(group="scene"), SEED, Given(pairs._asdict()))


def spoken() -> PlayPairs:
    return replies(speeches(data.find("tiny_shakespeare/input.txt").read_text(encoding="utf-8")))


def headlines() -> PlayPairs:
    return reductions(speeches(data.find("tiny_shakespeare/input.txt").read_text(encoding="utf-8")))


SETS = {
    "multi30k": multi30k,
    "tatoeba": tatoeba,
    "replies": lambda: play(spoken()),
    "headlines": lambda: play(headlines()),
}


def main(names: list[str]) -> None:
    """Print a table of Markdown."""
    print("| data | test pairs | answers | BLEU | 95 % | BLEU lc | chrF | exact match | ROUGE-L | seconds |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        parts = SETS[name]()
        baseline = fit_word_by_word(parts.train)
        sources, references = parts.test.columns[SOURCE], parts.test.columns[TARGET]
        for kind, answers in plain_answers(baseline, sources).items():
            scores = text_scores(answers, references)
            interval = bootstrap_interval(scores.bleu_statistics, bleu_of, seed=SEED)
            lower = corpus_bleu(answers, references, lowercase=True)[0]
            seconds = baseline.seconds if kind == "words" else 0.0
            values = scores.metrics
            cells = [
                name,
                f"{len(sources):,}",
                kind,
                f"{values['bleu']:.1f}",
                f"{interval.low:.1f} to {interval.high:.1f}",
                f"{lower:.1f}",
                f"{values['chrf']:.1f}",
                f"{100 * values['exact_match']:.1f} %",
                f"{values['rouge_l']:.3f}",
                f"{seconds:.1f}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n{text_scores(['a'], ['a']).signatures['bleu']}")


if __name__ == "__main__":
    if not sys.argv[1:] or not set(sys.argv[1:]) <= set(SETS):
        sys.exit(f"usage: python benchmarks/translate_plain.py {' '.join(SETS)}")
    main(sys.argv[1:])
