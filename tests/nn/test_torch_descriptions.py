"""Torch's own descriptions of its recurrent modules, which ship with torch, run against the drop-ins.

The checks are those of torch's test_modules.py: forward against torch's reference function, factory arguments, repr,
pickle, save and load, non-contiguous inputs, first and second derivatives, state_dict with and without prefix, dtypes
and devices, training against evaluation, and the errors that torch describes.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing._internal.common_modules import ModuleErrorEnum, ModuleInfo, module_db
from torch.testing._internal.common_utils import freeze_rng_state
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

import recurra.nn
from tests.conftest import DEEP

NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
INFOS = {info.module_cls.__name__: info for info in module_db if info.module_cls.__name__ in NAMES}
DTYPES = (torch.float32, torch.float64)

each = pytest.mark.parametrize("name", NAMES)
modes = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])


def inputs(name: str, dtype: torch.dtype, training: bool, requires_grad: bool = False) -> list[Any]:
    """Torch's samples, with packed ones where torch has them."""
    info: ModuleInfo = INFOS[name]
    packed = {"with_packed_sequence": True} if name in ("RNN", "LSTM", "GRU") else {}
    found = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=training, **packed
    )
    return [one for one in found if one.forward_input is not None]


def samples(
    name: str, dtype: torch.dtype, training: bool, requires_grad: bool = False
) -> Iterator[tuple[nn.Module, nn.Module, Any]]:
    """Ours, torch's with the same weights, and the input, for each of torch's samples."""
    for one in inputs(name, dtype, training, requires_grad):
        given = one.constructor_input
        ours = getattr(recurra.nn, name)(*given.args, **given.kwargs).to(dtype).train(training)
        theirs = INFOS[name].module_cls(*given.args, **given.kwargs).to(dtype).train(training)
        theirs.load_state_dict(ours.state_dict())
        yield ours, theirs, one


def call(module: nn.Module, one: Any) -> Any:
    with freeze_rng_state():
        return module(*one.forward_input.args, **one.forward_input.kwargs)


def is_packed(one: Any) -> bool:
    return isinstance(one.forward_input.args[0], nn.utils.rnn.PackedSequence)


def close(one: Any, other: Any) -> None:
    flat, expected = tree_flatten(one)[0], tree_flatten(other)[0]
    torch.testing.assert_close(flat, expected)


