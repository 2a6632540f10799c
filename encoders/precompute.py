"""Latents and features computed once: sidecar tars in the order of an export's, whose tars stay untouched.

A sidecar's record has the key and the segments of the sample, and for each image `REF.latents.npy` and
`REF.features.npy`, float16 of (down, across, values). A run that reads it never opens the images.
"""

import io
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from thresher.encoders.features import Features
from thresher.encoders.latents import Latents
from thresher.loader.images import pixels
from thresher.loader.index import stored_folder
from thresher.loader.plan.buckets import Buckets
from thresher.loader.read import members
from thresher.schemas.manifest import Shard, fetch, open_export
from thresher.schemas.segments import SEGMENTS, segments_of
from thresher.schemas.sidecar import dumps
from thresher.schemas.tar import END, pack

_THREADS = 4
_HELD = 256
"""Records whose pixels are held at once."""


class _Image(NamedTuple):
    record: int
    ref: str
    pixels: Tensor
    """(3, height, width) in [-1, 1]."""


def precompute(
    export: str, latents: Latents, side: int, features: Features | None = None, batch: int = 16
) -> tuple[Path, int]:
    """Write the sidecars of an export, a shard at a time; finished ones are left as they are.

    `side`: of the square bucket, px. Returns their folder and the number of images that could not be read:
    these have no latents, and become holes. Raises ThresherError where there is no export.
    """
    held = open_export(export)
    folder = stored_folder(held, f"{latents.id}-{side}" + (f"-{features.id}" if features else ""))
    folder.mkdir(parents=True, exist_ok=True)
    failed, buckets = 0, Buckets(side, latents.stride)
    for shard in held.shards:
        index = folder / f"{shard.stem}.parquet"
        facts = (pq.read_schema(index).metadata or {}) if index.exists() else {}
        if facts.get(b"tar") == shard.tar_sha.encode():
            failed += int(facts[b"failed"])
        else:
            failed += _write(shard, folder, buckets, latents, features, batch)
    return folder, failed


def _write(
    shard: Shard, folder: Path, buckets: Buckets, latents: Latents, features: Features | None, batch: int
) -> int:
    """One shard's sidecar; returns how many images failed."""
    rows = shard.rows(["key", "offset", "size", "widths", "heights"]).to_pylist()
    failed, at = 0, 0
    places: dict[str, list[int]] = {"offset": [], "size": [], "crc32": []}
    half = folder / f"{shard.stem}.{os.getpid()}.tmp"
    with open(half, "wb") as file, ThreadPoolExecutor(_THREADS) as threads:
        for start in range(0, len(rows), _HELD):
            some = rows[start : start + _HELD]
            opened = list(threads.map(lambda row: _opened(shard, row, buckets), some))
            made: list[dict[str, bytes]] = [{SEGMENTS: told} for told, _, _ in opened]
            images = [_Image(i, *image) for i, (_, images, _) in enumerate(opened) for image in images]
            failed += sum(bad for _, _, bad in opened)
            for image, arrays in _encoded(images, latents, features, batch):
                made[image.record] |= {
                    f"{image.ref}.{what}.npy": _npy(value) for what, value in arrays.items()
                }
            for row, held in zip(some, made, strict=True):
                data = pack(row["key"], held).data
                for name, value in (("offset", at), ("size", len(data)), ("crc32", zlib.crc32(data))):
                    places[name].append(value)
                file.write(data)
                at += len(data)
        file.write(END)
        file.flush()
        os.fsync(file.fileno())
    half.replace(folder / f"{shard.stem}.tar")
    facts = {"tar": shard.tar_sha, "failed": str(failed)}
    pq.write_table(pa.table(places).replace_schema_metadata(facts), half)
    half.replace(folder / f"{shard.stem}.parquet")
    return failed


def _opened(
    shard: Shard, row: dict[str, Any], buckets: Buckets
) -> tuple[bytes, list[tuple[str, Tensor]], int]:
    """A record's segments as JSON, the pixels of its images, and how many of them cannot be read."""
    held = members(memoryview(fetch(shard.tar, row["offset"], row["size"])))
    size = (*row["widths"][:1], *row["heights"][:1]) or (0, 0)
    segments, images, failed = segments_of(list(held), held.__getitem__, size), [], 0
    for ref in dict.fromkeys(s["ref"] for s in segments if s["kind"] == "image"):
        sides = next((s["width"], s["height"]) for s in segments if s["ref"] == ref)
        down, across = buckets.grids(*(np.array([side]) for side in sides))[0].tolist()
        try:
            data = pixels(held[ref], down * buckets.stride, across * buckets.stride)
        except Exception:  # whatever a decoder raises of a broken file costs its sample alone
            failed += 1
        else:
            images.append((ref, torch.tensor(data).permute(2, 0, 1).float() / 127.5 - 1))
    return dumps(segments).encode(), images, failed


def _encoded(
    images: Sequence[_Image], latents: Latents, features: Features | None, batch: int
) -> Iterator[tuple[_Image, dict[str, Tensor]]]:
    """What each image becomes; images of one size are encoded together."""
    sizes: dict[tuple[int, ...], list[_Image]] = {}
    for image in images:
        sizes.setdefault(tuple(image.pixels.shape), []).append(image)
    for same in sizes.values():
        for start in range(0, len(same), batch):
            some = same[start : start + batch]
            stacked = torch.stack([image.pixels for image in some])
            with torch.no_grad():
                made = {"latents": latents.encode(stacked)}
            if features:
                made["features"] = features.of(stacked, (made["latents"].shape[1], made["latents"].shape[2]))
            for i, image in enumerate(some):
                yield image, {what: values[i].cpu() for what, values in made.items()}


def _npy(value: Tensor) -> bytes:
    """float16, or int32 of codes, as a file of numpy's."""
    out = io.BytesIO()
    np.save(
        out, value.numpy().astype(np.float16 if value.is_floating_point() else np.int32), allow_pickle=False
    )
    return out.getvalue()
