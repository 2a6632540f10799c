"""What a model is given: packed rows as tensors, their images as latents or codes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thresher.encoders.latents import Latents
from thresher.loader.plan.pattern import CAUSAL, Kind
from thresher.loader.plan.plan import Slot
from thresher.loader.row import PAD, Picture, Row, noise


@dataclass
class Batch:
    """Rows as tensors (B, L); `position` (B, L, 3). Images' tokens lie one after another in row order."""

    token: Tensor
    kind: Tensor
    doc: Tensor
    seg: Tensor
    position: Tensor
    target: Tensor
    weight: Tensor
    latents: Tensor
    """(N, channels): clean latents x of every CLEAN and NOISY token."""
    noise: Tensor
    """(N, channels): e; 0 where the token is clean."""
    time: Tensor
    """(N,): t."""
    image: Tensor
    """(N,): number of the token's picture in the batch."""
    views: list[Tensor]
    """(3, height, width) in [-1, 1] for each VIT picture, in row order."""
    features: Tensor | None
    """(M, width): stored features of the noisy tokens, in row order; 0 where an image has none, None where
    no image has any."""
    slots: list[list[Slot]]

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        return Batch(**moved | {"views": [view.to(device) for view in self.views]})

    def pairs(self) -> int:
        """Query and key tokens of which one sees the other, padding left out."""
        doc, seg, kind = (t.flatten() for t in (self.doc, self.seg, self.kind))
        row = torch.arange(len(self.doc), device=doc.device).repeat_interleave(self.doc.shape[1])
        told = torch.stack([row, doc, seg, kind])[:, doc >= 0]
        (rows, docs, _, kinds), sizes = torch.unique_consecutive(told, dim=1, return_counts=True)  # type: ignore[no-untyped-call]
        out, before, last = 0, 0, None
        for r, d, k, n in zip(rows.tolist(), docs.tolist(), kinds.tolist(), sizes.tolist(), strict=True):
            before, last = (before if last == (r, d) else 0), (r, d)
            out += n * before + (n * (n + 1) // 2 if k in CAUSAL else n * n)
            before += n if k != Kind.NOISY else 0
        return out


def collate(rows: list[Row], latents: Latents, first_code: int, begin: int) -> Batch:
    """Rows of one length as a batch. Codes are tokens from `first_code` on; `begin` stands before them."""

    def stacked(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(row, name) for row in rows]))

    token, target, weight = stacked("token"), stacked("target"), stacked("weight")
    pictures = [(b, picture) for b, row in enumerate(rows) for picture in row.pictures]
    seen = [picture for _, picture in pictures if picture.kind is Kind.VIT]
    made = [(b, picture) for b, picture in pictures if picture.kind is not Kind.VIT]
    encoded = _encoded([picture for _, picture in made], latents)
    values, noises, times, numbers = [], [], [], []
    for i, ((b, picture), value) in enumerate(zip(made, encoded, strict=True)):
        if picture.kind is Kind.VQ:
            span = slice(picture.at, picture.at + value.numel())
            codes = value.reshape(-1) + first_code
            token[b, span] = torch.cat([codes.new_tensor([begin]), codes[:-1]])
            target[b, span] = torch.where(weight[b, span] > 0, codes, PAD)
            continue
        flat = value.reshape(-1, latents.channels)
        values.append(flat)
        noises.append(_noise(picture, flat))
        times.append(torch.full((len(flat),), picture.time))
        numbers.append(torch.full((len(flat),), i))
    none = torch.zeros(0, latents.channels)
    return Batch(
        token=token,
        kind=stacked("kind"),
        doc=stacked("doc"),
        seg=stacked("seg"),
        position=stacked("position"),
        target=target,
        weight=weight,
        latents=torch.cat([none, *values]),
        noise=torch.cat([none, *noises]),
        time=torch.cat([torch.zeros(0), *times]),
        image=torch.cat([torch.zeros(0, dtype=torch.long), *numbers]),
        views=[_pixels(picture.data) for picture in seen],
        features=_features([picture for _, picture in made if picture.kind is Kind.NOISY]),
        slots=[row.slots for row in rows],
    )


def _noise(picture: Picture, like: Tensor) -> Tensor:
    if picture.kind is not Kind.NOISY:
        return torch.zeros_like(like)
    return torch.from_numpy(noise(picture.noise, tuple(like.shape)))


def _features(pictures: list[Picture]) -> Tensor | None:
    """Stored features, flat."""
    wide = next((p.features.shape[-1] for p in pictures if p.features is not None), 0)
    if not wide:
        return None
    none = np.zeros(wide, np.float32)
    held = [np.broadcast_to(none, (*p.grid, wide)) if p.features is None else p.features for p in pictures]
    return torch.from_numpy(np.concatenate([f.reshape(-1, wide) for f in held]).astype(np.float32))


def _pixels(data: NDArray) -> Tensor:
    return torch.tensor(data).permute(2, 0, 1).float() / 127.5 - 1


def _encoded(pictures: list[Picture], latents: Latents) -> list[Tensor]:
    """Latents or codes of each picture; pictures of one size are encoded together."""
    out: dict[int, Tensor] = {}
    sizes: dict[tuple[int, ...], list[int]] = {}
    for i, picture in enumerate(pictures):
        if picture.data.dtype != np.uint8:
            whole = np.float32 if picture.data.dtype == np.float16 else np.int64
            out[i] = torch.from_numpy(picture.data.astype(whole))
        else:
            sizes.setdefault(picture.data.shape, []).append(i)
    for same in sizes.values():
        stacked = torch.stack([_pixels(pictures[i].data) for i in same])
        with torch.no_grad():
            made = latents.encode(stacked).cpu()
        # Rounded as stored ones are, so that a run with stored latents is the same run.
        out |= dict(zip(same, made.half().float() if made.is_floating_point() else made, strict=True))
    return [out[i] for i in range(len(pictures))]
