"""What a model draws and says."""

import numpy as np
import pytest
import torch

from tests.trainer.rows import image, noise_image, row, text
from thresher.encoders.batch import collate
from thresher.encoders.latents import open_latents
from thresher.loader.plan.pattern import Kind
from thresher.loader.tokens import Bytes
from thresher.trainer.model.config import ModelConfig
from thresher.trainer.model.decoder import Decoder
from thresher.trainer.model.sample import Sampler, euler, guided, shifted

LATENTS = open_latents({"tokenizer": "pixels", "stride": 4})
DROPS = {"text": 0.1, "clean": 0.1, "vit": 0.5}
SHAPE = {"width": 64, "depth": 2, "heads": 4, "kv_heads": 2}


def model(**config):
    torch.manual_seed(0)
    made = Decoder(ModelConfig(**SHAPE, **config), Bytes.vocabulary, LATENTS.channels).eval()
    torch.nn.init.normal_(made.latent_head.weight, std=0.2)
    return made


def drawn(made, prompts, **more):
    told = {"steps": 4, "shift": 2.0, "drops": DROPS, "scales": (1.0, 1.0)}
    return Sampler(made, LATENTS, Bytes()).draw(prompts, (8, 12), **told | more)


@pytest.mark.acceptance("T18")
@pytest.mark.parametrize("steps, shift", [(1, 1.0), (30, 8.0), (50, 4.0)])
def test_the_velocity_of_a_point_leads_to_it(steps, shift):
    torch.manual_seed(0)
    point, noise = torch.randn(2, 2, 4, 48)
    assert (euler(lambda x, t: (x - point) / t, noise, steps, shift) - point).abs().max() < 1e-5
    assert (euler(lambda x, t: noise - point, noise, steps, shift) - point).abs().max() < 1e-5


@pytest.mark.acceptance("T18")
def test_both_predictions_mean_the_same_velocity():
    v, x = model(predict="v"), model(predict="x")
    documents = [
        [text(0, 3), image(Kind.NOISY, noise_image(i), time=t, noise=i)] for i, t in enumerate((0.3, 0.9))
    ]
    batch = collate([row(16, *documents)], LATENTS, 259, 2)
    time = batch.time[:, None]
    state = (1 - time) * batch.latents + time * batch.noise
    torch.testing.assert_close(x(batch).velocity, (state - v(batch).velocity) / time)
    clean = state - time * (batch.noise - batch.latents)
    torch.testing.assert_close((state - clean) / time, batch.noise - batch.latents, atol=1e-5, rtol=1e-5)


def test_shifted_noise_levels_keep_their_ends():
    told = shifted(torch.tensor([0.0, 0.5, 1.0]), 8.0)
    torch.testing.assert_close(told, torch.tensor([0.0, 8 / 9, 1.0]))


@pytest.mark.acceptance("T19")
def test_guidance_by_one_changes_nothing():
    both, picture, words = torch.randn(3, 5, 4, 48)
    assert torch.equal(guided(both, picture, words, (1.0, 1.0)), both)
    prompts = [["red", noise_image(0)], ["blue", noise_image(1)]]
    made = model()
    assert np.array_equal(drawn(made, prompts), drawn(made, prompts, drops={}, scales=(4.0, 2.0)))
    assert not np.array_equal(drawn(made, prompts), drawn(made, prompts, scales=(4.0, 1.0)))
    assert not np.array_equal(drawn(made, prompts), drawn(made, prompts, scales=(1.0, 4.0)))


@pytest.mark.acceptance("T19")
def test_guidance_goes_away_from_what_is_left_out():
    both, picture, words = torch.tensor([[[1.0, 8.0]], [[0.5, 7.0]], [[0.0, 7.5]]])
    out = torch.tensor([[3 * (0.5 + 2 * 0.5), 7.5 + 3 * (9 - 7.5)]])
    torch.testing.assert_close(guided(both, picture, words, (2.0, 3.0)), out * both.norm() / out.norm())
    made = model()
    assert np.array_equal(
        drawn(made, [["red"]], scales=(4.0, 1.0)), drawn(made, [["red"]], scales=(4.0, 9.0))
    )


@pytest.mark.acceptance("T19")
def test_no_image_hangs_on_its_neighbours():
    torch.manual_seed(0)
    both, picture, words = torch.randn(3, 5, 4, 48)
    together = guided(both, picture, words, (4.0, 1.5))
    alone = [guided(*(t[i : i + 1] for t in (both, picture, words)), (4.0, 1.5)) for i in range(5)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert (together.flatten(1).norm(dim=1) <= both.flatten(1).norm(dim=1) * 1.0001).all()
    prompts = [["red"], ["a much longer prompt than that"]]
    pair, one = (drawn(model(), p, scales=(4.0, 1.0)).astype(int) for p in (prompts, prompts[:1]))
    assert np.abs(pair[0] - one[0]).max() <= 1


def test_an_image_follows_from_prompt_and_seed():
    made = model(und="linear", und_stride=8)
    told = drawn(made, [[noise_image(3, 16, 8), "make it red"]])
    assert told.shape == (1, 8, 12, 3) and told.dtype == np.uint8
    assert np.array_equal(told, drawn(made, [[noise_image(3, 16, 8), "make it red"]]))
    for other in (
        drawn(made, [[noise_image(4, 16, 8), "make it red"]]),
        drawn(made, [[noise_image(3, 16, 8), "make it blue"]]),
        drawn(made, [[noise_image(3, 16, 8), "make it red"]], seed=1),
    ):
        assert not np.array_equal(told, other)


def test_text_is_the_likeliest_token_each_time():
    made = model()
    pixels = noise_image(0)
    sampler = Sampler(made, LATENTS, Bytes())
    said = sampler.write([[pixels], ["hello"]], most=6)
    assert sampler.describe([pixels], most=6) == said[:1]
    tokens = [0]
    for _ in range(6):
        batch = collate([row(16, [image(Kind.CLEAN, pixels), text(*tokens)])], LATENTS, 259, 2)
        tokens.append(int(made(batch).logits[-1].argmax()))
    ended = tokens[1 : tokens.index(1) if 1 in tokens else None]
    assert Bytes().decode(ended) == said[0]


def test_codes_are_drawn_one_after_another():
    class Codes:
        id, stride, channels, codes = "codes", 4, 0, 8

        def decode(self, codes):
            assert codes.shape == (1, 2, 3) and codes.min() >= 0 and codes.max() < 8
            return torch.zeros(1, 3, 8, 12)

    torch.manual_seed(0)
    made = Decoder(ModelConfig(**SHAPE), Bytes.vocabulary + 8, 0)
    told = Sampler(made, Codes(), Bytes()).draw([["red"]], (8, 12), drops=DROPS)
    assert told.shape == (1, 8, 12, 3)
