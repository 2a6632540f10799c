"""The decoder and its losses."""

import numpy as np
import pytest
import torch

from tests.trainer.rows import image, noise_image, row, text, totals
from thresher.encoders.batch import Batch, collate
from thresher.encoders.features import declare_vision_operators
from thresher.encoders.latents import open_latents
from thresher.loader.plan.pattern import Kind
from thresher.trainer.model.config import ModelConfig
from thresher.trainer.model.decoder import Decoder, expand, load_causal
from thresher.trainer.model.flow import losses

LATENTS = open_latents({"tokenizer": "pixels", "stride": 4})
WEIGHTS = (0.25, 1.0, 0.5)
FEATURES = np.random.default_rng(5).standard_normal((2, 2, 8)).astype(np.float16)


def model(seed=0, features=8, **config):
    """A small decoder whose latent head is not zero."""
    torch.manual_seed(seed)
    shape = {"width": 64, "depth": 2, "heads": 4, "kv_heads": 2, "predict": "x"}
    made = Decoder(ModelConfig(**shape | config), 40, LATENTS.channels, features)
    torch.nn.init.normal_(made.latent_head.weight, std=0.1)
    return made


def batch(*rows) -> Batch:
    return collate(list(rows), LATENTS, 30, 2)


def noisy(seed, **more):
    return image(Kind.NOISY, noise_image(seed), time=0.1 + 0.1 * seed, noise=seed, features=FEATURES, **more)


DOCUMENTS = [
    [text(0, 3, 4, learn=False), noisy(1)],
    [image(Kind.CLEAN, noise_image(2)), text(0, 5, 6, 7, weight=0.5)],
    [text(0, 8, 9), noisy(3, name="a"), image(Kind.CLEAN, noise_image(3), "a"), text(0, 10), noisy(4)],
    [text(0, 11, 12, 13, 14)],
    [image(Kind.CLEAN, noise_image(5)), text(0, 6, learn=False), noisy(6, learn=False)],
]


def gradients(made, groups, whole):
    """Loss and gradients of a step, cut into micro-batches of rows."""
    made.zero_grad()
    told = [losses(made(batch(*rows)), batch(*rows), whole, WEIGHTS) for rows in groups]
    sum(one.total for one in told).backward()
    return sum(one.total for one in told).detach(), [p.grad.clone() for p in made.parameters()], told


@pytest.mark.acceptance("T14")
@pytest.mark.parametrize("experts", ["ffn", "mot", "dense"])
def test_packing_order_and_micro_batches_change_nothing(experts):
    made = model(experts=experts)
    alone = [row(20, d) for d in DOCUMENTS]
    packed = row(64, *DOCUMENTS)
    whole = totals([packed])
    assert whole == totals(alone) == (12.0, 3)
    expected, grads, _ = gradients(made, [[packed]], whole)
    for groups in ([alone], [alone[::-1]], [alone[:1], alone[1:]], [[r] for r in alone]):
        loss, others, _ = gradients(made, groups, whole)
        assert abs(loss - expected) / expected < 1e-5
        off = torch.cat([(a - b).flatten() for a, b in zip(grads, others, strict=True)]).norm()
        assert off / torch.cat([g.flatten() for g in grads]).norm() < 1e-5


@pytest.mark.acceptance("T13")
def test_a_noisy_image_learns_nothing_from_what_comes_later_or_is_noisy():
    made = model()
    packed = batch(row(64, DOCUMENTS[2]))
    state = packed.latents.clone().requires_grad_()
    velocity = made(packed, state).velocity
    first, last = (v.square().sum() for v in velocity.split(4))
    of_latents, of_words = torch.autograd.grad(first, [state, made.embed.weight], retain_graph=True)
    assert (of_latents[:4] != 0).any() and (of_latents[4:] == 0).all()
    assert (of_words[8] != 0).any() and (of_words[10] == 0).all()
    (of_latents,) = torch.autograd.grad(last, [state])
    assert (of_latents[:4] == 0).all() and (of_latents[4:8] != 0).any()


