"""A Transformer layer over whole sequences, by torch's scaled_dot_product_attention.

A causal layer attends to a band: the last M steps of each step, the memory of the state among them. Queries go in
blocks, each beside the keys of its own steps and of the M − 1 before it, so that the cost grows with T · M and not with
T². Padding needs no mask there: it comes after every valid step. A sequence that begins here and is no longer than M
is plain causal attention, for which torch has its quickest kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.cells import Cell, TransformerCell, TransformerState
from recurra.sequence import valid_mask
from recurra.state import State

SHORTEST_BLOCK = 128  # queries a block at least: below, calls cost more than the arithmetic saved


def why_not(cell: Cell) -> str | None:
    """Why a cell is not run here; None where it is."""
    return None if isinstance(cell, TransformerCell) else f"{type(cell).__name__} has no attention"


def attend(
    cell: TransformerCell, x: Tensor, state: State, lengths: Tensor | None = None, *, plain: bool = False
) -> tuple[Tensor, State]:
    """Run a Transformer layer along time.

    Args:
        cell: causal or bidirectional.
        x: [B, T, input_size] with B, T ≥ 1; zero beyond the lengths.
        state: before the first step.
        lengths: [B] int64 on the CPU; None: all steps are valid.
        plain: for a bidirectional layer: the cell's own `whole` in place of torch's kernel.

    Returns:
        outputs [B, T, H], zero beyond the lengths, and the state after the last valid step of each row.
    """
    if not cell.bidirectional:
        u, attended, state = recall(cell, x, state, lengths)
        outputs = cell.write(u, attended)
    elif plain:
        outputs = cell.whole(x, _readable(x, lengths))
    else:
        outputs = _both_ways(cell, x, lengths)
    if lengths is not None:
        outputs = outputs.masked_fill(~valid_mask(lengths, x.shape[1], x.device)[..., None], 0.0)
    return outputs, state


def _both_ways(cell: TransformerCell, x: Tensor, lengths: Tensor | None) -> Tensor:
    u, query, key, value = cell.read(x)
    attended = F.scaled_dot_product_attention(
        cell.turned(query), cell.turned(key), cell.heads_of(value), attn_mask=_readable(x, lengths)
    )
    return cell.write(u, cell.join(attended))


def _readable(x: Tensor, lengths: Tensor | None) -> Tensor | None:
    """[B, 1, 1, T]: valid steps; in a row without any all of them, as a softmax over nothing is NaN."""
    if lengths is None:
        return None
    valid = valid_mask(torch.where(lengths > 0, lengths, x.shape[1]), x.shape[1], x.device)
    return valid[:, None, None]


def recall(
    cell: TransformerCell, x: Tensor, state: TransformerState, lengths: Tensor | None = None
) -> tuple[Tensor, Tensor, TransformerState]:
    """`cell.recall` along time: what a causal layer adds to, the attended values, both [B, T, H], and the memory."""
    window, steps = cell.window, x.shape[1]
    u, query, key, value = cell.read(x)
    memory = min(window - 1, int(state.steps.max()))  # steps of the memory that some query still reads
    queries = cell.turned(query, memory)
    keys = cell.turned(torch.cat([state.keys[:, window - memory :], key], 1) if memory else key)
    values = cell.heads_of(torch.cat([state.values[:, window - memory :], value], 1) if memory else value)
    attended = []
    block = max(window, SHORTEST_BLOCK)
    for start in range(0, steps, block):
        stop = min(start + block, steps)
        first, last = max(0, memory + start - window + 1), memory + stop  # of the keys that this block reads
        whole = memory == 0 and start == 0 and stop <= window
        mask = None if whole else _band(state.steps, window, memory, (memory + start, memory + stop), (first, last))
        attended.append(
            F.scaled_dot_product_attention(
                queries[:, :, start:stop],
                keys[:, :, first:last],
                values[:, :, first:last],
                attn_mask=mask,
                is_causal=whole,
            )
        )
    joined = cell.join(torch.cat(attended, 2) if len(attended) > 1 else attended[0])
    return u, joined, _remembered(state, key, value, window, lengths)


def _band(seen: Tensor, window: int, memory: int, queries: tuple[int, int], keys: tuple[int, int]) -> Tensor:
    """[T, S], or [B, 1, T, S] where rows have memories of their own: the keys, by place, that each query reads."""
    query = torch.arange(*queries, device=seen.device)[:, None]
    key = torch.arange(*keys, device=seen.device)
    band = (key <= query) & (key > query - window)
    if keys[0] >= memory:
        return band
    return band & (key >= memory - seen[:, None])[:, None, None]  # nothing before the episode began


def _remembered(
    state: TransformerState, key: Tensor, value: Tensor, window: int, lengths: Tensor | None
) -> TransformerState:
    """The memory after each row's last valid step."""
    rows, steps = key.shape[0], key.shape[1]
    if lengths is None:
        seen = (state.steps + steps).clamp(max=window)
        return TransformerState(_latest(state.keys, key), _latest(state.values, value), seen)
    device = key.device
    length = lengths.to(device)
    place = length[:, None] + torch.arange(window, device=device)  # the memory, and the steps behind it
    row = torch.arange(rows, device=device)[:, None]
    return TransformerState(
        torch.cat([state.keys, key], 1)[row, place],
        torch.cat([state.values, value], 1)[row, place],
        (state.steps + length).clamp(max=window),
    )


def _latest(old: Tensor, new: Tensor) -> Tensor:
    """The last M of the M old entries and the new ones behind them, in the old ones' dtype."""
    window, steps = old.shape[1], new.shape[1]
    return new[:, steps - window :].to(old.dtype) if steps >= window else torch.cat([old[:, steps:], new], 1)
