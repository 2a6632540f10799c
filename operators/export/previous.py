"""The finished export before this one: `append` leaves its shards alone, `hash` copies from them."""

import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from thresher.operators.export.files import explain_full_disk, sync_folder
from thresher.operators.export.manifest import DATASET_VERSION, SCHEMA, read_finished, require_current
from thresher.operators.export.placement import Shard
from thresher.operators.shuffle import save_array
from thresher.schemas import ThresherError
from thresher.schemas.ids import byte_rows
from thresher.schemas.index import INDEX, LOCATED
from thresher.schemas.tar import Packed


class Damaged(ThresherError):
    """A record of the previous export does not read back; its shards are not to be copied from."""


def known_in(path: Path | None, column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which 16-byte values are in the file that `Previous.known` wrote, which tasks map; none without one."""
    if path is None:
        return np.zeros(len(column), np.bool_)
    known, values = np.load(path, mmap_mode="r"), _digests(column)
    return np.searchsorted(known, values, "right") > np.searchsorted(known, values, "left")


def _digests(column: pa.ChunkedArray) -> NDArray[np.bytes_]:
    return byte_rows(column).view("S16")[:, 0]


@dataclass(frozen=True)
class Previous:
    """A finished export."""

    folder: Path
    dataset: dict[str, Any]

    @property
    def generation(self) -> int:
        """The number of the generation that follows."""
        return int(self.dataset["generation"]) + 1

    def known(self, column: str, scratch: Path) -> Path:
        """The `column` (`id` or `content`) of all its records, sorted, in a file in `scratch`."""
        names = [name for name in sorted(self.dataset["files"]) if name.startswith("index.parquet/")]
        values = [_digests(pq.read_table(self.folder / name, columns=[column])[column]) for name in names]
        path = scratch / f"previous-{column}.npy"
        save_array(path, np.sort(np.concatenate([*values, np.zeros(0, "S16")])))
        return path

    def whole(self) -> bool:
        """True if every file is there with its size."""
        sizes = ((self.folder / name, about["bytes"]) for name, about in self.dataset["files"].items())
        return all(path.exists() and path.stat().st_size == size for path, size in sizes)

    # --- placement: append --------------------------------------------------------------------

    def link(self, target: Path) -> dict[str, dict[str, Any]]:
        """Bring its shards and their index files into `target`; returns their `files` entries."""
        kept = {name: about for name, about in self.dataset["files"].items() if "records" in about}
        for name, about in kept.items():
            _link(self.folder / name, target / name, about["bytes"])
        for folder in (target, target / "index.parquet"):
            sync_folder(folder)
        return kept

    def check_schema(self, schema: pa.Schema) -> None:
        """Refuse to append records whose columns have other types than before."""
        before = pa.ipc.read_schema(pa.BufferReader((self.folder / SCHEMA).read_bytes()))
        for field in before:
            if field.name in schema.names and schema.field(field.name).type != field.type:
                raise ThresherError(
                    f"the column {field.name!r} was {field.type} and is {schema.field(field.name).type} now",
                    where=str(self.folder),
                    mend="Export with `placement: hash`",
                )

    # --- placement: hash ----------------------------------------------------------------------

    def find(self, shard: Shard, content: pa.ChunkedArray) -> pa.Table:
        """The index rows of records that `shard` takes over: row i is that of `content[i]`, 16 bytes."""
        if not len(content):
            return INDEX.empty_table()
        tables = [pq.read_table(self.folder / old.index) for old in self._overlapping(shard)]
        rows = pa.concat_tables(tables).combine_chunks()
        return rows.take(pc.index_in(content, rows["content"]))

    def copy(self, rows: pa.Table) -> Iterator[Packed]:
        """The members of each record of `rows` (of its index), with tar headers and padding, as they lie
        in its shard. Raises Damaged where their CRC-32 differs from the index's."""
        files: dict[str, int] = {}
        with ExitStack() as stack:
            for row in rows.select(LOCATED).to_pylist():
                if row["shard"] not in files:
                    file = stack.enter_context(open(self.folder / row["shard"], "rb", buffering=0))
                    files[row["shard"]] = file.fileno()
                data = os.pread(files[row["shard"]], row["size"], row["offset"])
                if zlib.crc32(data) != row["crc32"]:
                    raise Damaged(f"the record {row['key']} is not as it was written", str(self.folder))
                offsets = [offset - row["offset"] for offset in row["member_offsets"]]
                yield Packed(data, row["members"], offsets, row["member_sizes"])

    def _overlapping(self, shard: Shard) -> list[Shard]:
        """Its shards that hold the records of a shard's range of hashes, in its bucket."""
        pattern = re.compile(re.escape(shard.bucket) + r"-\d+-of-(\d+)\.tar")
        of = next(int(found[1]) for name in self.dataset["files"] if (found := pattern.fullmatch(name)))
        first, last = shard.number * of // shard.of, ((shard.number + 1) * of - 1) // shard.of
        return [Shard(shard.bucket, number, of, 0) for number in range(first, last + 1)]


def appendable(path: str | None, who: Mapping[str, Any]) -> Previous | None:
    """The finished export in the folder `path` that `append` grows, or None if no path is given.

    Raises ThresherError if there is none, or if another recipe, table or version of the format made it.
    """
    if path is None:
        return None
    dataset = read_finished(Path(path))
    if dataset is None:
        raise ThresherError(
            "there is no finished export to append to", where=path, mend="Export with `placement: hash` first"
        )
    require_current(dataset, path, "Export with `placement: hash`: shards of both cannot stand in one index")
    made, mine = dataset["identity"], who["identity"]
    if any(name in mine and made.get(name) != mine[name] for name in ("recipe", "table")):
        raise ThresherError(
            f"the export there is of the table {made.get('table')} of the recipe {made.get('recipe')}",
            where=path,
            mend="Name another folder with `export.to`",
        )
    return Previous(Path(path), dataset)


def reusable(path: str | None, who: Mapping[str, Any]) -> Previous | None:
    """The finished export in the folder `path`, if records of equal content have equal bytes there and
    lie in shards of the same hashes: same parameters but the shards' size, same seed, every file there."""
    dataset = read_finished(Path(path)) if path else None
    if dataset is None or dataset["dataset_version"] != DATASET_VERSION or dataset["generation"]:
        return None
    wanted, found = (
        (given["seed"], {k: v for k, v in given["parameters"].items() if k != "shard_size"})
        for given in (json.loads(json.dumps(who)), dataset)
    )
    previous = Previous(Path(str(path)), dataset)
    return previous if wanted == found and previous.whole() else None


def _link(source: Path, target: Path, size: int) -> None:
    if not source.exists() or source.stat().st_size != size:
        raise ThresherError(
            "the previous export is not as it was written",
            where=str(source),
            mend="Restore it, or export with `placement: hash`",
        )
    if target.exists() and target.stat().st_size == size:
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    with explain_full_disk(target, size):
        try:
            os.link(source, temporary)
        except OSError:
            temporary.unlink(missing_ok=True)
            shutil.copyfile(source, temporary)
    temporary.replace(target)
