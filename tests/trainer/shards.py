"""Exports of any kind of sample, written by the contract of shards: what operators for them will write."""

import io
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from thresher.operators.export import manifest
from thresher.operators.export.params import ExportParams
from thresher.operators.export.placement import Shard
from thresher.operators.export.records import record_schema
from thresher.schemas.index import INDEX
from thresher.schemas.records import IMAGE_VERSION
from thresher.schemas.segments import SEGMENTS, characters_of, image_segment, kinds_of, text_segment
from thresher.schemas.sidecar import dumps, row_to_json
from thresher.schemas.tar import END, pack


@dataclass
class Sample:
    """A record: its segments, and its members by name without the key (`.0.png`)."""

    segments: list[dict[str, Any]]
    members: dict[str, bytes] = field(default_factory=dict)
    name: str = ""
    """What the key follows from; its place in the list if empty."""
    task: str = "image"
    group: str = ""
    """Root image, video or document; the sample itself if empty."""
    scores: Mapping[str, float] = field(default_factory=dict)
    dup_group: int | None = None
    weight: float = 1.0
    split: str | None = None


def png(width: int, height: int, colour: Sequence[int] = (200, 40, 40), seed: int | None = None) -> bytes:
    """An image of one colour, with noise if it has a seed."""
    pixels = np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()
    if seed is not None:
        pixels = np.random.default_rng(seed).integers(0, 256, pixels.shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def plain(caption: str, image: bytes, **more: Any) -> Sample:
    """An image and its caption, as `thresher run` exports them."""
    width, height = Image.open(io.BytesIO(image)).size
    segments = [
        text_segment(caption, "cond", drop="text"),
        image_segment(".png", "target", width, height),
    ]
    return Sample(segments, {".png": image, ".txt": caption.encode()}, **more)


def words(text: str, **more: Any) -> Sample:
    """Text alone."""
    return Sample([text_segment(text, "target")], task="text", **more)


def write_export(
    folder: Path,
    samples: Iterable[Sample],
    per_shard: int = 100,
    name: str = "fixture",
    spoil: Callable[[Sample], dict[str, bytes]] = lambda sample: {},
) -> Path:
    """Write `samples` as an export; returns its folder. `spoil`: members that replace a sample's own."""
    manifest.prepare(folder)
    who = manifest.identity_of({"table": name}, ExportParams(), 0)
    keyed = sorted(((_id(s, i), s) for i, s in enumerate(samples)), key=lambda pair: pair[0])
    cuts = [keyed[i : i + per_shard] for i in range(0, len(keyed), per_shard)]
    shards = [Shard("all", n, len(cuts), 0) for n in range(len(cuts))]
    files: manifest.Files = {}
    for shard, held in zip(shards, cuts, strict=True):
        rows, tar = [], bytearray()
        for id_, sample in held:
            members = sample.members | {SEGMENTS: dumps(sample.segments).encode()}
            members[".json"] = _record(id_, sample, name)
            members |= spoil(sample)
            packed = pack(id_.hex(), members)
            rows.append(_row(id_, sample, shard, len(rows), len(tar), packed, name))
            tar += packed.data
        tar += END
        (folder / shard.tar).write_bytes(tar)
        facts = {
            "export": manifest.digest(who),
            "shard_bytes": str(len(tar)),
            "shard_sha256": sha256(tar).hexdigest(),
        }
        schema = INDEX.with_metadata({**(INDEX.metadata or {}), **facts})
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / shard.index)
        for path, data in ((shard.tar, bytes(tar)), (shard.index, (folder / shard.index).read_bytes())):
            files[path] = {"sha256": sha256(data).hexdigest(), "bytes": len(data), "records": len(rows)}
    manifest.finish(folder, who, 0, record_schema({}), shards, files)
    return folder


def _record(id_: bytes, sample: Sample, source: str) -> bytes:
    head = {"id": id_, "kind": "image", "source": source, "key": sample.name or id_.hex(), "media": []}
    rest = {"parents": [], "synthetic": False, "licence": "CC0-1.0", "text": None, "meta": None}
    return row_to_json({"schema_version": IMAGE_VERSION} | head | rest, record_schema({})).encode()


def _id(sample: Sample, place: int) -> bytes:
    return blake2b((sample.name or str(place)).encode(), digest_size=16).digest()


def _row(
    id_: bytes, sample: Sample, shard: Shard, ordinal: int, start: int, packed: Any, source: str
) -> dict[str, Any]:
    images = [s for s in sample.segments if s["kind"] == "image"]
    first = next((sample.members[s["ref"]] for s in images), None)
    values = {
        "id": id_,
        "key": id_.hex(),
        "shard": shard.tar,
        "ordinal": ordinal,
        "offset": start,
        "size": len(packed.data),
        "crc32": zlib.crc32(packed.data),
        "members": packed.members,
        "member_offsets": [start + offset for offset in packed.member_offsets],
        "member_sizes": packed.member_sizes,
        "bucket": None,
        "widths": [s["width"] for s in images],
        "heights": [s["height"] for s in images],
        "n_images": len(images),
        "text_chars": list(characters_of(sample.segments).items()),
        "kinds": kinds_of(sample.segments),
        "source": source,
        "task": sample.task,
        "synthetic": False,
        "sampling_weight": sample.weight,
        "dup_group": sample.dup_group,
        "group_id": blake2b(sample.group.encode(), digest_size=16).digest() if sample.group else id_,
        "scores": list(sample.scores.items()),
        "split": sample.split,
        "licence": "CC0-1.0",
        "bytes_sha": sha256(first).digest() if first else None,
        "content": blake2b(packed.data, digest_size=16).digest(),
    }
    return values
