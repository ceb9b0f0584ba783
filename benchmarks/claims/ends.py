"""Claims about the ends of sequences: where the summary stands, padding, layouts, streams."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from claims.measured import ROUNDING, Measured, distance, medians, number
from recurra.errors import NotStreamable
from recurra.models import SequenceModel
from recurra.nn import Recurrent, from_torch, to_torch

SIZE, HIDDEN = 10, 20


def last_column(rows: int = 64, steps: int = 15, pads: int = 10) -> Measured:
    """`out[:, -1]` of two directions, with and without padding, beside the valid ends of both."""
    torch.manual_seed(0)
    lstm, head = nn.LSTM(SIZE, HIDDEN, batch_first=True, bidirectional=True), nn.Linear(2 * HIDDEN, 5)
    x = torch.randn(rows, steps, SIZE)
    padded = torch.cat([x, torch.zeros(rows, pads, SIZE)], 1)
    outputs, (hidden, _) = lstm(x)
    one_step = lstm(x[:, -1:])[0][:, 0, HIDDEN:]
    moved = (head(outputs[:, -1]) - head(lstm(padded)[0][:, -1])).abs()
    ours = SequenceModel("lstm", SIZE, HIDDEN, 5, bidirectional=True)
    lengths = torch.full((rows,), steps)
    figures = {
        "backward_half_minus_one_step": distance(outputs[:, -1, HIDDEN:], one_step),
        "backward_half_minus_whole": distance(outputs[:, -1, HIDDEN:], outputs[:, 0, HIDDEN:]),
        "hidden_minus_backward_end": distance(hidden[-1], outputs[:, 0, HIDDEN:]),
        "moved_by_pads": float(moved.detach().max()),
        "ours_moved_by_pads": distance(ours(x)[0], ours(padded, lengths=lengths)[0]),
        "pads": pads,
    }
    seen = (
        "the backward half of `out[:, -1]` is that of the last step alone to "
        f"{number(figures['backward_half_minus_one_step'])} "
        f"and differs from the whole row's by up to {number(figures['backward_half_minus_whole'])}; {pads} pads move "
        "an answer by up "
        f"to {number(figures['moved_by_pads'])}, ours by {number(figures['ours_moved_by_pads'])}; `h_n[-1]` is the "
        "backward "
        f"direction to {number(figures['hidden_minus_backward_end'])}"
    )
    small = ("backward_half_minus_one_step", "hidden_minus_backward_end", "ours_moved_by_pads")
    large = ("backward_half_minus_whole", "moved_by_pads")
    holds = all(figures[one] < ROUNDING for one in small) and all(figures[one] > 0.01 for one in large)
    return Measured(seen, holds, figures)


def packing(rows: int = 32, steps: int = 200, size: int = 256, rounds: int = 5) -> Measured:
    """A short row's end in a padded batch: packed, padded without regard to lengths, and ours; and the time of each."""
    torch.manual_seed(0)
    lstm = nn.LSTM(size, size, batch_first=True)
    ours = from_torch(lstm)
    lengths = torch.linspace(steps / 10, steps, rows).long()
    x = torch.randn(rows, steps, size)
    alone = lstm(x[:1, : lengths[0]])[1][0][0, 0]

    def packed() -> Tensor:
        return lstm(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[1][0][0]

    def padded() -> Tensor:
        return lstm(x)[1][0][0]

    def gathered() -> Tensor:
        return ours(x, lengths=lengths)[1].layers[0].hidden

    ways = {"padded": padded, "packed": packed, "ours": gathered}
    errors = {name: distance(way()[0], alone) for name, way in ways.items()}
    times = medians([lambda way=way: way().sum().backward() for way in ways.values()], rounds)
    milliseconds = {name: 1e3 * one for name, one in zip(ways, times, strict=True)}
    seen = (
        f"the end of a row of {int(lengths[0])} steps in a batch of {steps} differs from that of the row alone by "
        f"{number(errors['padded'])} where it is padded, {number(errors['packed'])} packed and "
        f"{number(errors['ours'])} here; "
        f"forward and backward ({rows} rows, {size} features) take {number(milliseconds['padded'])} ms padded, "
        f"{number(milliseconds['packed'])} packed and {number(milliseconds['ours'])} here"
    )
    right = errors["padded"] > 0.01 and max(errors["packed"], errors["ours"]) < ROUNDING
    slow = milliseconds["packed"] > milliseconds["padded"]
    return Measured(seen, right and slow, {"difference": errors, "milliseconds": milliseconds})


def batch_read_as_time(rows: int = 3, steps: int = 15) -> Measured:
    """A row's outputs after another row of the batch has changed, without `batch_first` and with it."""
    torch.manual_seed(0)
    x = torch.randn(rows, steps, SIZE)
    other = torch.cat([x[:-1], torch.randn(1, steps, SIZE)])
    layers = {
        "without": nn.RNN(SIZE, HIDDEN, bidirectional=True),
        "with": nn.RNN(SIZE, HIDDEN, bidirectional=True, batch_first=True),
    }
    moved = {name: distance(layer(x)[0][0], layer(other)[0][0]) for name, layer in layers.items()}
    shapes = {name: list(layer(x)[0].shape) for name, layer in layers.items()}
    ours = Recurrent("rnn", SIZE, HIDDEN, bidirectional=True)
    moved["ours"] = distance(ours(x)[0][0], ours(other)[0][0])
    seen = (
        f"another last row moves the outputs of the first by up to {number(moved['without'])} without `batch_first`, "
        "and by "
        f"{number(moved['with'])} with it and {number(moved['ours'])} here; the shape is {shapes['without']} either "
        "way and "
        "nothing is said"
    )
    holds = moved["without"] > 0.01 and moved["with"] == moved["ours"] == 0.0 and shapes["with"] == shapes["without"]
    return Measured(seen, holds, {"moved": moved, "shapes": shapes})


def look_ahead(steps: int = 50, reaches: tuple[int, ...] = (1, 5, 20)) -> Measured:
    """How much of a step's answer in both directions hangs on what is not there yet."""
    torch.manual_seed(0)
    both = Recurrent("lstm", SIZE, HIDDEN, bidirectional=True).eval()
    x = torch.randn(16, steps, SIZE)
    changed = torch.cat([x[:, :1], torch.randn(16, steps - 1, SIZE)], 1)
    try:
        both.step(x[:, 0])
        refused = ""
    except NotStreamable as error:
        refused = str(error)
    one = Recurrent("lstm", SIZE, HIDDEN).eval()
    whole = both(x)[0][:, 0]
    figures = {
        "first_step_moved_by_later_ones": distance(whole, both(changed)[0][:, 0]),
        "one_direction": distance(one(x)[0][:, 0], one(changed)[0][:, 0]),
        "with_look_ahead": {str(reach): distance(whole, both(x[:, : 1 + reach])[0][:, 0]) for reach in reaches},
        "refused": refused,
    }
    ahead = figures["with_look_ahead"]
    *most, last = map(str, reaches)
    moved = number(figures["first_step_moved_by_later_ones"])
    seen = (
        f"other later steps move the first output by up to {moved}, and by "
        f"{number(figures['one_direction'])} in one direction; `step` refuses; with a look-ahead of {', '.join(most)} "
        f"and {last} steps the first output is {', '.join(number(ahead[one]) for one in most)} and "
        f"{number(ahead[last])} "
        "from the whole row's"
    )
    nearer = all(ahead[str(a)] > ahead[str(b)] for a, b in itertools.pairwise(reaches))
    holds = "bidirectional" in refused and figures["one_direction"] == 0.0 and nearer
    return Measured(seen, holds and figures["first_step_moved_by_later_ones"] > 0.01, figures)


class HiddenKept(nn.Module):
    """As tutorials write it: `hidden` may be given, and does not come back."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.rnn, self.fc = to_torch(model.encoder), model.head

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        outputs, hidden = self.rnn(x, hidden)
        return self.fc(outputs[:, -1])


def hidden_never_returned(steps: int = 40, chunk: int = 10) -> Measured:
    """The answer after a sequence that came in pieces, beside that of the whole."""
    torch.manual_seed(0)
    ours = SequenceModel("rnn", SIZE, HIDDEN, 5)
    tutorial = HiddenKept(ours)
    x = torch.randn(32, steps, SIZE)
    state = None
    for piece in x.split(chunk, 1):
        theirs = tutorial(piece)  # there is no state to give: none came back
        logits, state = ours(piece, state)
    figures = {
        "whole": distance(tutorial(x), ours(x)[0]),
        "tutorial_in_pieces": distance(theirs, tutorial(x)),
        "ours_in_pieces": distance(logits, ours(x)[0]),
        "pieces": steps // chunk,
    }
    seen = (
        f"on whole sequences both give the same logits to {number(figures['whole'])}; in {figures['pieces']} pieces "
        "the "
        f"tutorial's class is off by up to {number(figures['tutorial_in_pieces'])}, ours by "
        f"{number(figures['ours_in_pieces'])}"
    )
    holds = max(figures["whole"], figures["ours_in_pieces"]) < ROUNDING and figures["tutorial_in_pieces"] > 0.01
    return Measured(seen, holds, figures)
