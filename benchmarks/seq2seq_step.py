"""What training and searching cost with `recurra.models.Seq2Seq`, beside a plain PyTorch script with the same weights.

    python benchmarks/seq2seq_step.py [--rounds 5]

A bidirectional LSTM encoder, an LSTM decoder with Luong's general attention, tied embedding, 6,000 tokens, hidden size
256, batches of 80 random pairs of 10 to 15 tokens: sizes decide the cost, words do not. The plain script is written as
most are: a packed encoder, a loop over the target with `nn.LSTMCell`, all logits at once, `F.cross_entropy`; a beam for
one sentence at a time. Both give the same loss and, in exact arithmetic, the same hypotheses; that is checked. One
thread, by the clock of the process; rounds alternate, the figure is the median ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.models import SearchOptions, Seq2Seq, beam_search, make_seq2seq

V, SIZE, ROWS, BEAM, LONGEST = 6000, 256, 80, 5, 15
BOS, EOS = 1, 2


class Plain(nn.Module):
    """The same model as a script has it."""

    def __init__(self, input_feeding: bool) -> None:
        super().__init__()
        self.input_feeding = input_feeding
        self.source, self.target = nn.Embedding(V, SIZE), nn.Embedding(V, SIZE)
        self.encoder = nn.LSTM(SIZE, SIZE // 2, batch_first=True, bidirectional=True)
        self.first_hidden, self.first_cell = nn.Linear(SIZE, SIZE), nn.Linear(SIZE, SIZE)
        self.cell = nn.LSTMCell(SIZE * (1 + input_feeding), SIZE)
        self.general = nn.Linear(SIZE, SIZE, bias=False)
        self.combine = nn.Linear(2 * SIZE, SIZE)
        self.bias = nn.Parameter(torch.zeros(V))

    def load(self, model: Seq2Seq) -> None:
        """Take the weights of ours."""
        ours = model.state_dict()
        pairs = {
            "source.weight": "encoder.embedding.weight",
            "target.weight": "decoder.own_embedding.weight",
            "general.weight": "decoder.body.attention.key.weight",
            "bias": "decoder.output_bias",
        }
        for kind in ("weight", "bias"):
            pairs[f"first_hidden.{kind}"], pairs[f"first_cell.{kind}"] = (
                f"bridge.maps.0.{kind}",
                f"bridge.maps.1.{kind}",
            )
            pairs[f"combine.{kind}"] = f"decoder.body.combine.{kind}"
            for end in ("ih", "hh"):
                pairs[f"cell.{kind}_{end}"] = f"decoder.body.layers.layers.0.0.cell.{kind}_{end}"
                pairs[f"encoder.{kind}_{end}_l0"] = f"encoder.layers.layers.0.0.cell.{kind}_{end}"
                pairs[f"encoder.{kind}_{end}_l0_reverse"] = f"encoder.layers.layers.0.1.cell.{kind}_{end}"
        self.load_state_dict({theirs: ours[name] for theirs, name in pairs.items()})

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        packed = pack_padded_sequence(self.source(source), lengths, batch_first=True, enforce_sorted=False)
        outputs, (h, c) = self.encoder(packed)
        memory, _ = pad_packed_sequence(outputs, batch_first=True, total_length=source.shape[1])
        h, c = (torch.cat([part[0], part[1]], -1) for part in (h, c))
        return memory, self.general(memory), torch.tanh(self.first_hidden(h)), torch.tanh(self.first_cell(c))

    def step(
        self, token: Tensor, h: Tensor, c: Tensor, fed: Tensor, memory: Tensor, keys: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = self.target(token)
        h, c = self.cell(torch.cat([x, fed], -1) if self.input_feeding else x, (h, c))
        scores = torch.bmm(keys, h[:, :, None])[..., 0].masked_fill(mask, -torch.inf)
        context = torch.bmm(scores.softmax(-1)[:, None], memory)[:, 0]
        return h, c, torch.tanh(self.combine(torch.cat([context, h], -1)))

    def loss(self, source: Tensor, lengths: Tensor, target: Tensor, target_lengths: Tensor) -> Tensor:
        memory, keys, h, c = self.encode(source, lengths)
        mask = torch.arange(source.shape[1]) >= lengths[:, None]
        fed, found = torch.zeros_like(h), []
        for t in range(target.shape[1]):
            token = torch.full_like(target[:, 0], BOS) if t == 0 else target[:, t - 1]
            h, c, fed = self.step(token, h, c, fed, memory, keys, mask)
            found.append(fed)
        logits = F.linear(torch.stack(found, 1), self.target.weight, self.bias)
        wanted = target.masked_fill(torch.arange(target.shape[1]) >= target_lengths[:, None], -100)
        return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), label_smoothing=0.1, reduction="sum")

    @torch.no_grad()
    def beam(self, source: Tensor, shortest: int, longest: int) -> tuple[float, list[int]]:
        """One sentence: the best of the first five hypotheses that end."""
        memory, keys, h, c = self.encode(source[None], torch.tensor([len(source)]))
        mask = torch.zeros(1, len(source), dtype=torch.bool)
        fed = torch.zeros_like(h)
        live: list[tuple[float, list[int]]] = [(0.0, [BOS])]
        ended: list[tuple[float, list[int]]] = []
        for t in range(longest + 1):
            tokens = torch.tensor([words[-1] for _, words in live])
            k = len(live)
            h, c, fed = self.step(
                tokens, h, c, fed, memory.expand(k, -1, -1), keys.expand(k, -1, -1), mask.expand(k, -1)
            )
            scores = F.log_softmax(F.linear(fed, self.target.weight, self.bias), -1)
            if t < shortest:
                scores[:, EOS] = -torch.inf
            if t == longest:
                scores = torch.where(torch.arange(V) == EOS, scores, -torch.inf)
            scores = scores + torch.tensor([score for score, _ in live])[:, None]
            best, place = scores.flatten().topk(2 * BEAM)
            following, rows = [], []
            for rank, (score, index) in enumerate(zip(best.tolist(), place.tolist(), strict=True)):
                row, token = divmod(index, V)
                words = [*live[row][1], token]
                if token == EOS and rank < BEAM:
                    ended.append((score, words[1:-1]))
                elif token != EOS and len(following) < BEAM:
                    following.append((score, words))
                    rows.append(row)
            if len(ended) >= BEAM or t == longest:
                break
            live, h, c, fed = following, h[rows], c[rows], fed[rows]
        return max(ended)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    for name, input_feeding in (("general attention", False), ("with input feeding", True)):
        results[name] = one = measure(input_feeding, rounds)
        for what, unit in (("train", "target tokens"), ("search", "sentences")):
            ours, plain = one[what]["ours"], one[what]["plain"]
            ratios = one[what]["ratios"]
            print(
                f"{name}, {what}: ours {ours:.0f}, plain {plain:.0f} {unit} a second, ratio "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )
    path = Path(__file__).parent / "results" / "seq2seq_step.json"
    path.write_text(json.dumps({"threads": 1, "torch": torch.__version__, **results}, indent=1) + "\n")


def measure(input_feeding: bool, rounds: int) -> dict[str, Any]:
    """Tokens and sentences a second of both, in turn."""
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(3, V, (2, ROWS, LONGEST), generator=generator)
    lengths, target_lengths = torch.randint(10, LONGEST + 1, (2, ROWS), generator=generator)
    lengths[0] = target_lengths[0] = LONGEST
    torch.manual_seed(0)
    model = make_seq2seq(
        "lstm", V, V, SIZE, SIZE, encoder_size=SIZE // 2, attention="general", input_feeding=input_feeding
    )
    plain = Plain(input_feeding)
    plain.load(model)
    rules = SearchOptions(min_length=LONGEST - 3, max_length=LONGEST)

    def train_ours() -> float:
        loss = model.train().loss(source, lengths, target, target_lengths, label_smoothing=0.1).nats
        loss.backward()
        return float(loss.detach())

    def train_plain() -> float:
        loss = plain.train().loss(source, lengths, target, target_lengths)
        loss.backward()
        return float(loss.detach())

    def search_ours() -> list[list[int]]:
        state = model.eval().begin(source, lengths)
        found = beam_search(
            model.decoder, state, bos_id=BOS, eos_id=EOS, beam_size=BEAM, options=rules, attention=False
        )
        return [best.tokens.tolist() for (best,) in found]

    def search_plain() -> list[list[int]]:
        plain.eval()
        return [
            plain.beam(row[:length], rules.min_length, rules.max_length)[1]
            for row, length in zip(source, lengths.tolist(), strict=True)
        ]

    apart = abs(train_ours() / train_plain() - 1)
    same = sum(one == other for one, other in zip(search_ours(), search_plain(), strict=True))
    print(f"losses {apart:.1e} apart, {same} of {ROWS} hypotheses are the same", flush=True)
    tokens = int(target_lengths.sum())
    return {
        "apart": apart,
        "same": same,
        "train": compared(train_ours, train_plain, tokens, rounds, 3),
        "search": compared(search_ours, search_plain, ROWS, rounds, 1),
    }


def compared(
    ours: Callable[[], Any], plain: Callable[[], Any], count: int, rounds: int, calls: int
) -> dict[str, float | list[float]]:
    """Both in turn: how many a second, and by how much ours is quicker, round by round."""
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        order = (0, 1) if number % 2 else (1, 0)
        for which in order:
            began = time.process_time()
            for _ in range(calls):
                (ours, plain)[which]()
            took[which].append((time.process_time() - began) / calls)
    ratios = [theirs / own for own, theirs in zip(*took, strict=True)]
    return {
        "ours": count / statistics.median(took[0]),
        "plain": count / statistics.median(took[1]),
        "ratios": ratios,
    }


if __name__ == "__main__":
    main()
