"""Model FLOPs of a batch, and what a device could do: the two sides of MFU.

6 for each weight that a token is multiplied by, forwards and backwards, and 12 for each value of a head and
visible pair of tokens (PaLM, arXiv 2204.02311, appendix B, with the mask's own pairs for its full square).
Look-ups, padding and what is computed twice count nothing.
"""

from typing import NamedTuple

from torch import nn

from thresher.encoders.batch import Batch
from thresher.loader.plan.pattern import Kind
from thresher.loader.row import PAD
from thresher.trainer.model.decoder import Decoder

PEAK = {"A100": 312e12, "H100": 989e12, "H200": 989e12, "B200": 2250e12}
"""Dense bfloat16 FLOP/s by a word of the device's name, of the makers' data sheets (SXM)."""


class Flops(NamedTuple):
    """Of one batch, forwards and backwards."""

    trained: int
    frozen: int
    """Of encoders that only run forwards."""


def count(model: Decoder, batch: Batch) -> Flops:
    """Cheapest before a batch is moved to a GPU."""
    tokens = int((batch.doc >= 0).sum())
    noisy, seen = (int((batch.kind == kind).sum()) for kind in (Kind.NOISY, Kind.VIT))
    made = [
        (model.latent, len(batch.time)),
        (model.time, len(batch.time)),
        (model.latent_head, noisy),
        (model.align, noisy),
        (model.head, int((batch.target != PAD).sum())),
        (model.vision and model.vision.connector, seen),
    ]
    weights = sum(_active(block) for block in model.blocks) * tokens
    weights += sum(_matrices(part) * times for part, times in made if part is not None)
    encoder = model.vision and model.vision.encoder
    inner = _matrices(encoder) * seen if encoder is not None else 0
    frozen = encoder is not None and model.config.und_frozen
    config = model.config
    attention = 12 * config.depth * config.heads * config.head * batch.pairs()
    return Flops(6 * (weights + (0 if frozen else inner)) + attention, 2 * inner if frozen else 0)


def peak(device: str) -> float | None:
    """FLOP/s of a device by its name; None, never a guess, where it is not known."""
    return next((flops for word, flops in PEAK.items() if word in device), None)


def mfu(flops: int, seconds: float, devices: list[str]) -> float | None:
    """Share of what the devices could do; None if one of them is not known."""
    peaks = [peak(device) for device in devices]
    known = [p for p in peaks if p is not None]
    return flops / (seconds * sum(known)) if len(known) == len(peaks) else None


def _matrices(part: nn.Module) -> int:
    return sum(p.numel() for p in part.parameters() if p.dim() > 1)


def _active(block: nn.Module) -> int:
    """Of a block's weights those that one token meets: those of one expert."""
    return sum(_matrices(routed[0]) for routed in block.children() if isinstance(routed, nn.ModuleList))
