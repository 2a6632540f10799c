"""Images as tokens and back."""

import numpy as np
import pytest
import torch

from tests.trainer.rows import image, noise_image, row, text, totals
from thresher.encoders.batch import collate
from thresher.encoders.features import declare_vision_operators
from thresher.encoders.latents import check_scale, open_latents, train_convae
from thresher.loader.plan.pattern import Kind
from thresher.schemas import UsageError
from thresher.trainer.model.config import ModelConfig
from thresher.trainer.model.decoder import Decoder
from thresher.trainer.model.flow import losses


def discs(count, side=32):
    """Discs of any colour on any ground, (count, 3, side, side) in [-1, 1]."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    out = []
    for _ in range(count):
        colours, centre = rng.uniform(-1, 1, (2, 3, 1, 1)), rng.uniform(8, side - 8, 2)
        inside = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < rng.uniform(5, 11) ** 2
        out.append(np.where(inside, *colours))
    return torch.tensor(np.stack(out), dtype=torch.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Autoencoders of every kind, trained as far as a test needs."""
    path = tmp_path_factory.mktemp("coders")
    torch.manual_seed(0)
    train_convae(discs(256), path / "conv.pt", steps=150)
    train_convae(discs(256), path / "codes.pt", coded=True, steps=150)
    return path


@pytest.mark.acceptance("T22")
@pytest.mark.parametrize(
    "tokenizer, stride, channels, codes, off",
    [("pixels", 8, 192, 0, 1e-6), ("convae:conv.pt", 16, 16, 0, 0.25), ("vq:codes.pt", 16, 0, 875, 0.4)],
)
def test_images_come_back(folder, tokenizer, stride, channels, codes, off):
    spec = {"tokenizer": tokenizer.replace(":", f":{folder}/"), "stride": stride}
    latents = open_latents(spec)
    assert (latents.stride, latents.channels, latents.codes) == (stride, channels, codes)
    images = discs(64, side=48)
    encoded = latents.encode(images)
    assert encoded.shape == (64, 48 // stride, 48 // stride, *([channels] if channels else []))
    if codes:
        assert encoded.dtype == torch.long and encoded.min() >= 0 and encoded.max() < codes
    assert (latents.decode(encoded) - images).abs().mean() < off < images.abs().mean()
    assert open_latents(spec).id == latents.id


@pytest.mark.acceptance("T22")
def test_latents_of_another_scale_are_refused(folder):
    images = discs(64)
    assert 0.8 < check_scale(open_latents({"tokenizer": f"convae:{folder}/conv.pt"}), images) < 1.2
    std = check_scale(open_latents({"tokenizer": "pixels", "stride": 8, "std": 0.57}), images)
    with pytest.raises(UsageError, match="not 1"):
        check_scale(open_latents({"tokenizer": "pixels", "stride": 8, "std": 0.57 * std / 1.3}), images)
    stored = torch.load(folder / "conv.pt")
    torch.save(stored | {"std": stored["std"] * 2}, folder / "wrong.pt")
    with pytest.raises(UsageError, match=r"deviation 0\.\d+ on these images"):
        check_scale(open_latents({"tokenizer": f"convae:{folder}/wrong.pt"}), images)


@pytest.mark.acceptance("T22")
def test_stored_latents_give_the_loss_of_those_made_now(folder):
    latents = open_latents({"tokenizer": f"convae:{folder}/conv.pt"})
    pixels = noise_image(0, 32, 32)
    encoded = latents.encode(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1)[0]
    torch.manual_seed(0)
    model, told = Decoder(ModelConfig(), 20, 16), []
    torch.nn.init.normal_(model.latent_head.weight, std=0.1)
    for data in (pixels, encoded.numpy().astype(np.float16)):
        rows = [row(16, [text(0, 3), image(Kind.NOISY, pixels, time=0.5, noise=1, stride=16)])]
        rows[0].pictures[0].data = data
        batch = collate(rows, latents, 20, 2)
        told.append(losses(model(batch), batch, totals(rows), (1, 1, 0)).total.item())
    assert told[0] == pytest.approx(told[1], rel=1e-3)


def test_the_id_changes_with_the_weights(folder):
    stored = torch.load(folder / "conv.pt")
    stored["weights"]["up.0.bias"] += 1e-6
    torch.save(stored, folder / "other.pt")
    ids = {open_latents({"tokenizer": f"convae:{folder}/{n}.pt"}).id for n in ("conv", "other")}
    assert len(ids) == 2


@pytest.mark.parametrize("tokenizer", ["jpeg", "vae:/nowhere", "vq:"])
def test_an_unknown_tokenizer_is_refused(tokenizer):
    with pytest.raises(UsageError, match="no image tokenizer"):
        open_latents({"tokenizer": tokenizer})


@pytest.mark.parametrize(
    "kind, name, stride, channels, shape",
    [
        ("vae", "AutoencoderKL", 16, 64, {"latent_channels": 16, "block_out_channels": (8,) * 4}),
        ("tiny", "AutoencoderTiny", 16, 16, {"latent_channels": 4}),
        ("dc", "AutoencoderDC", 32, 8, {"latent_channels": 8}),
    ],
)
def test_autoencoders_of_the_diffusers_library(tmp_path, kind, name, stride, channels, shape):
    declare_vision_operators()
    import diffusers

    torch.manual_seed(0)
    if kind == "vae":
        layers = dict.fromkeys(("down_block_types", "up_block_types"))
        layers["down_block_types"] = ("DownEncoderBlock2D",) * 4
        layers["up_block_types"] = ("UpDecoderBlock2D",) * 4
        shape = shape | layers | {"norm_num_groups": 4, "shift_factor": 0.1, "scaling_factor": 0.36}
    if kind == "dc":
        shape = shape | {
            "encoder_block_out_channels": (8,) * 6,
            "decoder_block_out_channels": (8,) * 6,
            "encoder_layers_per_block": (1,) * 6,
            "decoder_layers_per_block": (1,) * 6,
            "attention_head_dim": 8,
        }
    getattr(diffusers, name)(**shape).save_pretrained(tmp_path)
    latents = open_latents({"tokenizer": f"{kind}:{tmp_path}"})
    assert (latents.stride, latents.channels) == (stride, channels)
    encoded = latents.encode(discs(2, side=64))
    assert encoded.shape == (2, 64 // stride, 64 // stride, channels)
    assert latents.decode(encoded).shape == (2, 3, 64, 64)
