"""Dilated layers: the folded whole against steps through the chains, and against chains run by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from recurra import laws
from recurra.engines import selection
from recurra.errors import InputError, SettingsError
from recurra.nn import Recurrent, to_torch
from recurra.state import leaves, map_state


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "mingru"])
def test_a_dilated_layer_is_d_plain_layers_over_every_dth_step(cell: str) -> None:
    layer = Recurrent(cell, 3, 4, dilation=3, dtype=torch.float64)
    plain = Recurrent(cell, 3, 4, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())  # the names of the weights are those of a plain layer
    x = double(2, 11, 3)
    outputs, state = layer(x)
    for chain in range(3):
        alone, end = plain(x[:, chain::3])
        torch.testing.assert_close(outputs[:, chain::3], alone)
        place = (chain - 11) % 3  # in the order in which the chains go on
        for (_, ours), (_, theirs) in zip(leaves(state.layers[0].chains), leaves(end.layers[0]), strict=True):
            torch.testing.assert_close(ours[:, place], theirs)


def test_a_step_is_reached_from_every_dth_step_before_alone() -> None:
    layer = Recurrent("gru", 3, 4, dilation=4, dtype=torch.float64)
    x = double(1, 12, 3).requires_grad_()
    layer(x)[0][0, 9].sum().backward()
    assert (x.grad[0] != 0).any(-1).nonzero()[:, 0].tolist() == [1, 5, 9]


def test_three_layers_of_1_2_4_reach_a_dense_past() -> None:
    layer = Recurrent("gru", 3, 4, 3, dilation=(1, 2, 4), dtype=torch.float64)
    x = double(1, 12, 3).requires_grad_()
    layer(x)[0][0, 11].sum().backward()
    assert bool((x.grad[0] != 0).any(-1).all())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 7, 16])
@pytest.mark.parametrize("dilation", [2, 5, 20])
def test_a_reset_clears_every_chain(dilation: int, steps: int, bidirectional: bool) -> None:
    layer = Recurrent(
        "lstm", 3, 4, dilation=dilation, bidirectional=bidirectional, learned_state=True, dtype=torch.float64
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    state = map_state(torch.randn_like, layer.initial_state(4))
    x, lengths = double(4, steps, 3), torch.tensor([steps, max(0, steps - 1), steps // 2, 0])
    for at in {0, steps // 2, steps - 1}:
        resets = torch.zeros(4, steps, dtype=torch.bool)
        resets[:, at] = True
        assert laws.resets_equal_splitting(layer, x, lengths, resets, state) < 1e-10
        assert laws.padding_is_never_read(layer, x, lengths, state, resets) < 1e-10


def test_a_dilated_layer_runs_on_the_fused_kernel_and_equals_the_loop_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []

    def counted(cell: Any, x: Tensor, *rest: Any) -> Any:
        rows.append(x.shape[0])
        return whole(cell, x, *rest)

    whole = selection.fused
    monkeypatch.setattr(selection, "fused", counted)
    layer = Recurrent("lstm", 3, 4, dilation=4, dtype=torch.float64)
    x = double(2, 16, 3)
    outputs, _ = layer(x)
    assert rows == [8]
    session = layer.stream()
    torch.testing.assert_close(torch.stack([session.step(x[:, t]) for t in range(16)], 1), outputs)


def test_a_dilation_longer_than_the_sequence_keeps_the_chains_that_did_not_move() -> None:
    layer = Recurrent("gru", 3, 4, dilation=1000, dtype=torch.float64)
    begin = map_state(torch.randn_like, layer.initial_state(2))
    _, state = layer(double(2, 3, 3), begin)
    (before,), (after,) = leaves(begin), leaves(state)
    assert before[0] == "layers.0.chains.hidden" and before[1].shape == (2, 1000, 4)
    assert torch.equal(after[1][:, :997], before[1][:, 3:])


def test_one_dilation_is_that_of_every_layer_that_has_a_state() -> None:
    layer = Recurrent("lstm,feedforward,gru", 3, 4, dilation=2)
    assert [directions[0].dilation for directions in layer.stack()] == [2, 1, 2]
    assert [directions[0].dilation for directions in Recurrent("gru", 3, 4, 2, dilation=[1, 4]).stack()] == [1, 4]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dilation": 0}, "dilation: 0 is not in 1 to 65536"),
        ({"dilation": (1, 2)}, "there are 2 of them and 1 layer; give one for all"),
        ({"dilation": (1, 2), "num_layers": 3}, "there are 2 of them and 3 layers"),
        ({"dilation": ()}, "there are 0 of them"),
        ({"dilation": 2, "cell": "feedforward"}, "dilation: not for FeedforwardCell: it has no state"),
    ],
)
def test_a_dilation_that_cannot_be_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Recurrent(**{"cell": "gru", "input_size": 3, "hidden_size": 4, **options})


def test_torch_has_no_dilated_layers() -> None:
    with pytest.raises(InputError, match="dilation: torch's modules read the step before"):
        to_torch(Recurrent("lstm", 3, 4, dilation=2))
