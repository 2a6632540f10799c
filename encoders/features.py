"""What a vision encoder sees at each place of a grid: features that hidden states are drawn to (REPA)."""

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class Features:
    """A frozen encoder of the transformers library (DINOv2, SigLIP, CLIP) from a folder."""

    def __init__(self, path: str, device: str = "cpu") -> None:
        folder = Path(path)
        self._encoder = open_encoder(folder).eval().to(device)
        self.width, self._patch = self._encoder.config.hidden_size, self._encoder.config.patch_size
        self._device, (self._mean, self._std) = device, input_scale(folder)
        weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
        digest = blake2b(digest_size=4)
        for file in weights:
            digest.update(file.read_bytes())
        self.id = f"{folder.name}-{digest.hexdigest()}"

    @torch.no_grad()
    def of(self, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
        """(n, 3, height, width) in [-1, 1] to (n, down, across, width): the image is resized so that the
        encoder's patches are that grid."""
        size = [side * self._patch for side in grid]
        resized = F.interpolate(pixels.to(self._device), size, mode="bicubic", antialias=True)
        scaled = ((resized + 1) / 2 - self._mean.to(resized)) / self._std.to(resized)
        hidden = self._encoder(scaled, interpolate_pos_encoding=True).last_hidden_state
        tokens = hidden[:, hidden.shape[1] - grid[0] * grid[1] :]
        return tokens.unflatten(1, grid)


def open_encoder(folder: Path) -> Any:
    """The vision part of a model of the transformers library, in float32."""
    declare_vision_operators()
    from transformers import AutoModel

    whole: Any = AutoModel.from_pretrained(folder, dtype=torch.float32)
    return getattr(whole, "vision_model", whole)


def declare_vision_operators() -> None:
    """torchvision from PyPI is built for CUDA: beside a CPU torch its import, and with it that of vision
    models, fails for want of the schemas of two operators that nothing here calls."""
    for name in () if torch.version.cuda else ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            told = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", told)


def input_scale(folder: Path) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the encoder's inputs, (3, 1, 1): 0.5 each where the folder does not say."""
    file = folder / "preprocessor_config.json"
    told = json.loads(file.read_text()) if file.exists() else {}
    mean, std = (torch.tensor(told.get(name) or [0.5] * 3) for name in ("image_mean", "image_std"))
    return mean.view(3, 1, 1), std.view(3, 1, 1)
