"""The language model: the laws of recurrence over tokens, its dropouts, tied weights, and its loss block by block."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra import laws
from recurra.cells import CELLS
from recurra.errors import InputError, SettingsError, ShapeError
from recurra.models import LanguageModel, LanguageModelSteps
from recurra.state import detach

V = 7
DROPOUTS = {"token_dropout": 0.3, "embedding_dropout": 0.3, "output_dropout": 0.4}
VARIANTS: list[dict[str, Any]] = [
    *({"cell": cell} for cell in CELLS),
    {"cell": "lstm", "num_layers": 2, "dropout": 0.3, "weight_dropout": 0.4, **DROPOUTS},
    {"cell": "gru", "num_layers": 3, "dropout": 0.3, "residual": True, "tied": False, **DROPOUTS},
    {"cell": "lstm", "hidden_size": 3, "zoneout": 0.2, "recurrent_dropout": 0.2, "learned_state": True},
    {"cell": "rnn", "output_dropout": 0.5},
]
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))


def build(variant: dict[str, Any], dtype: torch.dtype = torch.float64, seed: int = 0) -> LanguageModel:
    options = {"hidden_size": 4, **variant}
    torch.manual_seed(seed)
    model = LanguageModel(options.pop("cell"), V, 3, **options).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


class OverTokens(nn.Module):
    """A language model as the laws want a layer: x [B, T, 1] of any numbers, each read as a token; NaN is no token.

    Logits beyond the lengths are made zero, as a layer's outputs are.
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, state: Any = None, **options: Any) -> Any:
        tokens = (x[..., 0].detach() * 10).to(torch.int64)
        tokens = torch.where(x[..., 0].isnan(), tokens, tokens.remainder(V))
        logits, state = self.model(tokens, state, **options)
        if options.get("lengths") is not None:
            inside = torch.arange(x.shape[1]) < options["lengths"][:, None]
            inside = inside.flip(1) if options.get("padding") == "left" else inside
            logits = torch.where(inside[..., None], logits, 0.0)
        return logits, state

    def step(self, x: Tensor, state: Any = None, **options: Any) -> Any:
        return self.model.step((x[..., 0].detach() * 10).to(torch.int64).remainder(V), state, **options)

    def initial_state(self, batch_size: int) -> Any:
        return self.model.initial_state(batch_size)

    def check_streamable(self) -> None:
        self.model.check_streamable()


@every_variant
def test_the_laws_of_recurrence_hold_in_training_for_equal_noise(variant: dict[str, Any]) -> None:
    model = build(variant)
    layer = OverTokens(model)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 6, 1, generator=generator, dtype=torch.float64)
    lengths = torch.tensor([4, 0, 6])
    noise = model.noise(3, generator, steps=6)
    _, state = model.eval()(torch.randint(V, (3, 2), generator=generator))
    model.train()
    assert laws.within(laws.steps_equal_whole(layer, x, state, noise), x.dtype)
    assert laws.within(laws.chunks_equal_whole(layer, x, [0, 2, 5], state, noise), x.dtype)
    assert laws.within(laws.padding_is_never_read(layer, x, lengths, state, None, noise), x.dtype)
    assert laws.within(laws.a_batch_row_equals_the_row_alone(layer, x, lengths, state, noise), x.dtype)
    assert laws.within(laws.left_padding_equals_right(layer, x, lengths, state, None, noise), x.dtype)
    assert laws.within(laws.later_inputs_change_no_earlier_output(layer, x, 3, noise), x.dtype)
    assert laws.within(laws.nothing_is_written(layer, x, state, noise), x.dtype)


