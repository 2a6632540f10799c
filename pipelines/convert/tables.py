"""Parquet files in equal pieces, written as the rows come."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GROUP_BYTES = 64_000_000
"""Row groups aim at this size: readers hold a whole one, and so does the writer."""


class Table:
    """`rows` rows of `size` bytes together, spread over `files` files of equally many row groups.

    Readers that share files or row groups among workers leave the rest of the division unread, so both
    counts are multiples of `files`; with fewer rows than that, each row is a file.
    """

    def __init__(self, folder: Path, schema: pa.Schema, rows: int, size: int, files: int) -> None:
        self._folder, self._schema, self._rows = folder, schema, max(rows, 1)
        files = min(files, self._rows)
        self._per_file = min(-(-size // (GROUP_BYTES * files)) or 1, self._rows // files)
        self._groups = files * self._per_file
        self._held: list[dict[str, Any]] = []
        self._group = 0
        self._writer: pq.ParquetWriter | None = None
        self.written = 0
        self.row_groups: dict[str, int] = {}
        """File name -> its row groups."""

    def add(self, row: dict[str, Any]) -> None:
        """Write one row."""
        group = min(self.written, self._rows - 1) * self._groups // self._rows
        if group != self._group:
            self._flush()
        self._held.append(row)
        self._group = group
        self.written += 1

    def close(self) -> None:
        """Write what is left."""
        if self._held:
            self._flush()
        if self._writer:
            self._writer.close()

    def _flush(self) -> None:
        name = f"part-{self._group // self._per_file:05d}.parquet"
        if name not in self.row_groups:
            if self._writer:
                self._writer.close()
            self._folder.mkdir(parents=True, exist_ok=True)
            # Images are compressed already, and no two are alike.
            path = self._folder / name
            self._writer = pq.ParquetWriter(path, self._schema, compression="none", use_dictionary=False)
            self.row_groups[name] = 0
        assert self._writer
        self._writer.write_table(pa.Table.from_pylist(self._held, self._schema), len(self._held))
        self.row_groups[name] += 1
        self._held = []
