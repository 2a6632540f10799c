"""One rule says which token sees which."""

import random

import numpy as np
import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention

from tests.trainer.rows import image, noise_image, row, text
from thresher.loader.plan.pattern import CAUSAL, Kind
from thresher.schemas import UsageError
from thresher.trainer.model.mask import attend, blocks, dense


def sentence(doc, seg, kind, i, j):
    """The specification's sentence, word for word."""
    if doc[i] < 0:
        return i == j
    full = kind[i] not in CAUSAL
    if doc[i] != doc[j]:
        return False
    return (seg[i] == seg[j] and (full or j <= i)) or (seg[j] < seg[i] and kind[j] != Kind.NOISY)


def segments(rng, length):
    """Documents of random segments, padding behind: doc, seg and kind of each token."""
    doc, seg, kind, d = [], [], [], 0
    for s in range(100):
        n = rng.randint(1, 6)
        if len(doc) + n > length - rng.randint(0, 8):
            break
        d += rng.random() < 0.3
        doc, seg, kind = doc + [d] * n, seg + [s] * n, kind + [rng.choice(list(Kind))] * n
    rest = [-1] * (length - len(doc))
    return [torch.tensor([told + rest]) for told in (doc, seg, kind)]


@pytest.mark.acceptance("T11")
def test_the_mask_is_the_sentence():
    rng = random.Random(0)
    for _ in range(1_000):
        told = segments(rng, 24)
        flat = [t[0].tolist() for t in told]
        expected = [[sentence(*flat, i, j) for j in range(24)] for i in range(24)]
        assert dense(*told)[0, 0].tolist() == expected


@pytest.mark.acceptance("T11")
def test_padding_and_other_documents_affect_nothing():
    torch.manual_seed(0)
    part = [text(3, 4, 5), image(Kind.NOISY, noise_image(0)), text(6, 7)]
    alone, packed = row(9, part), row(32, part, [text(8, 9), image(Kind.CLEAN, noise_image(1))])

    def seen(made):
        return dense(*(torch.from_numpy(getattr(made, n))[None] for n in ("doc", "seg", "kind")))

    q, k, v = torch.randn(3, 1, 2, 32, 16).unbind()
    short = attend(q[..., :9, :], k[..., :9, :], v[..., :9, :], seen(alone))
    v[..., 9:, :] = 1e9
    torch.testing.assert_close(attend(q, k, v, seen(packed))[..., :9, :], short)


def test_blocks_say_what_the_dense_mask_says():
    told = segments(random.Random(1), 300)
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, n, 300, 16) for n in (4, 2, 2))
    seen = flex_attention(q, k, v, block_mask=blocks(*told), enable_gqa=True)
    torch.testing.assert_close(seen, attend(q, k, v, dense(*told)), atol=1e-5, rtol=1e-5)


def test_a_row_too_long_for_a_dense_mask_is_refused():
    told = [torch.zeros(1, 4_224, dtype=torch.long) for _ in range(3)]
    with pytest.raises(UsageError, match="4224 tokens is too long"):
        dense(*told)


@pytest.mark.gpu
@pytest.mark.acceptance("T12")
@pytest.mark.parametrize("dtype, off", [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_flex_attention_says_what_dense_attention_says(dtype, off):
    told = [t.cuda() for t in segments(random.Random(1), 512)]
    torch.manual_seed(0)
    start = [torch.randn(1, n, 512, 64, device="cuda", dtype=dtype) for n in (4, 2, 2)]
    found = []
    for seen in (dense(*told), blocks(*told)):
        heads = [s.clone().requires_grad_() for s in start]
        out = attend(*heads, seen)
        out.square().mean().backward()
        found.append([out, *(h.grad * out.numel() for h in heads)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.detach().float().cpu(), b.detach().float().cpu(), atol=off, rtol=off)
