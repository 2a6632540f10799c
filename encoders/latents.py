"""Image tokenizers behind one interface: patches, small and large autoencoders, codes."""

import json
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thresher.encoders.features import declare_vision_operators
from thresher.schemas import UsageError


class Latents(Protocol):
    """Images as tokens: continuous vectors of unit variance, or codes."""

    id: str
    """Changes with the weights."""
    stride: int
    """Side of a token, px."""
    channels: int
    """Values of a token; of a code 0."""
    codes: int
    """How many codes there are; 0 for vectors."""

    def encode(self, pixels: Tensor) -> Tensor:
        """(n, 3, height, width) in [-1, 1] to (n, down, across, channels), or codes (n, down, across)."""

    def decode(self, latents: Tensor) -> Tensor:
        """The inverse, clipped to [-1, 1]."""


_TOKEN = 16
"""Side that latents of a finer autoencoder are patched to, px."""
_WIDTHS = (3, 16, 32, 64, 128)
_LEVELS = (7, 5, 5, 5)
"""Of finite scalar quantisation: 875 codes; odd, so that 0 is one of them."""
_OFF = 0.2


class Continuous:
    """Latents of unit variance; what makes them maps (n, 3, h, w) in [-1, 1] to (n, c, h / f, w / f)."""

    codes = 0

    def __init__(self, id: str, coder: Any, factor: int, mean: Tensor, std: Tensor, fold: int) -> None:
        self.id, self.coder, self.fold, self.stride = id, coder, fold, factor * fold
        self.mean, self.std = mean[:, None, None], std[:, None, None]
        self.channels = len(mean) * fold**2

    def encode(self, pixels: Tensor) -> Tensor:
        """(n, 3, height, width) to (n, down, across, channels)."""
        values = (self.coder.encode(pixels.to(self.mean.device)) - self.mean) / self.std
        return F.pixel_unshuffle(values, self.fold).movedim(1, -1)

    def decode(self, latents: Tensor) -> Tensor:
        """The inverse."""
        values = F.pixel_shuffle(latents.to(self.mean.device).movedim(-1, 1), self.fold)
        return self.coder.decode(values * self.std + self.mean).clamp(-1, 1)


class Coded:
    """Codes (n, down, across)."""

    channels = 0

    def __init__(self, id: str, coder: Any, factor: int, codes: int) -> None:
        self.id, self.coder, self.stride, self.codes = id, coder, factor, codes
        self.encode, self.decode = coder.code, coder.image


class _Same:
    """Pixels are their own latents."""

    encode = decode = staticmethod(lambda x: x)


