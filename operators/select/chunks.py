"""Parts in groups that make one task each, and the files in which tasks leave their decisions."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from thresher.operators.base import TableReader

_PARTS = 16


class Chunk(NamedTuple):
    """Some parts, next to each other."""

    number: int
    parts: list[int]

    def read(self, table: TableReader, columns: Sequence[str]) -> pa.Table:
        """`row` and the named columns of the live rows of its parts, in order."""
        return pa.concat_tables([table.read(part, list(dict.fromkeys(columns))) for part in self.parts])

    def decided(self, scratch: Path, step: int) -> Path:
        """The file of its rows' decisions after `step` quotas."""
        return scratch / f"decided-{step}-{self.number}.arrow"


def chunks_of(parts: Sequence[int]) -> list[Chunk]:
    """All parts, in chunks."""
    return [Chunk(i, list(parts[at : at + _PARTS])) for i, at in enumerate(range(0, len(parts), _PARTS))]
