"""Sequence to sequence: the laws over a decoder's tokens, a plain listing with the same weights, teacher forcing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import laws
from recurra.cells import CELLS
from recurra.errors import InputError, SettingsError, ShapeError
from recurra.models import Decoder, DecoderSteps, Encoder, Seq2Seq, make_seq2seq
from recurra.sequence import Sequence
from recurra.state import select

V, SOURCES = 7, 6
ORDERS: list[dict[str, Any]] = [
    {"attention": "dot", "hidden_size": 6},
    {"attention": "general", "scaled": True},
    {"attention": "concat", "attention_size": 5},
    {"attention": "additive"},
    {"attention": "none"},
    {"attention": "none", "repeat_context": True},
    {"attention": "general", "input_feeding": True},
    {"attention": "concat", "input_feeding": True, "tied": False},
]
DROPOUTS = {"embedding_dropout": 0.3, "dropout": 0.3, "output_dropout": 0.4}
STACKS: list[dict[str, Any]] = [
    {"num_layers": 2, "weight_dropout": 0.4, **DROPOUTS},
    {"num_layers": 2, "weight_dropout": 0.4, "input_feeding": True, **DROPOUTS},
    {"num_layers": 2, "attention": "additive", "cell": "gru", **DROPOUTS},
    {"num_layers": 2, "attention": "none", "cell": "gru", **DROPOUTS},
    {"num_layers": 2, "cell": "transformer", **DROPOUTS},
    {"cell": "transformer"},
    {"cell": "transformer", "attention": "general"},
    {"cell": "transformer", "attention": "additive"},
    {"cell": "transformer", "decoder_cell": "lstm"},
    {"cell": "gru", "decoder_cell": "lstm", "num_layers": 2, "decoder_layers": 1},
    {"cell": "lstm", "decoder_cell": "gru", "decoder_layers": 2, "joint": True, "bidirectional": False},
    {"cell": "lstm", "decoder_cell": "transformer", "decoder_layers": 2},
]
VARIANTS = [*({"cell": cell, "attention": "general"} for cell in CELLS), *ORDERS, *STACKS]
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))


def build(variant: dict[str, Any], seed: int = 0, **more: Any) -> Seq2Seq:
    options = {"cell": "lstm", "hidden_size": 4, "encoder_size": 3, **variant, **more}
    torch.manual_seed(seed)
    sources = V if options.get("joint") else SOURCES
    model = make_seq2seq(options.pop("cell"), sources, V, 3, options.pop("hidden_size"), **options).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def batch(rows: int = 3, source_steps: int = 5, target_steps: int = 6, seed: int = 1) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    source = torch.randint(SOURCES, (rows, source_steps), generator=generator)
    target = torch.randint(V, (rows, target_steps), generator=generator)
    return source, torch.tensor([4, 1, 5, 2, 3])[:rows], target, torch.tensor([3, 1, 6, 2, 4])[:rows]


class OverTokens(nn.Module):
    """A decoder as the laws want a layer: x [B, T, 1] of any numbers, each read as a token; NaN is no token.

    Outputs are the logits with the attention behind them, zero beyond the lengths.
    """

    def __init__(self, decoder: Decoder, memory: Sequence) -> None:
        super().__init__()
        self.decoder, self.memory = decoder, memory

    def forward(self, x: Tensor, state: Any = None, *, padding: str = "right", **options: Any) -> Any:
        tokens = (x[..., 0].detach() * 10).to(torch.int64)
        tokens = torch.where(x[..., 0].isnan(), tokens, tokens.remainder(V))
        state = self.initial_state(x.shape[0]) if state is None else state
        options.pop("resets", None)
        output, state = self.decoder.run(tokens, state, **options)
        outputs = torch.cat(output, -1)
        if options.get("lengths") is not None:
            inside = torch.arange(x.shape[1]) < options["lengths"][:, None]
            outputs = torch.where(inside[..., None], outputs, 0.0)
        return outputs, state

    def step(self, x: Tensor, state: Any = None, **options: Any) -> Any:
        tokens = (x[..., 0].detach() * 10).to(torch.int64).remainder(V)
        output, state = self.decoder.step(tokens, state, **options)
        return torch.cat(output, -1), state

    def initial_state(self, batch_size: int) -> Any:
        return self.decoder.initial_state(Sequence(self.memory.values[:batch_size], self.memory.lengths[:batch_size]))

    def check_streamable(self) -> None:
        pass


@every_variant
def test_the_laws_of_recurrence_hold_for_a_decoder_in_training_for_equal_noise(variant: dict[str, Any]) -> None:
    model = build(variant).train()
    source, source_lengths, target, _ = batch()
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(3, 5, model.decoder.memory_size, dtype=torch.float64, generator=generator)
    layer = OverTokens(model.decoder, Sequence(values, torch.tensor([5, 2, 0])))
    state = model.begin(source, source_lengths)
    with torch.no_grad():
        _, state = model.decoder.eval().run(target[:, :2], state)
    model.train()
    x = torch.randn(3, 6, 1, generator=generator, dtype=torch.float64)
    lengths = torch.tensor([4, 0, 6])
    noise = model.decoder.noise(3, generator, steps=6)
    assert laws.within(laws.steps_equal_whole(layer, x, state, noise), x.dtype)
    assert laws.within(laws.chunks_equal_whole(layer, x, [0, 2, 5], state, noise), x.dtype)
    assert laws.within(laws.padding_is_never_read(layer, x, lengths, state, None, noise), x.dtype)
    assert laws.within(laws.a_batch_row_equals_the_row_alone(layer, x, lengths, state, noise), x.dtype)
    assert laws.within(laws.later_inputs_change_no_earlier_output(layer, x, 3, noise), x.dtype)
    assert laws.within(laws.nothing_is_written(layer, x, state, noise), x.dtype)
    assert laws.within(laws.length_zero_keeps_the_state(layer.eval(), x, state), x.dtype)


@every_variant
def test_padding_changes_neither_values_nor_gradients_and_a_row_alone_is_the_row_in_the_batch(
    variant: dict[str, Any],
) -> None:
    model = build(variant).train()
    source, source_lengths, target, target_lengths = batch()
    noise = model.noise(3, torch.Generator().manual_seed(3), source_steps=5, target_steps=6)
    wild_source, wild_target = source.clone(), target.clone()
    for row in range(3):
        wild_source[row, source_lengths[row] :] = 10**9
        wild_target[row, target_lengths[row] :] = -(10**9)
    found = []
    for given, wanted in ((source, target), (wild_source, wild_target)):
        loss = model.loss(given, source_lengths, wanted, target_lengths, noise=noise, label_smoothing=0.1)
        gradients = torch.autograd.grad(loss.nats, list(model.parameters()), allow_unused=True)
        found.append((loss.nats, list(gradients)))
    assert int(loss.targets) == int(target_lengths.sum())
    assert laws.difference(*found) == 0
    whole = model(source, source_lengths, target, target_lengths=target_lengths, noise=noise)
    alone_nats = torch.zeros((), dtype=torch.float64)
    for row in range(3):
        index, steps, reach = torch.tensor([row]), int(target_lengths[row]), int(source_lengths[row])
        one = model(source[index, :reach], None, target[index, :steps], noise=_cut(noise, index, steps))
        torch.testing.assert_close(one.logits[0], whole.logits[row, :steps], rtol=1e-10, atol=1e-10)
        attended = whole.attention[row, :steps]
        torch.testing.assert_close(one.attention[0], attended[:, :reach], rtol=1e-10, atol=1e-10)
        assert attended[:, reach:].eq(0).all()
        one_loss = model.loss(
            source[index, :reach], None, target[index, :steps], noise=_cut(noise, index, steps), label_smoothing=0.1
        )
        alone_nats = alone_nats + one_loss.nats
    torch.testing.assert_close(alone_nats, found[0][0], rtol=1e-10, atol=1e-10)
    gradients = torch.autograd.grad(alone_nats, list(model.parameters()), allow_unused=True)
    assert laws.within(laws.difference(list(gradients), found[0][1]), torch.float64)


def _cut(noise: Any, index: Tensor, steps: int) -> Any:
    from dataclasses import replace

    rows = noise.rows(index)
    return replace(rows, forcing=rows.forcing[:, :steps])


@every_variant
def test_the_loss_is_plain_cross_entropy_of_the_logits(variant: dict[str, Any]) -> None:
    model = build(variant).eval()
    source, source_lengths, target, target_lengths = batch()
    logits, attention = model(source, source_lengths, target, target_lengths=target_lengths)
    assert logits.shape == (3, 6, V)
    whole = model(source, source_lengths, target).logits
    attends = variant.get("attention") != "none"
    assert attention.shape == (3, 6, 5 if attends else 0)
    if attends:
        torch.testing.assert_close(attention.sum(-1), torch.ones(3, 6, dtype=torch.float64))
    counted = torch.where(torch.arange(6) < target_lengths[:, None], target, -100)
    for smoothing in (0.0, 0.1):
        plain = F.cross_entropy(logits.flatten(0, 1), counted.flatten(), reduction="sum", label_smoothing=smoothing)
        found = model.loss(source, source_lengths, target, target_lengths, label_smoothing=smoothing)
        torch.testing.assert_close(found.nats, plain, rtol=1e-10, atol=1e-10)
        full = model.loss(source, source_lengths, target, label_smoothing=smoothing, block_bytes=1)
        plain = F.cross_entropy(whole.flatten(0, 1), target.flatten(), reduction="sum", label_smoothing=smoothing)
        torch.testing.assert_close(full.nats, plain, rtol=1e-10, atol=1e-10)


@every_variant
def test_the_quick_steps_and_rows_that_share_a_memory_give_the_logits_of_the_whole(variant: dict[str, Any]) -> None:
    model = build(variant).eval()
    source, source_lengths, target, _ = batch(2)
    whole = model(source, source_lengths, target)
    steps = DecoderSteps(model.decoder)
    begun, thrice = model.begin(source, source_lengths), torch.tensor([0, 0, 0, 1, 1, 1])
    state = begun._replace(layers=select(begun.layers, thrice), fed=begun.fed[thrice])
    read = torch.full((6,), model.bos_id)
    for t in range(6):
        output, state = steps.step(read, state)
        for ours, theirs in zip(output, whole, strict=True):
            torch.testing.assert_close(ours, theirs[:, t].repeat_interleave(3, 0), rtol=1e-10, atol=1e-10)
        read = target[:, t].repeat_interleave(3)


class Listing(nn.Module):
    """Sequence to sequence as a course writes it, in plain torch: one layer, an LSTM each way, Luong's attention."""

    def __init__(self, input_feeding: bool) -> None:
        super().__init__()
        self.input_feeding = input_feeding
        self.source, self.target = nn.Embedding(SOURCES, 3), nn.Embedding(V, 3)
        self.encoder = nn.LSTM(3, 3, batch_first=True, bidirectional=True)
        self.first_hidden, self.first_cell = nn.Linear(6, 4), nn.Linear(6, 4)
        self.cell = nn.LSTMCell(3 + 4 * input_feeding, 4)
        self.general = nn.Linear(6, 4, bias=False)
        self.combine = nn.Linear(10, 4)
        self.projection = nn.Linear(4, 3, bias=False)
        self.bias = nn.Parameter(torch.zeros(V))

    def forward(self, source: list[int], target: list[int]) -> tuple[Tensor, Tensor]:
        """One sentence at a time."""
        memory, (h, c) = self.encoder(self.source(torch.tensor([source])))
        h, c = (torch.cat([part[0], part[1]], -1) for part in (h, c))
        h, c = torch.tanh(self.first_hidden(h)), torch.tanh(self.first_cell(c))
        fed, logits, attention = torch.zeros(1, 4, dtype=torch.float64), [], []
        for token in [1, *target[:-1]]:
            x = self.target(torch.tensor([token]))
            h, c = self.cell(torch.cat([x, fed], -1) if self.input_feeding else x, (h, c))
            weights = torch.softmax(self.general(memory)[0] @ h[0], 0)
            fed = torch.tanh(self.combine(torch.cat([weights @ memory[0], h[0]])[None]))
            logits.append(self.projection(fed)[0] @ self.target.weight.T + self.bias)
            attention.append(weights)
        return torch.stack(logits), torch.stack(attention)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_logits_and_gradients_are_those_of_a_plain_listing_with_the_same_weights(input_feeding: bool) -> None:
    model = build({"attention": "general", "input_feeding": input_feeding})
    plain = Listing(input_feeding).double()
    weights = dict(model.named_parameters())
    names = {
        "source.weight": "encoder.embedding.weight",
        "target.weight": "decoder.own_embedding.weight",
        "first_hidden.weight": "bridge.maps.0.weight",
        "first_hidden.bias": "bridge.maps.0.bias",
        "first_cell.weight": "bridge.maps.1.weight",
        "first_cell.bias": "bridge.maps.1.bias",
        "general.weight": "decoder.body.attention.key.weight",
        "combine.weight": "decoder.body.combine.weight",
        "combine.bias": "decoder.body.combine.bias",
        "projection.weight": "decoder.projection.weight",
        "bias": "decoder.output_bias",
    }
    for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        names[f"cell.{kind}"] = f"decoder.body.layers.layers.0.0.cell.{kind}"
        names[f"encoder.{kind}_l0"] = f"encoder.layers.layers.0.0.cell.{kind}"
        names[f"encoder.{kind}_l0_reverse"] = f"encoder.layers.layers.0.1.cell.{kind}"
    assert sorted(names.values()) == sorted(weights)
    plain.load_state_dict({theirs: weights[ours].detach() for theirs, ours in names.items()})
    source, source_lengths, target, target_lengths = batch()
    logits, attention = model(source, source_lengths, target, target_lengths=target_lengths)
    ours = theirs = torch.zeros((), dtype=torch.float64)
    for row in range(3):
        reach, steps = int(source_lengths[row]), int(target_lengths[row])
        expected, weighed = plain(source[row, :reach].tolist(), target[row, :steps].tolist())
        torch.testing.assert_close(logits[row, :steps], expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(attention[row, :steps, :reach], weighed, rtol=1e-10, atol=1e-10)
        ours, theirs = ours + logits[row, :steps].square().sum(), theirs + expected.square().sum()
    order = list(names)
    of_ours = torch.autograd.grad(ours, [weights[names[name]] for name in order])
    of_theirs = torch.autograd.grad(theirs, [plain.get_parameter(name) for name in order])
    assert laws.within(laws.difference(list(of_ours), list(of_theirs)), torch.float64)


def test_bahdanaus_order_reads_the_context_of_the_state_before() -> None:
    model = build({"attention": "additive", "cell": "gru"}).eval()
    source, _, target, _ = batch(1)
    logits, attention = model(source[:, :4], None, target)
    body, decoder = model.decoder.body, model.decoder
    memory, final = model.encoder(source[:, :4])
    cell = body.layers.stack()[0][0].cell
    ends = torch.cat([final.layers[0].forward.hidden, final.layers[0].backward.hidden], -1)
    hidden = torch.tanh(model.bridge.maps[0](ends))
    score = body.attention
    for t, token in enumerate([1, *target[0, :-1].tolist()]):
        under = torch.tanh(score.query(hidden) + score.key(memory[0]))
        weights = (under @ score.energy.weight[0]).softmax(0)
        x = torch.cat([decoder.embedding.weight[token], weights @ memory[0]])
        hidden = cell.step(x[None], cell.initial_state(1)._replace(hidden=hidden))[0]
        attentional = torch.tanh(body.combine(torch.cat([weights @ memory[0], hidden[0]])))
        torch.testing.assert_close(attention[0, t], weights)
        torch.testing.assert_close(
            logits[0, t], decoder.projection(attentional) @ decoder.embedding.weight.T + decoder.output_bias
        )


def test_the_plain_context_model_knows_the_source_by_its_first_state_alone() -> None:
    model = build({"attention": "none"}).eval()
    source, source_lengths, target, _ = batch()
    state = model.begin(source, source_lengths)
    assert state.memory == () and state.fed.shape == (3, 0)
    outputs, _ = model.decoder.body.layers(model.decoder.embed(target), state.layers)
    expected = model.decoder.score(outputs)
    torch.testing.assert_close(model.decoder.run(target, state)[0].logits, expected)


def test_a_transformer_decoder_is_torchs_own_layer_without_rotation() -> None:
    """One token, so that no place can turn anything: self-attention then reads its own value."""
    model = build({"cell": "transformer", "hidden_size": 3, "encoder_size": 3}).eval()
    layer = model.decoder.body.stack[0]
    torchs = nn.TransformerDecoderLayer(3, 1, 12, 0.0, F.gelu, batch_first=True, norm_first=True).double().eval()
    cell = layer.cell
    keys, values = layer.keys_values.weight.chunk(2)
    with torch.no_grad():
        torchs.self_attn.in_proj_weight.copy_(cell.attention_in.weight)
        torchs.self_attn.in_proj_bias.copy_(cell.attention_in.bias)
        torchs.self_attn.out_proj.load_state_dict(cell.attention_out.state_dict())
        torchs.multihead_attn.in_proj_weight.copy_(torch.cat([layer.query.weight, keys, values]))
        torchs.multihead_attn.in_proj_bias.copy_(torch.cat([layer.query.bias, torch.zeros(6).double()]))
        torchs.multihead_attn.out_proj.load_state_dict(layer.out.state_dict())
        for ours, theirs in ((cell.attention_norm, torchs.norm1), (layer.norm, torchs.norm2)):
            theirs.load_state_dict(ours.state_dict())
        torchs.norm3.load_state_dict(cell.feedforward_norm.state_dict())
        torchs.linear1.load_state_dict(cell.feedforward_in.state_dict())
        torchs.linear2.load_state_dict(cell.feedforward_out.state_dict())
    source, source_lengths, target, _ = batch()
    memory, _ = model.encoder(source, source_lengths)
    x = model.decoder.embed(torch.full((3, 1), model.bos_id))
    hidden = torch.arange(5) >= source_lengths[:, None]
    expected = cell.output_norm(torchs(x, memory, memory_key_padding_mask=hidden))
    expected = expected @ model.decoder.output_matrix.T + model.decoder.output_bias
    torch.testing.assert_close(model(source, source_lengths, target[:, :1]).logits, expected)


@every_variant
def test_teacher_forcing_reads_the_target_where_the_draw_says_so_and_its_own_words_elsewhere(
    variant: dict[str, Any],
) -> None:
    model = build(variant).eval()
    source, source_lengths, target, _ = batch()
    noise = model.noise(3, torch.Generator().manual_seed(5), source_steps=5, target_steps=6)
    logits, attention = model(source, source_lengths, target, teacher_forcing=0.5, noise=_silent(model, noise))
    forced = noise.forcing < 0.5
    assert forced[:, 1:].any() and not forced[:, 1:].all()
    state = model.begin(source, source_lengths)
    read = torch.full((3,), model.bos_id)
    for t in range(6):
        output, state = model.decoder.step(read, state)
        torch.testing.assert_close(output.logits, logits[:, t], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(output.attention, attention[:, t], rtol=1e-10, atol=1e-10)
        if t < 5:
            read = torch.where(forced[:, t + 1], target[:, t], output.logits.argmax(-1))


def _silent(model: Seq2Seq, noise: Any) -> Any:
    from dataclasses import replace

    return replace(noise, encoder=model.encoder.silence(), decoder=model.decoder.silence())


def test_a_sequence_can_be_forced_as_a_whole() -> None:
    model = build({}).eval()
    source, source_lengths, target, _ = batch()
    noise = model.noise(3, torch.Generator().manual_seed(5), source_steps=5, target_steps=6, forced_by="sequence")
    assert noise.forcing.shape == (3, 1)
    ratio = float(noise.forcing.sort(0).values[1])  # one row is below it
    mixed = model(source, source_lengths, target, teacher_forcing=ratio, noise=noise).logits
    forced = model(source, source_lengths, target).logits
    free = model(source, source_lengths, target, teacher_forcing=0.0).logits
    below = noise.forcing < ratio
    assert int(below.sum()) == 1
    torch.testing.assert_close(mixed, torch.where(below[..., None], forced, free), rtol=1e-10, atol=1e-10)


def test_several_processes_draw_what_one_does() -> None:
    from recurra.randomness import rows_dealt

    model = build({"num_layers": 2, **DROPOUTS}).train()
    source, source_lengths, target, target_lengths = batch(5)
    noise = model.noise(5, torch.Generator().manual_seed(1), source_steps=5, target_steps=6)
    nats = []
    for rank in range(2):
        own = torch.arange(rank, 5, 2)
        with rows_dealt(5, rank, 2):
            share = model.noise(len(own), torch.Generator().manual_seed(1), source_steps=5, target_steps=6)
        given = (source[own], source_lengths[own], target[own], target_lengths[own])
        nats.append(model.loss(*given, noise=share, teacher_forcing=0.5).nats)
    whole = model.loss(source, source_lengths, target, target_lengths, noise=noise, teacher_forcing=0.5).nats
    torch.testing.assert_close(nats[0] + nats[1], whole, rtol=1e-10, atol=1e-10)


def test_one_embedding_serves_source_target_and_output() -> None:
    model = build({"joint": True})
    decoder = model.decoder
    assert decoder.embedding is model.encoder.embedding and decoder.output_matrix is model.encoder.embedding.weight
    assert [name for name in model.state_dict() if "embedding" in name] == ["encoder.embedding.weight"]
    source, source_lengths, target, _ = batch()
    before = model.eval()(source, source_lengths, target).logits
    other = build({"joint": True}, seed=1).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(source, source_lengths, target).logits, before)


def test_the_bridge_takes_the_layers_at_its_height_and_the_summary_elsewhere() -> None:
    deep = build({"cell": "lstm", "num_layers": 3, "decoder_layers": 2})
    assert [(p.layer, p.name, p.source) for p in deep.bridge.parts] == [
        (0, "hidden", 1), (0, "cell", 1), (1, "hidden", 2), (1, "cell", 2),
    ]  # fmt: skip
    shallow = build({"cell": "gru", "num_layers": 1, "decoder_cell": "lstm", "decoder_layers": 2}).eval()
    assert [(p.layer, p.name, p.source) for p in shallow.bridge.parts] == [
        (0, "hidden", 0), (0, "cell", None), (1, "hidden", 0), (1, "cell", None),
    ]  # fmt: skip
    source, source_lengths, _, _ = batch()
    outputs, final = shallow.encoder(source, source_lengths)
    summary = torch.cat([final.layers[0].forward.hidden, final.layers[0].backward.hidden], -1)  # a GRU gives its state
    start = shallow.begin(source, source_lengths).layers
    torch.testing.assert_close(start.layers[1].cell, torch.tanh(shallow.bridge.maps[3](summary)))
    attends = build({"cell": "transformer", "decoder_cell": "gru"}).eval()
    outputs, _ = attends.encoder(source, source_lengths)
    mean = outputs.sum(1) / source_lengths[:, None]
    start = attends.begin(source, source_lengths).layers
    torch.testing.assert_close(start.layers[0].hidden, torch.tanh(attends.bridge.maps[0](mean)))
    assert build({"cell": "lstm", "decoder_cell": "transformer"}).bridge is None
    assert [p.name for p in build({"cell": "slstm"}).bridge.parts] == ["hidden"]


def test_directions_can_be_added_on_the_bridge() -> None:
    encoder = Encoder("lstm", SOURCES, 3, 4).double()
    decoder = Decoder("lstm", V, 3, 4, memory_size=8).double()
    model = Seq2Seq(encoder, decoder, directions="sum").double()
    assert model.bridge.maps[0].weight.shape == (4, 4)
    source, source_lengths, _, _ = batch()
    final = encoder(source, source_lengths)[1].layers[0]
    expected = torch.tanh(model.bridge.maps[1](final.forward.cell + final.backward.cell))
    torch.testing.assert_close(model.begin(source, source_lengths).layers.layers[0].cell, expected)


@every_variant
def test_no_rows_no_source_and_one_symbol_are_legal(variant: dict[str, Any]) -> None:
    model = build(variant).eval()
    source, source_lengths, target, _ = batch()
    logits, attention = model(source[:0], source_lengths[:0], target[:0])
    assert logits.shape == (0, 6, V) and attention.shape[:2] == (0, 6)
    assert model.loss(source[:0], source_lengths[:0], target[:0], source_lengths[:0]).nats == 0
    empty = model(source, torch.zeros(3, dtype=torch.int64), target)
    none = model(source[:, :0], None, target)
    torch.testing.assert_close(empty.logits, none.logits, rtol=1e-10, atol=1e-10)
    assert empty.logits.isfinite().all() and empty.attention.eq(0).all()
    assert model(source[:, :1], None, target[:, :1]).logits.shape == (3, 1, V)
    assert model(source, None, target[:, :0]).logits.shape == (3, 0, V)


def test_every_dropout_stands_at_its_place() -> None:
    model = build({"cell": "rnn", "embedding_dropout": 0.5, "output_dropout": 0.5}).train()
    source, _, target, _ = batch()
    noise = model.noise(3, torch.Generator().manual_seed(0), source_steps=5, target_steps=6)
    memory, _ = model.encoder.eval()(source, noise=noise.encoder)
    bare, _ = model.encoder.layers(model.encoder.embedding.weight[source] * noise.encoder.embedding)
    torch.testing.assert_close(memory, bare * noise.encoder.output)
    decoder, body = model.decoder, model.decoder.body
    read = torch.cat([torch.ones(3, 1, dtype=torch.int64), target[:, :-1]], 1)
    state = model.begin(source, noise=noise)
    outputs, _ = body.layers(decoder.embedding.weight[read] * noise.decoder.embedding, state.layers)
    context, _ = body.attention(outputs, state.memory)  # the query is not dropped
    attentional = torch.tanh(body.combine(torch.cat([context, outputs * noise.decoder.output], -1)))
    expected = decoder.score(attentional * noise.decoder.attentional)
    torch.testing.assert_close(model.train()(source, None, target, noise=noise).logits, expected)


def test_training_draws_noise_and_evaluation_does_not() -> None:
    model = build({"num_layers": 2, **DROPOUTS})
    source, source_lengths, target, _ = batch()
    assert not torch.equal(*(model(source, source_lengths, target).logits for _ in range(2)))
    state = model.begin(source, source_lengths)
    with pytest.raises(InputError, match=r"Decoder\.step: in training, dropouts need masks"):
        model.decoder.step(target[:, 0], state)
    with pytest.raises(InputError, match="Decoder: it is in training mode and its dropouts would act"):
        DecoderSteps(model.decoder)
    model.eval()
    assert torch.equal(*(model(source, source_lengths, target).logits for _ in range(2)))
    with pytest.raises(SettingsError, match=r"teacher_forcing: 1\.5 is not in \[0, 1\]"):
        model(source, source_lengths, target, teacher_forcing=1.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "dott"}, "attention: 'dott' is not known; did you mean 'dot'?"),
        ({"attention": "dot"}, "make them equal, or give 'general'"),
        ({"attention": "additive", "input_feeding": True}, "the layers read the context of each step already"),
        ({"attention": "none", "input_feeding": True}, "input_feeding: it feeds what attention made"),
        ({"attention": "none", "attention_size": 3}, "attention_size: it is an option of attention"),
        ({"attention": "general", "repeat_context": True}, "repeat_context: with attention 'general'"),
        ({"cell": "transformer", "input_feeding": True}, "input_feeding: the layers of a Transformer decoder"),
        ({"cell": "transformer", "attention": "none"}, "nothing is handed over"),
        ({"cell": "transformer", "dropout": 0.1}, "dropout: 0.1 acts between layers and there is one"),
        ({"dropout": 1.0, "num_layers": 2}, r"dropout: 1.0 is not in [0, 1)"),
        ({"bos_id": 7}, "bos_id: 7 is no token; the target has 0 to 6"),
        ({"eos_id": 1}, "eos_id: 1 is bos_id too"),
        ({"cell": "lstn"}, "cell: 'lstn' is not known; did you mean 'lstm'?"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        build(options)
    assert message in str(caught.value)


def test_halves_that_do_not_fit_are_refused() -> None:
    encoder = Encoder("gru", SOURCES, 3, 4)
    with pytest.raises(SettingsError, match="memory_size is 4, expected 8"):
        Seq2Seq(encoder, Decoder("gru", V, 3, 4, memory_size=4))
    with pytest.raises(SettingsError, match="embedding: it has 6 tokens of 3 features, expected 7 of 3"):
        Decoder("gru", V, 3, 4, memory_size=8, embedding=encoder.embedding)
    one_way = Encoder("gru", SOURCES, 3, 4, bidirectional=False)
    with pytest.raises(SettingsError, match="directions: 'sum' adds two directions"):
        Seq2Seq(one_way, Decoder("gru", V, 3, 4, memory_size=4), directions="sum")
    model = build({})
    source, source_lengths, target, _ = batch()
    with pytest.raises(ShapeError, match="3 sources and 2 targets"):
        model(source, source_lengths, target[:2])
    with pytest.raises(ShapeError, match="tokens lie between 9 and 9, expected 0 to 5"):
        model(torch.full((3, 5), 9), None, target)
    with pytest.raises(ShapeError, match=r"expected \[B, S, 6\] \(memory_size\)"):
        model.decoder.initial_state(Sequence(torch.zeros(2, 3, 5), torch.tensor([3, 3])))


def test_a_tiny_model_learns_to_reverse_strings_of_digits() -> None:
    from recurra.models import greedy_search

    torch.manual_seed(0)
    model = make_seq2seq("lstm", 13, 13, 32, 32, encoder_size=16)
    generator = torch.Generator().manual_seed(0)

    def draw_pairs(rows: int) -> tuple[Tensor, ...]:
        lengths = torch.randint(1, 6, (rows,), generator=generator)
        source = torch.randint(3, 13, (rows, 5), generator=generator)
        place = lengths[:, None] - 1 - torch.arange(6)
        reversed_ = torch.where(place >= 0, source.gather(1, place.clamp(min=0)), model.eos_id)
        return source, lengths, reversed_, lengths + 1

    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(300):
        for group in optimiser.param_groups:
            group["lr"] = 0.01 * (1 - step / 300)
        loss = model.loss(*draw_pairs(48))
        optimiser.zero_grad()
        (loss.nats / loss.targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    source, lengths, target, target_lengths = draw_pairs(200)
    found = greedy_search(model.eval().decoder, model.begin(source, lengths), bos_id=model.bos_id, eos_id=model.eos_id)
    wanted = [row[: length - 1].tolist() for row, length in zip(target, target_lengths.tolist(), strict=True)]
    assert [one.tokens.tolist() for one in found] == wanted


@pytest.mark.parametrize("variant", [*ORDERS, {"cell": "transformer"}], ids=lambda v: "-".join(map(str, v.values())))
def test_under_autocast_the_loss_is_that_of_float32_to_its_rounding(variant: dict[str, Any]) -> None:
    model = build(variant).float()
    source, source_lengths, target, target_lengths = batch()
    plain = model.loss(source, source_lengths, target, target_lengths).nats
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model.loss(source, source_lengths, target, target_lengths).nats
        stepwise = model.loss(source, source_lengths, target, target_lengths, teacher_forcing=0.0).nats
    assert rounded.dtype == torch.float32 and bool(stepwise.isfinite())
    assert float(rounded.detach()) == pytest.approx(float(plain.detach()), rel=0.02)  # bfloat16 has 8 bits


def test_a_first_state_of_another_decoder_is_refused() -> None:
    model, other = build({"cell": "transformer"}), build({})
    source, source_lengths, _, _ = batch()
    outputs, _ = model.encoder(source, source_lengths)
    start = other.begin(source, source_lengths).layers
    with pytest.raises(ShapeError, match=r"Decoder, start: state\.layers\.0 is LSTMState\(hidden, cell\), expected"):
        model.decoder.initial_state(Sequence(outputs, source_lengths), start)
    with pytest.raises(ShapeError, match=r"state\.layers\.0\.hidden has shape \[3, 4\], expected \[2, 4\]"):
        other.decoder.initial_state(Sequence(torch.zeros(2, 5, 6).double(), torch.tensor([5, 5])), start)


def test_a_row_of_a_state_can_be_taken_out_and_goes_on_as_before() -> None:
    model = build({"attention": "concat", "input_feeding": True}).eval()
    source, source_lengths, target, _ = batch()
    whole, _ = model.decoder.run(target, model.begin(source, source_lengths))
    _, state = model.decoder.run(target[:, :2], model.begin(source, source_lengths))
    kept = torch.tensor([2, 0])
    rest, _ = model.decoder.run(target[kept, 2:], select(state, kept))
    torch.testing.assert_close(rest.logits, whole.logits[kept, 2:], rtol=1e-10, atol=1e-10)