@every_variant
def test_resets_equal_splitting(variant: dict[str, Any]) -> None:
    model = build(variant).eval()
    x = torch.randn(3, 6, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    resets = torch.tensor([[0, 0, 1, 0, 1, 0], [1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]).bool()
    lengths = torch.tensor([6, 4, 5])
    whole, _ = model(tokens_of(x), lengths=lengths, resets=resets)
    for row, cuts in enumerate([[0, 2, 4, 6], [0, 4], [0, 5]]):
        alone = torch.cat([model(tokens_of(x)[row : row + 1, a:b])[0] for a, b in pairwise(cuts)], 1)
        torch.testing.assert_close(whole[row : row + 1, : lengths[row]], alone, rtol=1e-10, atol=1e-10)


@every_variant
def test_the_quick_steps_give_the_logits_of_the_whole(variant: dict[str, Any]) -> None:
    model = build(variant).eval()
    tokens = torch.randint(V, (2, 5), generator=torch.Generator().manual_seed(3))
    whole, last = model(tokens)
    steps = LanguageModelSteps(model)
    state, found = steps.initial_state(2), []
    for t in range(5):
        logits, state = steps.step(tokens[:, t], state)
        found.append(logits)
    torch.testing.assert_close(torch.stack(found, 1), whole, rtol=1e-10, atol=1e-10)
    logits, end = steps.run(tokens, steps.initial_state(2))
    torch.testing.assert_close(logits, whole[:, -1], rtol=1e-10, atol=1e-10)
    assert laws.within(max(laws.difference(state, detach(last)), laws.difference(end, detach(last))), torch.float64)


def test_tied_weights_are_one_matrix_and_a_map_stands_between_unequal_sizes() -> None:
    model = LanguageModel("lstm", V, 3, 4)
    assert model.output_matrix is model.embedding.weight and model.decoder_weight is None
    assert model.projection is not None and model.projection.weight.shape == (3, 4)
    assert sum(p.numel() for p in model.parameters()) == V * 3 + V + 3 * 4 + 4 * 4 * (3 + 4 + 2)
    assert LanguageModel("lstm", V, 4, 4).projection is None
    untied = LanguageModel("lstm", V, 3, 4, tied=False)
    assert untied.projection is None and untied.decoder_weight.shape == (V, 4)


def test_logits_are_those_of_an_lstm_of_torch_between_the_matrices() -> None:
    model = build({"cell": "lstm", "hidden_size": 3})
    layer = nn.LSTM(3, 3, batch_first=True, dtype=torch.float64)
    layer.load_state_dict({f"{name}_l0": w for name, w in model.encoder.stack()[0][0].cell.state_dict().items()})
    tokens = torch.randint(V, (2, 5))
    matrix = model.embedding.weight
    expected = layer(matrix[tokens])[0] @ matrix.T + model.decoder_bias
    torch.testing.assert_close(model.eval()(tokens)[0], expected)


def test_every_dropout_stands_at_its_place() -> None:
    model = build({"cell": "rnn", "hidden_size": 3, "token_dropout": 0.5, "embedding_dropout": 0.5})
    model.output_dropout = 0.5
    noise = model.noise(2, torch.Generator().manual_seed(0))
    tokens = torch.randint(V, (2, 4))
    assert noise.token is not None and noise.embedding is not None and noise.output is not None
    x = (model.embedding.weight * noise.token)[tokens] * noise.embedding  # whole words, then features of a row
    outputs = model.encoder(x)[0] * noise.output
    expected = outputs @ model.embedding.weight.T + model.decoder_bias  # the decoder reads the matrix undropped
    torch.testing.assert_close(model(tokens, noise=noise)[0], expected)


def test_masks_keep_the_expectation_and_come_from_the_generator() -> None:
    model = LanguageModel("lstm", 5000, 300, 200, num_layers=2, weight_dropout=0.4, dropout=0.25, **DROPOUTS)
    noise = model.noise(100, torch.Generator().manual_seed(0))
    masks = [noise.token, noise.embedding, noise.output, noise.encoder.layers[1].input]
    masks += [layer.directions[0].weight for layer in noise.encoder.layers]
    for mask, rate in zip(masks, (0.3, 0.3, 0.4, 0.25, 0.4, 0.4), strict=True):
        assert mask is not None
        assert sorted(mask.unique().tolist()) == pytest.approx([0.0, 1 / (1 - rate)])
        assert float(mask.mean()) == pytest.approx(1.0, abs=0.04)
    again = model.noise(100, torch.Generator().manual_seed(0))
    assert again.output is not None and noise.output is not None and torch.equal(again.output, noise.output)


def test_training_draws_noise_and_evaluation_does_not() -> None:
    model = build({"cell": "lstm", **DROPOUTS})
    tokens = torch.randint(V, (2, 4))
    assert not torch.equal(model(tokens)[0], model(tokens)[0])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])


@every_variant
@pytest.mark.parametrize("block_bytes", [1, 3 * V * 8, 2**25])
def test_the_loss_in_blocks_equals_plain_cross_entropy_in_value_and_gradients(
    variant: dict[str, Any], block_bytes: int
) -> None:
    model = build(variant)
    tokens, targets = torch.randint(V, (2, 3, 5), generator=torch.Generator().manual_seed(4))
    targets[0, 1] = -100
    lengths = torch.tensor([5, 3])
    noise = model.noise(2, torch.Generator().manual_seed(5), steps=5)
    tokens, targets = tokens[:2], targets[:2]
    found = model.loss(tokens, targets, lengths=lengths, noise=noise, label_smoothing=0.1, block_bytes=block_bytes)
    logits, state = model(tokens, lengths=lengths, noise=noise)
    counted = torch.where(torch.arange(5) < lengths[:, None], targets, -100)
    plain = F.cross_entropy(logits.flatten(0, 1), counted.flatten(), reduction="sum", label_smoothing=0.1)
    torch.testing.assert_close(found.nats, plain, rtol=1e-10, atol=1e-10)
    assert int(found.targets) == int((counted != -100).sum()) == 7
    assert laws.difference(found.state, state) == 0
    parameters = list(model.parameters())
    ours = torch.autograd.grad(3 * found.nats, parameters, allow_unused=True)
    theirs = torch.autograd.grad(3 * plain, parameters, allow_unused=True)
    assert laws.within(laws.difference(list(ours), list(theirs)), torch.float64)


