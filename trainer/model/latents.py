"""Image tokenizers behind one interface: patches, small and large autoencoders, codes."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from thresher.trainer.batch import Latents


class Pixels:
    """Patches of pixels, divided by the standard deviation of the images' values in [-1, 1]."""

    codes = 0

    def __init__(self, stride: int, std: float) -> None:
        self.id, self.stride, self.channels, self.std = f"pixels{stride}-{std:g}", stride, 3 * stride**2, std

    def encode(self, pixels: Tensor) -> Tensor:
        """(n, 3, height, width) to (n, down, across, channels)."""
        return F.pixel_unshuffle(pixels / self.std, self.stride).movedim(1, -1)

    def decode(self, latents: Tensor) -> Tensor:
        """The inverse."""
        return (F.pixel_shuffle(latents.movedim(-1, 1), self.stride) * self.std).clamp(-1, 1)


def open_latents(spec: dict[str, Any]) -> Latents:
    """`{"tokenizer": "pixels", "stride": 16, "std": 0.5}`."""
    return Pixels(spec.get("stride", 16), spec.get("std", 0.5))
