"""`placement: append`: the shards of the previous export stay as they are."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from thresher.operators.export.files import explain_full_disk, sync_folder
from thresher.operators.export.placement import id_matrix
from thresher.schemas import ThresherError
from thresher.schemas.ids import id_halves


@dataclass(frozen=True)
class Exported:
    """The ids of earlier generations, sorted, in a file that tasks map; `path` None if there are none."""

    path: Path | None = None

    def without(self, table: pa.Table) -> pa.Table:
        """The rows of `table` whose `id` was not exported before."""
        if self.path is None or not len(table):
            return table
        known = np.load(self.path, mmap_mode="r")
        high, low = id_halves(id_matrix(table["id"]))
        return table.filter(pa.array(~_contains(known[0], known[1], high, low)))


def _contains(known_high: NDArray, known_low: NDArray, high: NDArray, low: NDArray) -> NDArray[np.bool_]:
    """Membership of 128-bit ids in a list sorted by its high halves."""
    first = np.searchsorted(known_high, high, "left")
    last = np.searchsorted(known_high, high, "right")
    found = np.zeros(len(high), bool)
    for k in range(int((last - first).max(initial=0))):
        inside = first + k < last
        found[inside] |= known_low[first[inside] + k] == low[inside]
    return found


@dataclass(frozen=True)
class Previous:
    """A finished export that this one appends to."""

    folder: Path
    dataset: dict[str, Any]

    @property
    def generation(self) -> int:
        """The number of the generation that follows."""
        return int(self.dataset["generation"]) + 1

    def exported(self, scratch: Path) -> Exported:
        """Its ids, written as a file in `scratch`."""
        ids = [id_matrix(pq.read_table(self.folder / name, columns=["id"])["id"]) for name in self._index()]
        high, low = id_halves(np.concatenate([*ids, np.zeros((0, 16), np.uint8)]))
        order = np.lexsort((low, high))
        path = scratch / "exported.npy"
        with explain_full_disk(path, 16 * len(high)):
            np.save(path, np.stack([high[order], low[order]]))
        return Exported(path)

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
        before = pa.ipc.read_schema(pa.BufferReader((self.folder / "schema.arrow").read_bytes()))
        for field in before:
            if field.name in schema.names and schema.field(field.name).type != field.type:
                raise ThresherError(
                    f"the column {field.name!r} was {field.type} and is {schema.field(field.name).type} now",
                    where=str(self.folder),
                    mend="Export with `placement: hash`",
                )

    def _index(self) -> list[str]:
        return [name for name in sorted(self.dataset["files"]) if name.startswith("index.parquet/")]


def open_previous(path: str | None) -> Previous | None:
    """The finished export in the folder `path`, or None if no path is given."""
    if path is None:
        return None
    manifest = Path(path) / "dataset.json"
    if not manifest.exists():
        raise ThresherError(
            "there is no finished export to append to", where=path, mend="Export with `placement: hash` first"
        )
    return Previous(Path(path), json.loads(manifest.read_text()))


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
