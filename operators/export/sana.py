"""The sidecars that SANA reads beside a shard: every caption of its records, and their CLIP scores.

The convention of its loader (repository NVlabs/Sana, diffusion/data/datasets/sana_data.py): for `NAME.tar`, a
file `NAME<suffix>.json` maps each key to {caption name: text}, and `NAME<suffix>_clip_score.json` each key
to {caption name: cosine times 100}. Where a record has no score it takes the caption called `prompt`: the
text of `KEY.txt`, which stands among the captions under that name.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from thresher.operators.export.files import write_whole
from thresher.operators.export.params import CANDIDATES
from thresher.operators.export.placement import Shard
from thresher.schemas.sidecar import dumps
from thresher.schemas.tar import Packed

SUFFIX = "_captions"
SIDECARS = (f"{SUFFIX}.json", f"{SUFFIX}_clip_score.json")
"""What follows the shard's name without `.tar`: captions, scores."""
PROMPT = "prompt"


class Sidecars:
    """Collects the captions of a shard's records, in tar order, from the members as they are written: records
    that are copied from an earlier export need nothing else."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._captions: dict[str, dict[str, str]] = {}
        self._scores: dict[str, dict[str, float]] = {}

    def add(self, packed: Packed) -> None:
        """The next record."""
        if not self._wanted:
            return
        record = json.loads(_member(packed, ".json") or "{}")
        found: list[dict[str, Any]] = record[CANDIDATES] or []
        captions = {one["name"]: one["text"] for one in found}
        text = _member(packed, ".txt")
        self._captions[record["id"]] = captions | ({PROMPT: text.decode()} if text else {})
        self._scores[record["id"]] = {one["name"]: one["score"] for one in found if one["score"] is not None}

    def write(self, folder: Path, shard: Shard) -> dict[str, dict[str, Any]]:
        """Write both files; returns their `files` entries, none if they are not wanted."""
        if not self._wanted:
            return {}
        captions, scores = ((dumps(held) + "\n").encode() for held in (self._captions, self._scores))
        held = dict(zip(names(shard), (captions, scores), strict=True))
        records = len(self._captions)
        return {name: _entry(write_whole(folder / name, data), data, records) for name, data in held.items()}


def names(shard: Shard) -> list[str]:
    """The files beside a shard."""
    return [shard.tar.removesuffix(".tar") + ending for ending in SIDECARS]


def read_entries(folder: Path, shard: Shard, records: int) -> dict[str, dict[str, Any]] | None:
    """What `Sidecars.write` returned, of files that lie there; None if one is missing."""
    if not all((folder / name).exists() for name in names(shard)):
        return None
    held = {name: (folder / name).read_bytes() for name in names(shard)}
    return {name: _entry(hashlib.sha256(data).hexdigest(), data, records) for name, data in held.items()}


def _entry(sha: str, data: bytes, records: int) -> dict[str, Any]:
    return {"sha256": sha, "bytes": len(data), "records": records}


def _member(packed: Packed, name: str) -> bytes | None:
    if name not in packed.members:
        return None
    place = packed.members.index(name)
    start = packed.member_offsets[place]
    return packed.data[start : start + packed.member_sizes[place]]
