"""The search of a translator: encoded sources in, what was found for each out, in batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch

from recurra.data.batching import plan
from recurra.data.encoded import MOST_STEPS, damaged, stored
from recurra.data.pairs import BEGIN_ID, END_ID, PAD_ID, UNK_ID, EncodedPair, PairFeatures, lengths_of
from recurra.errors import SettingsError
from recurra.memory import memory_faults_named
from recurra.models import Seq2Seq
from recurra.models.search import Found, SearchOptions, beam_search, greedy_search, sample_search
from recurra.models.seq2seq.attentive import AttentiveLayers
from recurra.settings.names import did_you_mean
from recurra.settings.translation import TranslateOptions
from recurra.tasks.evaluating import evaluating

BATCH_TOKENS = 10_000  # hypotheses times steps of the source: what a batch of a search holds
STEEPEST = 2.0  # tokens of a target for each of its source; what is longer is counted beside the slope
ROOM = 1.25  # how much longer than in training
SPARE = 8  # tokens more, whatever the source
LESS_MEMORY = "give a smaller beam, or predict where there is more memory"
OF_SEARCH = (
    "beam", "length_penalty", "coverage_penalty", "min_target_length", "max_target_length", "no_repeat_ngram",
    "copy_unknown",
)  # fmt: skip
"""The options that a trained run's search can be given anew."""


@dataclass(frozen=True)
class Reach:
    """How many tokens an answer has at most, from what training has seen: slope × tokens of the source + beyond."""

    slope: float
    beyond: int

    @classmethod
    def fit(cls, pairs: Sequence[EncodedPair]) -> Reach:
        """Room for the targets of training pairs, and for some that are longer."""
        lengths = [(max(1, source - 1), target) for source, target in lengths_of(pairs)]
        slope = min(STEEPEST, ROOM * max(target / source for source, target in lengths))
        beyond = max(0.0, ROOM * max(target - slope * source for source, target in lengths))
        return cls(round(slope, 6), int(beyond) + SPARE)

    def limit(self, source: int) -> int:
        """Tokens of an answer to a source of so many."""
        return int(self.slope * source) + self.beyond

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"slope": self.slope, "beyond": self.beyond}

    @classmethod
    def from_json(cls, data: Any) -> Reach:
        """As a run stored it.

        Raises:
            RunError: it is damaged.
        """
        slope, beyond = stored(data, "slope", int, float), stored(data, "beyond", int)
        if not (0 <= slope <= STEEPEST and 1 <= beyond <= MOST_STEPS * 2):
            raise damaged("reach", "of a length that training could have seen")
        return cls(float(slope), beyond)


def with_options(options: TranslateOptions, given: dict[str, Any]) -> TranslateOptions:
    """The options of a search, some of them given anew.

    Raises:
        SettingsError: one that is none of a search, of another type or out of range.
    """
    for name, value in given.items():
        if name not in OF_SEARCH:
            raise SettingsError(f"{name}: it is no option of a search; {did_you_mean(name, OF_SEARCH)}")
        kinds = {field.name: type(field.default) for field in fields(options)}
        kind = (int, float) if kinds[name] is float else kinds[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kinds[name] is not bool):
            words = {bool: "true or false", int: "a whole number", float: "a number"}[kinds[name]]
            raise SettingsError(f"{name}: {value!r} is not {words}")
    options = replace(options, **given)
    if problems := options.problems():
        raise SettingsError("; ".join(problems))
    return options


def found_for(
    model: Seq2Seq,
    features: PairFeatures,
    pairs: Sequence[EncodedPair],
    reach: Reach,
    options: TranslateOptions,
    *,
    attention: bool,
    device: torch.device,
    n_best: int = 1,
) -> list[list[Found]]:
    """The best answers to each source, in their order, the best first.

    Args:
        pairs: their sources are read.
        attention: whether it is kept.
        device: of the model.
        n_best: answers to each, where there are as many; at most beam.

    Raises:
        SettingsError: n_best is out of range.
    """
    if not 1 <= n_best <= options.beam:
        raise SettingsError(f"n_best: {n_best} is not in 1 to {options.beam}, the beam; give a wider beam too")
    lengths = [len(pair.source) for pair in pairs]
    room = max(1, BATCH_TOKENS // options.beam)
    batches = plan(lengths, batch_size=0, batch_tokens=room, rng=None) if pairs else []
    found: list[list[Found]] = [[] for _ in pairs]
    kept = attention or _copies(model, options)
    with evaluating(model):
        for rows in batches:
            with memory_faults_named("prediction", partial(_words, lengths, rows), LESS_MEMORY):
                source = features.collate_sources([pairs[row] for row in rows]).to(device)
                how = _rules(model, [lengths[row] for row in rows], reach, options) | {"attention": kept}
                state = model.begin(source.values, source.lengths)
                if options.beam == 1:
                    best = [[one] for one in greedy_search(model.decoder, state, **how)]
                else:
                    best = beam_search(model.decoder, state, beam_size=options.beam, n_best=n_best, **how)
                for row, several in zip(rows, best, strict=True):
                    found[row] = [one._replace(attention=one.attention[:, : lengths[row]].float()) for one in several]
    return found


def drawn_for(
    model: Seq2Seq,
    features: PairFeatures,
    pair: EncodedPair,
    reach: Reach,
    options: TranslateOptions,
    *,
    device: torch.device,
    **sampling: Any,
) -> list[Found]:
    """Answers to one source drawn by chance, in the order of their numbers.

    Args:
        sampling: count, seed, temperature, top_k and top_p, as of `recurra.models.search.sample_search`.

    Raises:
        SettingsError: one of these is out of range.
    """
    with evaluating(model):
        source = features.collate_sources([pair]).to(device)
        rules = _rules(model, [len(pair.source)], reach, options) | {"attention": _copies(model, options)}
        (found,) = sample_search(model.decoder, model.begin(source.values, source.lengths), **rules, **sampling)
        return found


def attends(model: Seq2Seq) -> bool:
    """Whether the decoder looks at the source's steps."""
    body = model.decoder.body
    return not isinstance(body, AttentiveLayers) or body.attention is not None


def _copies(model: Seq2Seq, options: TranslateOptions) -> bool:
    """Whether an unknown token becomes the source's word that was looked at."""
    return options.copy_unknown and attends(model)


def _rules(model: Seq2Seq, lengths: list[int], reach: Reach, options: TranslateOptions) -> dict[str, Any]:
    """What binds the answers to sources of so many tokens, as every search of `recurra.models` takes it."""
    own = [reach.limit(length - 1) for length in lengths]
    limits = torch.tensor([min(n, options.max_target_length or n) for n in own])
    return {
        "bos_id": BEGIN_ID,
        "eos_id": END_ID,
        "limits": limits,
        "options": SearchOptions(
            max_length=max(int(limits.max()), options.min_target_length),
            min_length=options.min_target_length,
            length_penalty=options.length_penalty,
            coverage_penalty=options.coverage_penalty,
            no_repeat_ngram=options.no_repeat_ngram,
            without=(PAD_ID, BEGIN_ID) if _copies(model, options) else (PAD_ID, BEGIN_ID, UNK_ID),
        ),
    }


def _words(lengths: list[int], rows: list[int]) -> str:
    return f"{len(rows)} texts at a time, the longest of {max(lengths[row] for row in rows)} tokens"