@pytest.fixture(autouse=True)
def padded_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed samples take the padded pass, however small they are."""
    monkeypatch.setattr("recurra.nn.padded.pays", lambda *_: True)


def test_torch_still_describes_all_six_modules() -> None:
    assert sorted(INFOS) == sorted(NAMES)
    assert all(len(inputs(name, torch.float32, True)) >= 2 for name in NAMES)
    assert sum(is_packed(one) for name in ("RNN", "LSTM", "GRU") for one in inputs(name, torch.float32, True)) >= 30


@each
@modes
@pytest.mark.parametrize("dtype", DTYPES)
def test_forward_equals_torchs_reference_and_torchs_module(name: str, dtype: torch.dtype, training: bool) -> None:
    for ours, theirs, one in samples(name, dtype, training):
        outputs = call(ours, one)
        close(outputs, call(theirs, one))
        if one.reference_fn is not None and not is_packed(one):  # the reference is for inputs without a batch
            close(outputs, one.reference_fn(ours, *one.forward_input.args, **one.forward_input.kwargs))


@each
def test_factory_arguments_reach_every_parameter(name: str) -> None:
    for one in inputs(name, torch.float64, True):
        given = one.constructor_input
        for device, dtype in (("cpu", torch.float64), ("meta", torch.float32)):
            module = getattr(recurra.nn, name)(*given.args, **given.kwargs | {"device": device, "dtype": dtype})
            found = {(parameter.device.type, parameter.dtype) for parameter in module.parameters()}
            assert found == {(device, dtype)}


@each
def test_repr_and_str_are_torchs(name: str) -> None:
    for ours, theirs, _ in samples(name, torch.float32, True):
        assert repr(ours) == repr(theirs) and str(ours) == str(theirs)


@each
@modes
def test_what_is_pickled_saved_or_copied_answers_the_same(name: str, training: bool) -> None:
    for ours, _, one in samples(name, torch.float32, training):
        expected = call(ours, one)
        file = io.BytesIO()
        torch.save(ours, file)
        file.seek(0)
        for twin in (
            pickle.loads(pickle.dumps(ours)),  # noqa: S301
            torch.load(file, weights_only=False),
            copy.deepcopy(ours),
        ):
            assert type(twin) is type(ours) and twin.training == training
            close(call(twin, one), expected)


@each
@modes
def test_weights_go_to_torch_and_back_by_state_dict_also_under_a_prefix(name: str, training: bool) -> None:
    for ours, theirs, one in samples(name, torch.float32, training):
        assert list(ours.state_dict(prefix="a.")) == list(theirs.state_dict(prefix="a."))
        file = io.BytesIO()
        torch.save(theirs.state_dict(), file)
        file.seek(0)
        for parameter in ours.parameters():
            nn.init.zeros_(parameter)
        ours.load_state_dict(torch.load(file, weights_only=True))
        close(call(ours, one), call(theirs, one))


@each
@modes
def test_inputs_and_gradients_that_are_not_contiguous_give_the_same(name: str, training: bool) -> None:
    def spread(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dim() == 0 or not value.is_floating_point():
            return value
        return value.detach().repeat_interleave(2, dim=-1)[..., ::2].requires_grad_(value.requires_grad)

    def plain(value: Any) -> Any:
        return value.detach().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value

    for ours, _, one in samples(name, torch.float64, training, requires_grad=True):
        found = []
        for made in (plain, spread):
            args = tree_map(made, one.forward_input.args)
            with freeze_rng_state():
                outputs = [o for o in tree_flatten(ours(*args))[0] if isinstance(o, Tensor) and o.requires_grad]
            wanted = [a for a in tree_flatten(args)[0] if isinstance(a, Tensor) and a.requires_grad]
            wanted += list(ours.parameters())
            weights = [made(torch.arange(o.numel(), dtype=o.dtype).sin().view_as(o)) for o in outputs]
            found.append([*outputs, *torch.autograd.grad(outputs, wanted, weights)])
        close(found[1], found[0])


@each
@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck], ids=["first", "second"])
def test_derivatives_equal_finite_differences(name: str, check: Any) -> None:
    chosen: dict[Any, Any] = {}
    for ours, _, one in samples(name, torch.float64, True, requires_grad=True):
        options = repr(ours) if DEEP or check is torch.autograd.gradcheck else getattr(ours, "bidirectional", False)
        chosen[is_packed(one), len(one.forward_input.args), options] = (ours, one)
    for ours, one in chosen.values():
        flat, spec = tree_flatten(one.forward_input.args)
        places = [n for n, value in enumerate(flat) if isinstance(value, Tensor) and value.requires_grad]

        def run(*values: Tensor, flat: Any = flat, spec: Any = spec, places: Any = places, ours: Any = ours) -> Any:
            filled = list(flat)
            for place, value in zip(places, values, strict=False):
                filled[place] = value
            with freeze_rng_state():
                outputs = tree_flatten(ours(*tree_unflatten(filled, spec)))[0]
            return tuple(o for o in outputs if isinstance(o, Tensor) and o.requires_grad)

        assert check(run, ([flat[place] for place in places] + list(ours.parameters())), fast_mode=True)


@each
def test_dtypes_and_devices_change_as_torchs_do(name: str) -> None:
    for ours, _, one in samples(name, torch.float32, True):
        assert ours.to("cpu") is ours and ours.double() is ours
        assert {parameter.dtype for parameter in ours.parameters()} == {torch.float64}
        close(call(ours.float(), one), call(copy.deepcopy(ours), one))
        assert {parameter.device.type for parameter in ours.to("meta").parameters()} == {"meta"}
        assert {parameter.device.type for parameter in ours.to_empty(device="cpu").parameters()} == {"cpu"}


@each
def test_training_and_evaluation_are_the_same_without_dropout(name: str) -> None:
    for ours, _, one in samples(name, torch.float32, True):
        close(call(ours.eval(), one), call(ours.train(), one))


@each
def test_the_errors_that_torch_describes_are_raised_in_its_words(name: str) -> None:
    info = INFOS[name]
    assert info.module_error_inputs_func is not None
    found = info.module_error_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=False, training=True)
    for one in found:
        given = one.module_error_input.constructor_input
        if one.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(one.error_type, match=one.error_regex):
                getattr(recurra.nn, name)(*given.args, **given.kwargs)
            continue
        module = getattr(recurra.nn, name)(*given.args, **given.kwargs)
        with pytest.raises(one.error_type, match=one.error_regex):
            call(module, one.module_error_input)
