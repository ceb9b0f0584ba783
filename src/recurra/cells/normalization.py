"""What the layer-normalised cells have in common."""

from __future__ import annotations

from torch import nn

from recurra.errors import ShapeError


def check_normalized(cell: nn.Module, hidden_size: int) -> None:
    """Refuse a vector of one unit: less its mean it is 0, whatever the unit says.

    Raises:
        ShapeError: naming the cell.
    """
    if hidden_size == 1:
        raise ShapeError(
            f"{type(cell).__name__}: hidden_size is 1, and one unit normalised is always 0; give 2 or more"
        )
