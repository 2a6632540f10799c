"""Rotary positions on three axes, of which text sees one.

One ladder of frequencies over a head, each owned by one axis in turn (order, y, x, y, x): text at (n, n, n)
is turned exactly as by one-dimensional RoPE (arXiv 2104.09864), so that a language model's weights keep their
meaning. Nothing is looked up in a table, so no grid is too large.
"""

import torch
from torch import Tensor

_AXES = (0, 1, 2, 1, 2)


def angles(position: Tensor, head: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines, float32 (..., head / 2), of positions (..., 3)."""
    rung = torch.arange(head // 2, device=position.device)
    frequency = theta ** (-2.0 * rung.float() / head)
    turned = position.float()[..., torch.tensor(_AXES, device=position.device)[rung % 5]] * frequency
    return turned.cos(), turned.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn heads (..., heads, head): value i with value i + head / 2, as Llama's weights have it."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = cos[..., None, :], sin[..., None, :]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x.dtype)
