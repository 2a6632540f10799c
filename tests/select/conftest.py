"""A small live table in memory, cut into parts at will, and the plainest runner."""

import hashlib
import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from thresher.operators.base import Context
from thresher.schemas import Column
from thresher.schemas.decisions import ordinal


class SerialRunner:
    """Sends function, item and result through pickle, as a task on another process does."""

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            sent = pickle.loads(pickle.dumps((fn, item)))
            yield json.loads(json.dumps(sent[0](sent[1])))


@dataclass(frozen=True)
class MemoryTable:
    """`rows` (id and columns) cut into parts of `part_size`."""

    rows: pa.Table
    columns: Mapping[str, Column]
    part_size: int = 1000

    @property
    def parts(self) -> Sequence[int]:
        return range(-(-len(self.rows) // self.part_size))

    def read(self, part: int, columns: Sequence[str]) -> pa.Table:
        piece = self.rows.slice(part * self.part_size, self.part_size)
        row = pa.array(np.arange(len(piece), dtype=np.uint64) + np.uint64(ordinal(part, 0)))
        return pa.table({"row": row, **{name: piece[name] for name in columns}})


def make_ids(n: int, start: int = 0) -> pa.Array:
    digests = [hashlib.blake2b(str(i).encode(), digest_size=16).digest() for i in range(start, start + n)]
    return pa.array(digests, pa.binary(16))


@pytest.fixture
def table_of() -> Callable[..., MemoryTable]:
    """Columns by name (Arrow arrays, numpy arrays or lists) to a table with ids."""

    def build(part_size: int = 1000, described: Sequence[Column] = (), **values: Any) -> MemoryTable:
        arrays = {k: v if isinstance(v, pa.Array) else pa.array(v) for k, v in values.items()}
        n = len(next(iter(arrays.values())))
        rows = pa.table({"id": make_ids(n), **arrays} if "id" not in arrays else arrays)
        columns = {f.name: Column(f.name, f.type, "", "") for f in rows.schema}
        return MemoryTable(rows, columns | {c.name: c for c in described}, part_size)

    return build


@pytest.fixture
def context(tmp_path: Path) -> Callable[[], Context]:
    counter = iter(range(1000))

    def build() -> Context:
        scratch = tmp_path / f"scratch{next(counter)}"
        scratch.mkdir()
        return Context(runner=SerialRunner(), scratch=scratch, seed=0, label="select", roots={})

    return build


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