class Convolutions(nn.Module):
    """A small autoencoder: four halvings, then `channels` values, or codes by finite scalar quantisation
    (arXiv 2309.15505) if it is `coded`."""

    def __init__(self, channels: int, coded: bool) -> None:
        super().__init__()
        self.coded = coded
        inner = len(_LEVELS) if coded else channels
        levels = torch.tensor(_LEVELS)
        self.register_buffer("reach", (levels - 1) / 2, persistent=False)
        self.register_buffer("base", levels.cumprod(0) // levels, persistent=False)
        self.reach: Tensor
        self.base: Tensor
        sides = list(pairwise(_WIDTHS))
        down = [m for a, b in sides for m in (nn.Conv2d(a, b, 4, 2, 1), nn.SiLU())]
        up = [m for a, b in sides[::-1] for m in (nn.SiLU(), nn.ConvTranspose2d(b, a, 4, 2, 1))]
        outer = inner * (2 - coded)
        self.down = nn.Sequential(*down, nn.Conv2d(_WIDTHS[-1], outer, 1))
        self.up = nn.Sequential(nn.Conv2d(inner, _WIDTHS[-1], 3, 1, 1), *up)
        self.patch = nn.Conv2d(3, outer, _TOKEN, _TOKEN)
        self.unpatch = nn.ConvTranspose2d(inner, 3, _TOKEN, _TOKEN)

    def forward(self, x: Tensor) -> Tensor:
        """Means and log variances of the latents, one behind the other; of codes what is quantised."""
        return self.down(x) + self.patch(x)

    def encode(self, x: Tensor) -> Tensor:
        """Means of the latents; of codes the quantised values in [-1, 1]."""
        if not self.coded:
            return self(x).chunk(2, dim=1)[0]
        half = self.reach[:, None, None]
        bound = self(x).tanh() * half
        return (bound + (bound.round() - bound).detach()) / half

    def decode(self, z: Tensor) -> Tensor:
        """Pixels."""
        return self.up(z) + self.unpatch(z)

    def code(self, x: Tensor) -> Tensor:
        """Codes (n, down, across)."""
        half, base = self.reach[:, None, None], self.base[:, None, None]
        return ((self.encode(x.to(half.device)) * half + half).round().long() * base).sum(dim=1)

    def image(self, codes: Tensor) -> Tensor:
        """Pixels of codes, clipped."""
        base, half = self.base[:, None, None], self.reach[:, None, None]
        digits = codes[:, None].to(base.device) // base % (2 * half + 1).long()
        return self.decode(digits / half - 1).clamp(-1, 1)


def train_convae(
    images: Tensor, path: Path, *, channels: int = 16, coded: bool = False, steps: int = 1000
) -> float:
    """Learn an autoencoder of `images`, (n, 3, height, width) in [-1, 1], and write it to `path`.

    L1 and a small KL term; returns the mean absolute error of the last batch.
    """
    coder = Convolutions(channels, coded)
    optimiser = torch.optim.AdamW(coder.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    order = torch.Generator().manual_seed(0)
    for _ in range(steps):
        x = images[torch.randint(len(images), (16,), generator=order)]
        if coded:
            z, spread = coder.encode(x), torch.zeros(())
        else:
            mean, log = coder(x).chunk(2, dim=1)
            z = mean + torch.randn(mean.shape, generator=order) * (log / 2).exp()
            spread = (mean.square() + log.exp() - log - 1).mean() / 2
        error = (coder.decode(z) - x).abs().mean()
        optimiser.zero_grad()
        (error + 1e-4 * spread).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        z = torch.cat([coder.encode(x) for x in torch.split(images, 64)]).movedim(1, 0).flatten(1)
    told = {"coded": coded, "channels": channels, "mean": z.mean(dim=1), "std": z.std(dim=1)}
    torch.save(told | {"weights": coder.state_dict()}, path)
    return float(error.detach())


class _Pretrained:
    """An autoencoder of the diffusers library in its own words."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def encode(self, x: Tensor) -> Tensor:
        told = self.model.encode(x)
        if hasattr(told, "latent_dist"):
            return told.latent_dist.mode()
        return told.latents if hasattr(told, "latents") else told.latent

    def decode(self, z: Tensor) -> Tensor:
        return self.model.decode(z).sample


_CLASSES = {"tiny": "AutoencoderTiny", "vae": "AutoencoderKL", "dc": "AutoencoderDC"}


def open_latents(spec: dict[str, Any], device: str = "cpu") -> Latents:
    """An image tokenizer from `{"tokenizer": ...}`: `pixels` (with `stride`, and `std` of the images' values
    in [-1, 1]), or `convae:PATH` and `vq:PATH` of `train_convae`, or a folder of the diffusers library:
    `tiny:PATH`, `vae:PATH`, `dc:PATH`. `latents.json` in it may hold `mean` and `std` of each channel, where
    its one scaling factor is not enough.

    Raises UsageError for any other, and for a path where there is nothing.
    """
    kind, _, where = spec["tokenizer"].partition(":")
    if kind == "pixels":
        stride, scale = int(spec.get("stride", 16)), float(spec.get("std", 0.5))
        one = torch.ones(3)
        return Continuous(f"pixels{stride}-{scale:g}", _Same(), 1, 0 * one, scale * one, stride)
    path = Path(where)
    if kind not in ("convae", "vq", *_CLASSES) or not where or not path.exists():
        raise UsageError(
            f"no image tokenizer {spec['tokenizer']!r}",
            mend="Say pixels, or convae, vq, tiny, vae or dc with a colon and a path that exists",
        )
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    digest = blake2b(b"".join(blake2b(p.read_bytes()).digest() for p in files), digest_size=6)
    id = f"{kind}-{digest.hexdigest()}"
    if kind in ("convae", "vq"):
        told = torch.load(path, weights_only=True, map_location=device)
        coder = Convolutions(told["channels"], told["coded"]).to(device).eval().requires_grad_(False)
        coder.load_state_dict(told["weights"])
        if kind == "vq":
            return Coded(id, coder, _TOKEN, int(torch.tensor(_LEVELS).prod()))
        return Continuous(id, coder, _TOKEN, told["mean"], told["std"], 1)
    declare_vision_operators()
    import diffusers

    model = getattr(diffusers, _CLASSES[kind]).from_pretrained(path).to(device).eval().requires_grad_(False)
    config = model.config
    channels = config.latent_channels
    # Blocks between which the side halves; a tiny autoencoder says so in other words.
    factor = 2 ** (len(config.block_out_channels if kind == "vae" else config.encoder_block_out_channels) - 1)
    mean = torch.full((channels,), float(getattr(config, "shift_factor", None) or 0))
    std = torch.full((channels,), 1 / config.scaling_factor)
    if (path / "latents.json").exists():
        stored = json.loads((path / "latents.json").read_text())
        mean, std = torch.tensor(stored["mean"]), torch.tensor(stored["std"])
    fold = max(1, _TOKEN // factor)
    return Continuous(id, _Pretrained(model), factor, mean.to(device), std.to(device), fold)


def check_scale(latents: Latents, images: Tensor) -> float:
    """Standard deviation of the latents of images (n, 3, height, width) in [-1, 1], which is to be 1.

    Raises UsageError if it is off by more than 20 %: noise levels would then mean something else.
    """
    scale = Scale()
    with torch.no_grad():
        scale.add(latents.encode(images))
    return scale.check(latents)


class Scale:
    """Spread of the latents that a run has met."""

    def __init__(self) -> None:
        self.sums: list[Tensor] = []
        """Count, sum and sum of squares of each channel, (3, channels)."""

    def add(self, values: Tensor) -> None:
        """Take in clean latents (..., channels)."""
        flat = values.flatten(0, -2).double().cpu()
        self.sums.append(torch.stack([torch.ones_like(flat), flat, flat**2]).sum(dim=1))

    def check(self, latents: Latents) -> float:
        """The standard deviation. Raises UsageError as `check_scale` does."""
        count, mean, square = torch.stack(self.sums).sum(dim=0)
        std = float((square / count - (mean / count) ** 2).mean().sqrt())
        if not latents.codes and abs(std - 1) > _OFF:
            raise UsageError(
                f"latents of {latents.id} have the standard deviation {std:.2f} on these images, not 1",
                mend="Train the autoencoder on such images, or say their `std`: now it is times"
                f" {std:.2f} what was said",
            )
        return std
