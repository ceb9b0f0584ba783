"""Claims about what is learned: LSTM beside GRU, which states answer, and what a model meets after training."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pydoc_data.topics import topics
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claims.measured import Measured, number, percent
from recurra.demos.digits_data import Columns, tables
from recurra.demos.language_words import language_words
from recurra.models import LanguageModel, SequenceModel
from recurra.nn import Recurrent
from recurra.statistics import paired_difference

CLIP_NORM = 1.0


class Rows(NamedTuple):
    """values [N, T, D] float or [N, T] int64; lengths [N]; labels [N]."""

    values: Tensor
    lengths: Tensor
    labels: Tensor

    def at(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows by number, cut to the longest of them."""
        lengths = self.lengths[rows]
        return self.values[rows, : int(lengths.max())], lengths, self.labels[rows]


def digits(most: int | None = None) -> tuple[Rows, Rows]:
    """Scikit-learn's images by rows, for training and for testing."""
    train, _, test = tables(0)
    return _images(train, most), _images(test, most)


def _images(columns: Columns, most: int | None) -> Rows:
    values = torch.from_numpy(np.stack(columns["image"][:most]))
    return Rows(values, torch.full((len(values),), 8), torch.tensor([int(one) for one in columns["digit"][:most]]))


def words(numbers: int = 60) -> tuple[Rows, Rows]:
    """Number words, the label being the language, for training and for testing."""
    data = language_words(0, train=numbers, valid=1, test=numbers)
    characters = sorted({one for text in data.train["text"] for one in text})
    known = {one: number for number, one in enumerate(characters, 2)}  # 0 is padding, 1 what training never met
    languages = sorted(set(data.train["language"]))

    def rows(columns: dict[str, list[str]]) -> Rows:
        ids = [torch.tensor([known.get(one, 1) for one in text]) for text in columns["text"]]
        labels = torch.tensor([languages.index(one) for one in columns["language"]])
        return Rows(nn.utils.rnn.pad_sequence(ids, batch_first=True), torch.tensor([len(one) for one in ids]), labels)

    return rows(data.train), rows(data.test)


class Reader(nn.Module):
    """Numbers, or symbols behind an embedding → logits."""

    def __init__(self, cell: str, rows: Rows, outputs: int, pooling: str, hidden: int) -> None:
        super().__init__()
        symbols = rows.values.dim() == 2
        self.embedding = nn.Embedding(int(rows.values.max()) + 1, 32) if symbols else nn.Identity()
        self.body = SequenceModel(cell, 32 if symbols else rows.values.shape[-1], hidden, outputs, pooling=pooling)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        return self.body(self.embedding(values), lengths=lengths)[0]


def accuracy(
    cell: str, data: tuple[Rows, Rows], seed: int, epochs: int, pooling: str = "last", hidden: int = 64
) -> float:
    """Trained on the first rows, of the second: the same order of rows for every cell and pooling of a seed."""
    train, test = data
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    model = Reader(cell, train, int(train.labels.max()) + 1, pooling, hidden)
    batches = [torch.randperm(len(train.labels), generator=order).split(32) for _ in range(epochs)]
    _train(model, [lambda rows=rows: _entropy(model, train, rows) for epoch in batches for rows in epoch], 4e-3)
    with torch.no_grad():
        guesses = [model(*test.at(rows)[:2]).argmax(-1) for rows in torch.arange(len(test.labels)).split(256)]
    return float((torch.cat(guesses) == test.labels).double().mean())


def _entropy(model: nn.Module, rows: Rows, chosen: Tensor) -> Tensor:
    values, lengths, labels = rows.at(chosen)
    return F.cross_entropy(model(values, lengths), labels)


def _train(model: nn.Module, losses: Sequence[Callable[[], Tensor]], lr: float) -> None:
    """A step a loss, the rate falling as half a cosine."""
    optimiser = torch.optim.Adam(model.parameters(), lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, len(losses))
    for loss in losses:
        optimiser.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimiser.step()
        schedule.step()


def lstm_beside_gru(seeds: int = 5, epochs: int = 12, numbers: int = 60, most: int | None = None) -> Measured:
    """Test accuracy of both on two small tasks, paired by seed."""
    found, differences = {}, {}
    for name, data in (("digits by rows", digits(most)), ("languages of number words", words(numbers))):
        scores = {cell: [accuracy(cell, data, seed, epochs) for seed in range(seeds)] for cell in ("gru", "lstm")}
        found[name], differences[name] = scores, paired_difference(scores["gru"], scores["lstm"])
    said = []
    for name, scores in found.items():
        gru, lstm = (percent(statistics.fmean(scores[cell])) for cell in ("gru", "lstm"))
        paired = differences[name]
        verdict = ("LSTM ahead" if paired.mean > 0 else "GRU ahead") if paired.differs else "no difference found"
        interval = f"{100 * paired.low:+.1f} to {100 * paired.high:+.1f}"
        said.append(
            f"{name}: LSTM {lstm}, GRU {gru}, difference {100 * paired.mean:+.1f} points ({interval}): {verdict}"
        )
    figures = {"accuracy": found, "lstm_minus_gru": {name: asdict(one) for name, one in differences.items()}}
    seen = f"{seeds} seeds, 95 % intervals of the pairs; " + "; ".join(said)
    return Measured(seen, not all(one.low > 0 for one in differences.values()), figures)


