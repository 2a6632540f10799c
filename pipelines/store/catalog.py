"""The catalog of a table: heads in parts, row order fixed for ever, parts only appended."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from thresher.pipelines.store import manifest
from thresher.pipelines.store.files import RESTORE, FileInfo, read_table, write_table
from thresher.schemas.errors import ThresherError
from thresher.schemas.records import catalog_schema

PART_MIN, PART_MAX = 256, 4096


def stored_schema(kind: str) -> pa.Schema:
    """The catalog's row on disk: with `unit`, the uri of the file that holds the record, and `head`,
    a 64-bit hash of what a shard shows of the row besides its columns (media, text or items, meta)."""
    schema = catalog_schema(kind)
    return schema.append(pa.field("unit", pa.string())).append(pa.field("head", pa.uint64()))


class Catalog:
    """Committed parts of one table. A part that the manifest does not list was never committed."""

    rows: list[int]
    """Rows of each part."""
    starts: np.ndarray
    """Place of each part's first row in the table, and the table's length at the end (int64)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._infos = manifest.read_manifest(folder)
        self._count()

    def _count(self) -> None:
        by_part = sorted((manifest.parse_name(name)[0], info.rows) for name, info in self._infos.items())
        self.rows = [rows for _, rows in by_part]
        self.starts = np.concatenate([[0], np.cumsum(self.rows, dtype=np.int64)]).astype(np.int64)

    def read(self, part: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns of one part, in part order."""
        return read_table(self.folder / manifest.part_name(part), columns)

    def check(self) -> None:
        """Raise ThresherError when a committed part lost a row or vanished."""
        present = manifest.check_folder(self.folder, "ingest", self.rows)
        for name in self._infos:
            if name not in present:
                raise ThresherError(f"{self.folder / name} has vanished", "step ingest", RESTORE)

    def append(self, tables: Sequence[pa.Table], part_size: int | None, kind: str) -> int:
        """Commit new rows, one table for each source, as new parts; returns how many parts.

        Rows must come in their final order. Nothing is visible before the manifest is replaced.
        """
        infos: list[FileInfo] = []
        first = len(self._infos)
        schema = stored_schema(kind)
        for table in tables:
            size = part_size or min(max(table.num_rows // 64, PART_MIN), PART_MAX)
            for start in range(0, table.num_rows, size):
                rows = table.slice(start, size).select(schema.names).cast(schema)
                infos.append(write_table(self.folder / manifest.part_name(first + len(infos)), rows))
        if infos:
            self._infos |= {info.file: info for info in infos}
            manifest.write_manifest(self.folder, self._infos.values())
            self._count()
        return len(infos)
