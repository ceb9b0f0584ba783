"""A `Classifier` over numbers as one plan of the native kernels: scale, layers, pooling and head in one call."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.engines.native import Layer, Readout, Summary, why_no_plan
from recurra.models.classifier import Classifier
from recurra.models.sequence_model import SequenceModel
from recurra.nn.frontends import VectorInput
from recurra.nn.pooling import AttentionPooling, JoinedPooling, LastPooling, MaxPooling, MeanPooling, Pooling
from recurra.nn.recurrent_steps import RecurrentSteps

SUMMARIES: dict[type[Pooling], str] = {LastPooling: "last", MeanPooling: "mean", MaxPooling: "max"}

Numbers = NDArray[np.float64]


def quick_parts(model: Classifier, mean: Numbers, std: Numbers) -> tuple[list[Layer], Readout] | None:
    """What a plan of the model is made of, weights as they are now; None where the native kernels cannot run it.

    Args:
        mean, std: [D], of the raw inputs.
    """
    body = model.body
    layers = RecurrentSteps(body.encoder).native()
    summaries = summaries_of(body.pooling)
    head = _linear(body.head)
    plain = type(model.frontend) is VectorInput and type(body) is SequenceModel
    if layers is None or summaries is None or head is None or not plain or why_no_plan(layers) is not None:
        return None
    readout = Readout(summaries, body.pool_inputs, *head, mean, std)
    like = layers[0].weight_hh
    if any(one.dtype != like.dtype or not one.is_cpu or one.is_inference() for one in readout.weights):
        return None
    return layers, readout


def summaries_of(pooling: Pooling) -> tuple[Summary, ...] | None:
    """The poolings side by side; None where one is of another kind."""
    parts = list(pooling.parts) if type(pooling) is JoinedPooling else [pooling]
    found = []
    for part in parts:
        if type(part) is AttentionPooling:
            hidden, query = _linear(part.hidden), part.query._parameters.get("weight")
            if hidden is None or query is None:
                return None
            found.append(Summary("attention", *hidden, query))
        elif type(part) in SUMMARIES and not getattr(part, "bidirectional", False):
            found.append(Summary(SUMMARIES[cast(type[Pooling], type(part))]))
        else:
            return None
    return tuple(found)


def _linear(module: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Weight and bias of exactly a linear layer whose weights are parameters."""
    weight, bias = module._parameters.get("weight"), module._parameters.get("bias")
    return None if type(module) is not nn.Linear or weight is None or bias is None else (weight, bias)
