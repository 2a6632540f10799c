"""A source's samples as flat columns on disk: what a plan needs of each, and where its bytes lie.

Compiled once from the index and the token counts, and mapped into memory by every process: 34 bytes for an
image with one caption, of which a plan reads 22. The ids lie apart, for they are only looked up.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from thresher.loader.plan.keys import Ints, key, uniform
from thresher.loader.plan.pattern import Pattern, Segment
from thresher.loader.plan.plan import Plan, Stage
from thresher.loader.tokens import Tokenizer, count
from thresher.loader.where import evaluated
from thresher.schemas import ThresherError, UsageError
from thresher.schemas.holdout import COLUMNS, is_held
from thresher.schemas.manifest import Export, Shard, open_export

_COLUMNS: dict[str, Any] = {
    "offset": np.uint32,
    "size": np.uint32,
    "crc": np.uint32,
    "pattern": np.uint16,
    "start": np.uint64,
    "number": np.int32,
    "id": np.dtype("V16"),
}
"""Offsets and sizes are in blocks of a tar; `start` says where a sample's numbers begin in `number`."""
_BLOCK = 512
_PATTERNS = 1 << 16
HELD = "held"
"""Name of the split of contents that `hold` keeps out of training."""


class Place(NamedTuple):
    """A record's bytes."""

    shard: str
    offset: int
    size: int
    crc: int


