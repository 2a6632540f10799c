"""FLOPs by hand."""

import pytest
import torch

from tests.trainer.rows import image, noise_image, row, text
from thresher.encoders.batch import collate
from thresher.encoders.latents import open_latents
from thresher.loader.plan.pattern import Kind
from thresher.trainer.model.config import ModelConfig
from thresher.trainer.model.decoder import Decoder
from thresher.trainer.model.flops import count, mfu, peak
from thresher.trainer.model.mask import dense

LATENTS = open_latents({"tokenizer": "pixels", "stride": 4})
SHAPE = {"width": 64, "depth": 2, "heads": 4, "kv_heads": 2}


def batch():
    """Three segments: 3 learnt tokens, a noisy image of 4 and 2 tokens without loss; 7 of padding."""
    parts = [text(0, 3, 4), image(Kind.NOISY, noise_image(0), time=0.5), text(0, 5, learn=False)]
    return collate([row(16, parts)], LATENTS, 20, 2)


@pytest.mark.acceptance("T21")
def test_flops_are_those_counted_by_hand():
    model = Decoder(ModelConfig(**SHAPE), 20, 48)
    hidden = 192  # 8/3 of 64 in whole 64s
    block = 64 * (64 + 32 + 32) + 64 * 64 + 3 * 64 * hidden
    weights = 9 * 2 * block + 4 * (48 * 64 + 256 * 64 + 64 * 64 + 64 * 48) + 3 * 64 * 20
    seen = (1 + 2 + 3) + 4 * (3 + 4) + (3 + 1) + (3 + 2)
    assert batch().pairs() == seen == 43
    assert count(model, batch()) == (6 * weights + 12 * 2 * 4 * 16 * seen, 0)


@pytest.mark.acceptance("T20")
def test_every_expert_costs_the_same():
    told = {count(Decoder(ModelConfig(experts=e, **SHAPE), 20, 48), batch()) for e in ("ffn", "mot", "dense")}
    assert len(told) == 1


def test_pairs_are_those_of_the_mask():
    documents = [
        [text(0, 3), image(Kind.NOISY, noise_image(0), group=1), image(Kind.NOISY, noise_image(1), group=1)],
        [image(Kind.CLEAN, noise_image(2)), text(0, 4, 5), image(Kind.NOISY, noise_image(3)), text(0, 6)],
    ]
    made = collate([row(32, *documents), row(32, documents[1])], LATENTS, 20, 2)
    seen = dense(made.doc, made.seg, made.kind)[:, 0]
    assert made.pairs() == int(seen.sum() - (made.doc < 0).sum())
    assert torch.equal(seen.diagonal(dim1=1, dim2=2), torch.ones(2, 32, dtype=torch.bool))


@pytest.mark.acceptance("T21")
def test_no_utilisation_is_told_of_a_device_that_is_not_known():
    assert peak("NVIDIA H100 80GB HBM3") == 989e12 and peak("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak("cpu") is None and mfu(10**12, 1.0, ["NVIDIA H100", "Quantum 3000"]) is None
    assert mfu(989 * 10**12, 2.0, ["NVIDIA H100"]) == 0.5
