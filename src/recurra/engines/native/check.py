"""What stands before every call of the library: C++ believes what it is told, so nothing wrong may reach it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from recurra.engines.native.library import SUFFIXES
from recurra.errors import ShapeError


def check_tensors(where: str, dtype: torch.dtype, expected: Mapping[str, tuple[Tensor, tuple[int, ...]]]) -> None:
    """Refuse tensors that the library cannot read as they are.

    Args:
        where: the call, for messages.
        dtype: that all must have, of SUFFIXES.
        expected: name → tensor and the shape it must have.

    Raises:
        ShapeError: one has another shape, dtype, device or layout.
    """
    if dtype not in SUFFIXES:
        raise ShapeError(f"{where}: the weights are {dtype}, expected torch.float32 or torch.float64")
    _check(where, dtype, expected)


def computed_in(weight: Tensor) -> torch.dtype:
    """The dtype that a chain computes in with a matrix of weights: float32 with bfloat16, else its own."""
    return torch.float32 if weight.dtype == torch.bfloat16 else weight.dtype


def check_matrices(where: str, dtype: torch.dtype, expected: Mapping[str, tuple[Tensor, tuple[int, ...]]]) -> bool:
    """The same for matrices of weights, which may all be bfloat16 where dtype is float32; whether they are."""
    halved = dtype == torch.float32 and any(tensor.dtype == torch.bfloat16 for tensor, _ in expected.values())
    _check(where, torch.bfloat16 if halved else dtype, expected)
    return halved


def _check(where: str, dtype: torch.dtype, expected: Mapping[str, tuple[Tensor, tuple[int, ...]]]) -> None:
    for name, (tensor, shape) in expected.items():
        if not isinstance(tensor, Tensor):
            raise ShapeError(f"{where}: {name} is a {type(tensor).__name__}, expected a tensor {list(shape)}")
        if tensor.shape != shape:
            raise ShapeError(f"{where}: {name} has shape {list(tensor.shape)}, expected {list(shape)}")
        if tensor.dtype != dtype or not tensor.is_cpu or tensor.layout is not torch.strided:
            raise ShapeError(
                f"{where}: {name} is {tensor.dtype} on {tensor.device}, expected a dense tensor, {dtype} on cpu, "
                "as the weights"
            )
        if not tensor.is_contiguous() or tensor.is_neg():
            raise ShapeError(f"{where}: {name} has gaps (strides {list(tensor.stride())}); give {name}.contiguous()")
        if tensor.data_ptr() % dtype.itemsize:
            raise ShapeError(f"{where}: {name} begins between two numbers of memory; give {name}.clone()")


def check_lengths(where: str, lengths: Tensor, rows: int, steps: int) -> None:
    """Refuse lengths that are not [rows] whole numbers on the CPU from 0 to steps.

    Raises:
        ShapeError
    """
    if lengths.shape != (rows,) or lengths.dtype != torch.int64 or not lengths.is_cpu:
        raise ShapeError(
            f"{where}: lengths are {lengths.dtype} {list(lengths.shape)} on {lengths.device}, "
            f"expected torch.int64 [{rows}] on cpu"
        )
    if rows and (int(lengths.min()) < 0 or int(lengths.max()) > steps):
        raise ShapeError(
            f"{where}: lengths go from {int(lengths.min())} to {int(lengths.max())}, expected 0 to {steps}, "
            "the steps of x"
        )