class Source:
    """The samples of an export that a run reads, in tar order: `plan.Samples`, and their places."""

    def __init__(self, name: str, folder: Path, export: Export, sidecars: Path | None = None) -> None:
        self.name, self.fingerprint, self.folder, self.url = name, folder.name, folder, export.url
        self._column = {c: np.memmap(folder / c, of, "r") for c, of in _COLUMNS.items()}
        self.pattern: NDArray[np.uint16] = self._column["pattern"]
        told = json.loads((folder / "about.json").read_text())
        self.patterns = [_pattern(text) for text in told["patterns"]]
        self._ends = np.array(told["ends"])
        self._shards = [str(sidecars / f"{s.stem}.tar") if sidecars else s.tar for s in export.shards]

    def numbers(self, samples: Ints) -> Ints:
        """Tokens and sizes of samples of one pattern, int64 (len(samples), k)."""
        wide = self.patterns[self.pattern[samples[0]]].starts[-1]
        at = self._column["start"][samples].astype(np.int64)[:, None] + np.arange(wide)
        return self._column["number"][at].astype(np.int64)

    def id(self, sample: int) -> str:
        """32 hex digits."""
        return self._column["id"][sample].tobytes().hex()

    def place(self, samples: Ints) -> list[Place]:
        """Where the records lie."""
        shards = np.searchsorted(self._ends, samples, side="right").tolist()
        offset, size, crc = (self._column[c][samples] for c in ("offset", "size", "crc"))
        offset, size = (blocks.astype(np.int64) * _BLOCK for blocks in (offset, size))
        told = zip(shards, offset.tolist(), size.tolist(), crc.tolist(), strict=True)
        return [Place(self._shards[shard], *rest) for shard, *rest in told]

    def least(self, samples: Ints, count: int) -> Ints:
        """The `count` of those samples with the least ids: ids are hashes, so these stay as others come."""
        first = self._column["id"][samples].view(">u8")[::2]
        return samples[np.argsort(first, kind="stable")[:count]]

    def find(self, prefix: str) -> list[int]:
        """The samples whose id begins with those hex digits: more than one where a sample is repeated."""
        if prefix.strip("0123456789abcdef") or not prefix:
            raise UsageError(
                f"{prefix!r} is no id", mend="Ids are hex digits; `thresher explain KEY` tells them"
            )
        whole = bytes.fromhex(prefix[: len(prefix) // 2 * 2])
        ids = self._column["id"].view(np.uint8).reshape(-1, 16)[:, : len(whole)]
        found = np.flatnonzero((ids == np.frombuffer(whole, np.uint8)).all(axis=1)).tolist()
        return [sample for sample in found if self.id(sample).startswith(prefix)]


def open_source(
    name: str,
    export: str | Path,
    tokenizer: Tokenizer,
    *,
    where: str | None = None,
    split: str = "train",
    hold: int = 0,
    stored: str = "",
) -> Source:
    """The samples of `export` for which `where` holds, each as often an epoch as its `sampling_weight` says.

    `split`: of the index's column of that name, or `held`: contents that `hold` per mille keep out of
    training, by a hash of the image's bytes. What shares a group with them is not trained on either.
    `stored`: name of the sidecars that records are read from, with latents in place of images.
    Raises ThresherError where the export is not whole or has no such sample, UsageError for `where`.
    """
    held = open_export(export)
    sidecars = stored_folder(held, stored) if stored else None
    if sidecars and not sidecars.exists():
        raise ThresherError(
            f"no latents are stored here as {stored!r}", held.url, "Make them with `thresher precompute`"
        )
    folder = held.home("tokens") / tokenizer.id / held.key(tokenizer.id, where, split, hold, stored)
    if not folder.exists():
        counts = count(export, tokenizer)
        with TemporaryDirectory(dir=counts) as half:
            whole = Path(half, "whole")
            _compile(held, counts, whole, _Choice(held, where, split, hold), sidecars)
            with suppress(OSError):  # another process was first
                whole.rename(folder)
    if not (folder / "id").stat().st_size:
        raise ThresherError(
            f"the source {name!r} is empty: no sample of the split {split!r}"
            + (f" has {where}" if where else ""),
            held.url,
            "Widen `where`, or name another split or export",
        )
    return Source(name, folder, held, sidecars)


def check_stored(name: str, latents: str, stage: Stage) -> None:
    """Raise UsageError if a stage cannot be trained from what is stored under that name, if it has one."""
    made = f"{latents}-{stage.how.image.base}"
    if name and name != made and not name.startswith(f"{made}-"):
        what = f"the stage {stage.name!r} needs latents stored as {made!r}, not {name!r}"
        raise UsageError(what, "image.stored", "Make them with `thresher precompute`")
    if name and (stage.how.understanding or stage.how.long == "next_bucket"):
        what = (
            f"the stage {stage.name!r} understands images, or makes long ones smaller: it needs their pixels"
        )
        raise UsageError(what, "image.stored", "Leave `stored` out, or `und` and `long: next_bucket`")


def stored_folder(export: Export, name: str) -> Path:
    """Where sidecars of that name lie: a tar and a table of places for each shard of the export."""
    return export.home("stored") / name


class Found(NamedTuple):
    """A sample in a row of a step."""

    source: str
    id: str
    epoch: int
    step: int
    row: int
    place: int


def find(plan: Plan, sources: Sequence[Source], prefix: str, epochs: int) -> Iterator[Found]:
    """Where the plan has the samples whose id begins with `prefix`, in the first epochs."""
    for s, source in enumerate(sources):
        for sample in source.find(prefix.lower()):
            for at in plan.where(s, sample, epochs):
                yield Found(source.name, source.id(sample), *at)


class _Choice:
    """Which records of a shard are samples, and how often."""

    def __init__(self, export: Export, where: str | None, split: str, hold: int) -> None:
        self.where, self.split, self.hold, self.columns = where, split, hold, export.columns
        self._groups: dict[str, set[Any]] = {"group_id": set(), "dup_group": set()}
        for shard in export.shards if hold and split != HELD else []:
            rows = shard.rows(sorted({*COLUMNS, *self._groups}))
            kept = rows.filter(pa.array(is_held(rows, self.hold)))
            for column, values in self._groups.items():
                values.update(kept[column].drop_null().to_pylist())

    def rows(self, rows: pa.Table) -> Ints:
        """Row numbers, rising, as often as each stands in an epoch."""
        chosen = np.ones(len(rows), bool)
        if self.split == HELD:
            chosen &= is_held(rows, self.hold)
        elif "split" in rows.column_names:
            chosen &= pc.equal(rows["split"].fill_null("train"), self.split).to_numpy()
        if self.split != HELD:
            for column, values in self._groups.items():
                among = pc.is_in(rows[column], pa.array(list(values), rows.schema.field(column).type))
                chosen &= ~among.to_numpy()
        if self.where:
            chosen &= evaluated(self.where, rows, self.columns)
        ids = np.frombuffer(b"".join(rows["id"].to_pylist()), np.int64)[::2]
        weight = rows["sampling_weight"].to_numpy()
        more = uniform(key("order", "weight"), ids) < weight % 1
        return np.repeat(np.arange(len(rows)), np.where(chosen, weight.astype(np.int64) + more, 0))


def _compile(
    export: Export, counts: Path, folder: Path, choice: _Choice, sidecars: Path | None = None
) -> None:
    """Write the columns, shard by shard."""
    folder.mkdir(parents=True, exist_ok=True)
    patterns: dict[str, int] = {}
    ends, numbers = [0], 0
    files = {column: (folder / column).open("wb") for column in _COLUMNS}
    for shard in export.shards:
        rows, counted = shard.rows(), pq.read_table(counts / f"{shard.stem}.parquet")
        places = _sidecar(sidecars, shard).take(rows["ordinal"]) if sidecars else rows
        segments = counted["segments"].combine_chunks()
        number = [patterns.setdefault(text, len(patterns)) for text in segments.dictionary.to_pylist()]
        at = choice.rows(rows)
        at = at[(segments.indices.to_numpy()[at] != segments.dictionary.index("[]").as_py())]
        held = counted["numbers"].combine_chunks().take(pa.array(at))
        start = held.offsets.to_numpy()[:-1] - held.offsets[0].as_py() + numbers
        for column, values in {
            "offset": places["offset"].to_numpy()[at] // _BLOCK,
            "size": places["size"].to_numpy()[at] // _BLOCK,
            "crc": places["crc32"].to_numpy()[at],
            "pattern": np.array(number)[segments.indices.to_numpy()[at]],
            "start": start,
            "number": held.flatten().to_numpy(),
            "id": np.frombuffer(b"".join(rows["id"].to_pylist()), "V16")[at],
        }.items():
            values.astype(_COLUMNS[column]).tofile(files[column])
        numbers, ends = numbers + len(held.flatten()), [*ends, ends[-1] + len(at)]
    for file in files.values():
        file.close()
    if len(patterns) > _PATTERNS:
        raise ThresherError(f"its samples have {len(patterns):,} structures, over {_PATTERNS:,}", export.url)
    (folder / "about.json").write_text(json.dumps({"patterns": list(patterns), "ends": ends[1:]}))


def _sidecar(folder: Path, shard: Shard) -> pa.Table:
    """Places of a shard's sidecar, in the order of its tar. Raises ThresherError if it is of another tar."""
    file = folder / f"{shard.stem}.parquet"
    if not file.exists() or (pq.read_schema(file).metadata or {}).get(b"tar") != shard.tar_sha.encode():
        what = "what is stored of this shard is missing, or of another tar"
        raise ThresherError(what, str(file), "Run `thresher precompute` again")
    return pq.read_table(file)


def _pattern(text: str) -> Pattern:
    """The pattern of a structure as `tokens.structure` tells it."""
    told = [{"variants": ()} | s for s in json.loads(text)]
    return Pattern(
        tuple(
            Segment(s["kind"], s["role"], tuple(s["variants"]), bool(s["loss"]), s["drop"], s["group"])
            for s in told
        )
    )
