"""Records of a finished export, one at a time: read by offset, checked against their CRC-32."""

import json
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from thresher.operators.export.manifest import MANIFEST, digest, read_finished
from thresher.pipelines.convert.kinds import kind_of
from thresher.schemas.errors import ThresherError
from thresher.schemas.segments import SEGMENTS, Segment, kinds_of, problems

ROWS = 256
"""Index rows that are held at once."""


@dataclass(frozen=True)
class Sample:
    """A record: its segments, and its members by name without the key (`.jpg`)."""

    key: str
    kind: str
    """One of `kinds.KINDS`."""
    segments: list[Segment]
    members: dict[str, bytes]
    data: bytes = field(repr=False)
    """The record as it lies in the tar, headers and padding included."""
    row: dict[str, Any] = field(repr=False)
    """Its row in the index."""

    def image(self, segment: Segment) -> bytes:
        """The bytes of an image segment's file."""
        return self.members[segment["ref"]]


@dataclass(frozen=True)
class Unread:
    """A record that gives no sample, and `why`: what it is, a colon, and more of it."""

    key: str
    why: str


class Source:
    """The finished export in `folder` (or in its `latest`). Raises ThresherError if there is none."""

    def __init__(self, folder: Path, split: str = "train") -> None:
        self.folder = (folder / "latest" if (folder / "latest").exists() else folder).resolve()
        self.split = split
        dataset = read_finished(self.folder)
        if dataset is None:
            raise ThresherError(
                f"there is no finished export: {MANIFEST} is missing, or not as it was written",
                where=str(folder),
                mend="Name the folder that holds `latest`, such as runs/photos/export/images",
            )
        self.digest = digest(dataset)
        self.records: int = dataset["counts"]["records"]
        self._indices = sorted((self.folder / "index.parquet").glob("*.parquet"))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row of the index, shard by shard, in the order of the tar."""
        for path in self._indices:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(ROWS):
                    yield from batch.to_pylist()

    def held(self, row: dict[str, Any]) -> bool:
        """Whether the record is of another split than the one that is read."""
        return row.get("split", self.split) not in (self.split, None)

    def planned(self, kinds: Collection[str]) -> tuple[int, int]:
        """How many samples of these kinds there should be, and their bytes, from the index alone."""
        count = total = 0
        for row in self.rows():
            if not self.held(row) and kind_of(row["kinds"]) in kinds:
                count, total = count + 1, total + row["size"]
        return count, total

    def samples(self) -> Iterator[Sample | Unread]:
        """Every record in order. Raises ThresherError if a shard is missing."""
        shard, tar = "", None
        try:
            for row in self.rows():
                if row["shard"] != shard or tar is None:
                    if tar:
                        tar.close()
                    shard, tar = row["shard"], open(self.folder / row["shard"], "rb")  # noqa: SIM115
                if self.held(row):
                    yield Unread(row["key"], f"held out: of the split {row['split']}")
                else:
                    yield _read(row, tar)
        finally:
            if tar:
                tar.close()


def _read(row: dict[str, Any], tar: BinaryIO) -> Sample | Unread:
    tar.seek(row["offset"])
    data = tar.read(row["size"])
    if len(data) < row["size"] or zlib.crc32(data) != row["crc32"]:
        return Unread(row["key"], "damaged: their bytes differ from their CRC-32")
    places = zip(row["members"], row["member_offsets"], row["member_sizes"], strict=True)
    members = {name: data[at - row["offset"] : at - row["offset"] + size] for name, at, size in places}
    if SEGMENTS not in members:
        raise ThresherError(
            f"record {row['key']} has no {SEGMENTS.strip('.')}: the export is of an earlier version",
            where=row["shard"],
            mend="Run the recipe again",
        )
    segments = json.loads(members[SEGMENTS])
    if found := problems(segments, members):
        return Unread(row["key"], f"unsound: {found[0]}")
    return Sample(row["key"], kind_of(kinds_of(segments)), segments, members, data, row)