def which_states(
    seeds: int = 2, epochs: int = 10, most: int | None = None, copied: int = 6, steps: int = 500
) -> Measured:
    """Classification from all states, and generation from the final one alone."""
    data = digits(most)
    pooled = {
        pooling: statistics.fmean(accuracy("gru", data, seed, epochs, pooling) for seed in range(seeds))
        for pooling in ("last", "mean", "max", "attention")
    }
    generated, symbols = _turned_round(copied, steps)
    named = ", ".join(f"{name} {percent(value)}" for name, value in pooled.items())
    seen = (
        f"digits by rows, a GRU ({seeds} seeds): {named}; a decoder that is given the encoder's final state alone says "
        f"{copied} symbols backwards with {percent(generated)} of them right (a guess: {percent(1 / symbols)})"
    )
    holds = min(pooled.values()) > 0.8 and generated > 3 / symbols
    return Measured(seen, holds, {"accuracy": pooled, "generated": generated, "guess": 1 / symbols})


def _turned_round(copied: int, steps: int, symbols: int = 8) -> tuple[float, int]:
    """A plain sequence to sequence model, taught by forcing, then left to its own outputs."""
    torch.manual_seed(0)
    embedding = nn.Embedding(symbols + 1, 32)
    encoder, decoder = Recurrent("gru", 32, 128), Recurrent("gru", 32, 128)
    head = nn.Linear(128, symbols)
    model = nn.ModuleList([embedding, encoder, decoder, head])
    draw = torch.Generator().manual_seed(0)

    def loss() -> Tensor:
        given = torch.randint(symbols, (64, copied), generator=draw)
        said = given.flip(1)
        read = torch.cat([torch.full((64, 1), symbols), said[:, :-1]], 1)
        outputs, _ = decoder(embedding(read), encoder(embedding(given))[1])
        return F.cross_entropy(head(outputs).flatten(0, 1), said.flatten())

    _train(model, [loss] * steps, 4e-3)
    with torch.no_grad():
        given = torch.randint(symbols, (1000, copied), generator=draw)
        state, symbol, said = encoder(embedding(given))[1], torch.full((1000,), symbols), []
        for _ in range(copied):
            y, state = decoder.step(embedding(symbol), state)
            symbol = head(y).argmax(-1)
            said.append(symbol)
    return float((torch.stack(said, 1).flip(1) == given).double().mean()), symbols


def exposure(
    steps: int = 600,
    hidden: int = 192,
    rows: int = 1000,
    prompt: int = 60,
    free: int = 30,
    characters: int | None = None,
) -> Measured:
    """A character model on Python's manual: the n-th symbol after a prompt, reading the truth and reading itself."""
    torch.manual_seed(0)
    text = "".join(topics[name] for name in sorted(topics))[:characters]
    known = {one: number for number, one in enumerate(sorted(set(text)))}
    ids = torch.tensor([known[one] for one in text])
    cut = int(0.9 * len(ids))
    draw = torch.Generator().manual_seed(0)
    model = LanguageModel("gru", len(known), 64, hidden)

    def windows(low: int, high: int, count: int, length: int) -> Tensor:
        begins = torch.randint(low, high - length, (count,), generator=draw)
        return ids[begins[:, None] + torch.arange(length)]

    def loss() -> Tensor:
        given = windows(0, cut, 32, 81)
        found = model.loss(given[:, :-1], given[:, 1:])
        return found.nats / found.targets

    _train(model, [loss] * steps, 4e-3)
    model.eval()
    given = windows(cut, len(ids), rows, prompt + free)
    truth = given[:, prompt:]
    with torch.no_grad():
        forced = model(given[:, :-1])[0][:, prompt - 1 :]
        logits, state = model(given[:, :prompt])
        own = [logits[:, -1]]
        while len(own) < free:
            logits, state = model.step(own[-1].argmax(-1), state)
            own.append(logits)
    ways = {"truth": forced, "itself": torch.stack(own, 1)}
    right = {name: (one.argmax(-1) == truth).double().mean(0).tolist() for name, one in ways.items()}
    nats = {name: float(F.cross_entropy(one.flatten(0, 1), truth.flatten())) for name, one in ways.items()}
    at = [1, 5, free]
    named = {name: ", ".join(percent(one[n - 1]) for n in at) for name, one in right.items()}
    seen = (
        f"a character model of Python's manual, {free} characters after {prompt} true ones, held out: characters "
        f"{', '.join(map(str, at[:-1]))} and {at[-1]} are right in {named['truth']} of the rows where it reads the "
        "truth, and "
        f"in {named['itself']} where it reads itself; the truth costs {number(nats['truth'])} and "
        f"{number(nats['itself'])} nats a character"
    )
    holds = (
        right["truth"][0] == right["itself"][0]
        and right["itself"][-1] < 0.8 * right["truth"][-1]
        and nats["itself"] > nats["truth"]
    )
    return Measured(seen, holds, {"right": right, "nats": nats})
