"""From gradients to new weights: parameter groups, clipping, the optimiser and its tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from recurra.settings.groups import TrainingSettings

SPARED = ("bias", "norm", "initial")
MOMENTUM = 0.9
STATE_KEYS = ("step", "exp_avg", "exp_avg_sq", "momentum_buffer")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters in two groups: decayed, and spared.

    Spared are vectors and scalars, and whatever has "bias", "norm" or "initial" (learned states) in its name: decay
    would pull a scale or an offset to zero, where it has no reason to be.
    """
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_spared = parameter.ndim < 2 or any(word in name.lower() for word in SPARED)
            (spared if is_spared else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def make_optimiser(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov momentum, over the model's parameter groups."""
    groups = parameter_groups(model, settings.weight_decay)
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for g in groups for p in g["params"])
    if settings.optimizer == "sgd":
        made = torch.optim.SGD(groups, lr=settings.lr, momentum=MOMENTUM, nesterov=True, fused=fused)
        for parameter in (p for group in groups for p in group["params"]):
            # a first step from zero is the same; the fused kernel fails where some parameters have had it and some not
            made.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return made
    return torch.optim.AdamW(groups, lr=settings.lr, fused=fused)


def gradient_norm(gradients: list[Tensor]) -> Tensor:
    """The Euclidean norm of all gradients as one vector, a scalar tensor."""
    return torch.nn.utils.get_total_norm(gradients)


def clip_factor(norm: float, clip_norm: float) -> float:
    """What scales a gradient of this norm down to `clip_norm`; 1 where it is no longer, or where there is no bound."""
    return clip_norm / norm if 0 < clip_norm < norm else 1.0


def scale(gradients: list[Tensor], factor: float) -> None:
    """Multiply the gradients in place."""
    if gradients and factor != 1.0:
        torch._foreach_mul_(gradients, factor)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors, named `PARAMETER/KEY`."""
    return {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(model: nn.Module, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give the optimiser the tensors of `optimiser_tensors`.

    Raises:
        ValueError: a tensor that is no part of this optimiser, or of another shape than its parameter.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    trained = [names[parameter] for group in optimiser.param_groups for parameter in group["params"]]
    position = {name: index for index, name in enumerate(trained)}
    shapes = {name: parameter.shape for parameter, name in names.items()}
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        name, _, key = path.rpartition("/")
        if name not in position or key not in STATE_KEYS:
            raise ValueError(f"optimiser tensor {path!r} has no place in this model")
        if tensor.shape != (torch.Size([]) if key == "step" else shapes[name]):
            raise ValueError(f"optimiser tensor {path!r} has the shape {list(tensor.shape)}")
        state.setdefault(position[name], {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def gradients_of(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The gradients that there are."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
