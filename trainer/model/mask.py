"""Which token sees which: one rule, for text, conditions and images to be made.

Token i sees token j if both are of one document, and either of one segment, where text and codes see only
what is not after them, or j's segment stands before i's and is not noisy (BAGEL, arXiv 2505.14683, section
2.3). Padding sees itself alone.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from thresher.encoders.batch import Batch
from thresher.loader.plan.pattern import CAUSAL, Kind
from thresher.schemas import UsageError

_BLOCK = 128
_DENSE = 4096
"""Longest row whose pairs are written out: 16 MB of them."""


_TEXT, _VQ = map(int, CAUSAL)
_NOISY = int(Kind.NOISY)
"""Plain numbers, for the compiler."""


def _rule(doc: Tensor, seg: Tensor, kind: Tensor, b: Any, i: Any, j: Any) -> Tensor:
    full = (kind[b, i] != _TEXT) & (kind[b, i] != _VQ)
    within = (seg[b, i] == seg[b, j]) & (full | (j <= i))
    earlier = (seg[b, j] < seg[b, i]) & (kind[b, j] != _NOISY)
    return ((doc[b, i] == doc[b, j]) & (doc[b, i] >= 0) & (within | earlier)) | (i == j)


def dense(doc: Tensor, seg: Tensor, kind: Tensor) -> Tensor:
    """Bool (B, 1, L, L): may the query of the third axis see the key of the last?"""
    rows, length = doc.shape
    if length > _DENSE:
        raise UsageError(
            f"a row of {length} tokens is too long for attention without a GPU",
            mend=f"Take rows of at most {_DENSE} tokens, or on a GPU a multiple of {_BLOCK}",
        )
    place = torch.arange(length, device=doc.device)
    row = torch.arange(rows, device=doc.device)[:, None, None]
    return _rule(doc, seg, kind, row, place[:, None], place)[:, None]


def blocks(doc: Tensor, seg: Tensor, kind: Tensor) -> BlockMask:
    """The same as blocks that FlexAttention skips or computes; on CUDA."""
    rows, length = doc.shape

    def visible(b: Tensor, _: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return _rule(doc, seg, kind, b, i, j)

    return create_block_mask(visible, rows, None, length, length, device=doc.device, BLOCK_SIZE=_BLOCK)


def mask(batch: Batch) -> Tensor | BlockMask:
    """Once a batch, for all blocks of a model."""
    fits = batch.doc.is_cuda and batch.doc.shape[1] % _BLOCK == 0
    return (blocks if fits else dense)(batch.doc, batch.seg, batch.kind)


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | BlockMask) -> Tensor:
    """Attention of heads (B, heads, L, head) under a mask; keys may have fewer heads."""
    if isinstance(seen, Tensor):
        return F.scaled_dot_product_attention(q, k, v, seen, enable_gqa=True)
    return _flex()(q, k, v, block_mask=seen, enable_gqa=True)


@cache
def _flex() -> Any:
    return torch.compile(flex_attention)