def test_losses_are_told_for_each_sample():
    rows = [row(64, *DOCUMENTS[:3], first=10), row(64, *DOCUMENTS[3:], first=20)]
    told = losses(model()(batch(*rows)), batch(*rows), totals(rows), WEIGHTS)
    assert told.image_row.tolist() == [0, 0, 0, 1] and told.image_doc.tolist() == [0, 2, 2, 1]
    torch.testing.assert_close(told.time, torch.tensor([0.2, 0.4, 0.5, 0.7]))
    assert told.image_weight.tolist() == [1, 1, 1, 0]
    whose = [batch(*rows).slots[r][d].slot for r, d in zip(told.ce_row, told.ce_doc, strict=True)]
    assert whose == [11] * 4 + [12] * 5 + [20] * 5
    ce = 0.25 * (told.ce * told.ce_weight).sum() / told.ce_weight.sum()
    made = (told.image_weight * (told.mse + 0.5 * told.repa)).sum() / 3
    torch.testing.assert_close(told.total.detach(), ce + made)


@pytest.mark.parametrize("document", [DOCUMENTS[3], DOCUMENTS[0]])
def test_every_weight_takes_part_in_every_batch(document):
    made = model(und="linear", und_stride=4)
    _, grads, _ = gradients(made, [[row(20, document)]], totals([row(20, document)]))
    assert all(g is not None for g in grads)


def test_a_hole_weighs_nothing():
    made, hole = model(), row(64, *DOCUMENTS)
    mine = hole.doc == 2
    before = gradients(made, [[hole]], totals([hole]))[2][0]
    whole = totals([hole])
    hole.weight[mine] = 0
    told = gradients(made, [[hole]], whole)[2][0]
    assert (told.ce_weight[told.ce_doc == 2] == 0).all() and (
        told.image_weight[told.image_doc == 2] == 0
    ).all()
    assert told.total < before.total


@pytest.mark.acceptance("T20")
def test_experts_that_begin_alike_say_the_same():
    dense, packed = model(experts="dense"), batch(row(64, *DOCUMENTS))
    expected = dense(packed)
    for experts in ("ffn", "mot"):
        other = model(seed=1, experts=experts)
        expand(dense.state_dict(), other)
        said = other(packed)
        torch.testing.assert_close(said.logits, expected.logits)
        torch.testing.assert_close(said.velocity, expected.velocity)


def test_codes_are_learnt_as_tokens():
    class Codes:
        id, stride, channels, codes = "codes", 4, 0, 8

        def encode(self, pixels):
            return torch.arange(4).reshape(1, 2, 2).expand(len(pixels), -1, -1)

    made = row(16, [text(0, 3, learn=False), image(Kind.VQ, noise_image(0))])
    packed = collate([made], Codes(), 30, 2)
    assert packed.target[0, 2:6].tolist() == [30, 31, 32, 33]
    decoder = Decoder(ModelConfig(), 38, 0)
    told = losses(decoder(packed), packed, totals([made]), WEIGHTS)
    assert len(told.ce) == 4 and told.total.isfinite()


def test_a_language_model_can_be_begun_from(tmp_path):
    declare_vision_operators()
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    theirs = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16, rope_theta=5e5,
        )
    ).eval()  # fmt: skip
    theirs.save_pretrained(tmp_path)
    ours = Decoder(ModelConfig(f"hf:{tmp_path}", experts="mot"), 53, 48)
    load_causal(ours, str(tmp_path), special=3)
    words = [7, 30, 12, 49, 0, 5]
    said = ours(batch(row(6, [text(*(w + 3 for w in words))])))
    expected = theirs(torch.tensor([words])).logits[0]
    torch.testing.assert_close(said.logits[:, 3:], expected, atol=1e-4, rtol=1e-4)