def test_the_loss_never_holds_more_than_a_block_of_logits() -> None:
    model = LanguageModel("lstm", 50_000, 4, 4)
    tokens = torch.randint(50_000, (4, 16))
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            found = function(*args, **(kwargs or {}))
            if isinstance(found, Tensor):
                largest = max(largest, found.numel())
            return found

    with Watch():
        model.loss(tokens, tokens, block_bytes=8 * 50_000 * 4).nats.backward()
    assert largest == 8 * 50_000


def test_penalties_are_sums_over_steps_of_the_means_of_squares() -> None:
    model = build({"cell": "lstm", "output_dropout": 0.5})
    tokens = torch.randint(V, (2, 5))
    lengths = torch.tensor([5, 3])
    resets = torch.zeros(2, 5, dtype=torch.bool)
    resets[0, 2] = True
    noise = model.noise(2, torch.Generator().manual_seed(0))
    found = model.loss(
        tokens, tokens, lengths=lengths, resets=resets, noise=noise, activation_penalty=2.0, slowness_penalty=3.0
    )
    outputs, _ = model.encoder(model.embedding(tokens), lengths=lengths, resets=resets)
    assert noise.output is not None
    dropped = outputs * noise.output
    activation = sum((dropped[row, t] ** 2).mean() for row in range(2) for t in range(int(lengths[row])))
    pairs = [(0, 1), (0, 3), (0, 4), (1, 1), (1, 2)]  # row 0 begins anew at step 2
    slowness = sum(((outputs[row, t] - outputs[row, t - 1]) ** 2).mean() for row, t in pairs)
    torch.testing.assert_close(found.penalty, 2 * activation + 3 * slowness)
    assert float(model.loss(tokens, tokens).penalty.detach()) == 0


def test_windows_with_the_state_carried_add_up_to_the_whole() -> None:
    model = build({"cell": "gru"}).eval()
    tokens, targets = torch.randint(V, (2, 3, 9))
    whole = model.loss(tokens, targets)
    first = model.loss(tokens[:, :4], targets[:, :4])
    second = model.loss(tokens[:, 4:], targets[:, 4:], detach(first.state))
    torch.testing.assert_close(first.nats + second.nats, whole.nats)
    assert int(first.targets + second.targets) == int(whole.targets) == 27


def test_it_learns_what_follows_what() -> None:
    torch.manual_seed(0)
    model = LanguageModel("lstm", 4, 8, 16)
    optimiser = torch.optim.Adam(model.parameters(), 0.05)
    circle = torch.arange(24).remainder(4)[None]
    for _ in range(30):
        optimiser.zero_grad()
        model.loss(circle[:, :-1], circle[:, 1:]).nats.backward()
        optimiser.step()
    assert model(circle)[0][0].argmax(-1).tolist() == (circle[0] + 1).remainder(4).tolist()


def test_it_runs_on_the_meta_device() -> None:
    model = LanguageModel("lstm", V, 3, 4, num_layers=2, dropout=0.1, **DROPOUTS).to("meta")
    tokens = torch.zeros(2, 5, dtype=torch.int64, device="meta")
    logits, state = model(tokens)
    assert logits.shape == (2, 5, V) and state.encoder.layers[1].hidden.shape == (2, 4)


def test_no_steps_and_no_rows_are_legal() -> None:
    model = build({"cell": "lstm"})
    assert model(torch.zeros(2, 0, dtype=torch.int64))[0].shape == (2, 0, V)
    assert model(torch.zeros(0, 3, dtype=torch.int64))[0].shape == (0, 3, V)
    empty = model.loss(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0, dtype=torch.int64), slowness_penalty=1.0)
    assert float(empty.nats.detach()) == 0 and int(empty.targets) == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: m(torch.zeros(2, 3)), ShapeError, r"tokens are torch.float32 of shape \[2, 3\], expected int64"),
        (lambda m: m(torch.tensor([[1, V]])), ShapeError, "tokens lie between 1 and 7, expected 0 to 6"),
        (lambda m: m(torch.tensor([[-1]])), ShapeError, "another vocabulary"),
        (lambda m: m.step(torch.zeros(2, 1, dtype=torch.int64)), ShapeError, r"expected int64 \[B\]"),
        (lambda m: m.loss(torch.zeros(1, 3).long(), torch.zeros(1, 2).long()), ShapeError, r"targets are .* \[1, 2\]"),
        (lambda m: m.step(torch.zeros(2).long()), InputError, "dropouts need masks"),
        (lambda m: LanguageModelSteps(m), InputError, r"call eval\(\) first"),
        (lambda m: LanguageModel("lstm", 0, 3, 4), SettingsError, "vocabulary_size: 0 is below 1"),
        (lambda m: LanguageModel("lstm", 5, 3, 4, output_dropout=1.0), SettingsError, "output_dropout: 1.0"),
        (lambda m: LanguageModel("lstm", 5, 3, 4, dropout=0.1), SettingsError, "dropout: 0.1 acts between layers"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(build({"cell": "lstm", "output_dropout": 0.1}))


def tokens_of(x: Tensor) -> Tensor:
    return (x[..., 0] * 10).to(torch.int64).remainder(V)
