"""Select over synthetic rows: seconds and peak memory at two sizes, so that the cost of a row shows.

    python infra/bench/select_rows.py [--rows 100000 1000000]

Five predicates (one with a quantile for each source), one quota; one process; the rows are made part
by part from a counter and never all in memory. Must reach: cost for each row flat or falling.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from common import machine, print_table

from thresher.operators.base import Context
from thresher.operators.select import Select, SelectParams
from thresher.schemas import Column
from thresher.schemas.ids import mix64

PART = 4096
COLUMNS = {
    c.name: c
    for c in [
        Column("id", pa.binary(16), "", ""),
        Column("source", pa.string(), "", ""),
        Column("short_side", pa.int32(), "px", "", 1),
        Column("sharpness", pa.float32(), "levels^2", "", 0),
        Column("text_area", pa.float32(), "share", "", 0, 1),
        Column("aesthetic", pa.float32(), "", "", 1, 10),
    ]
}
PARAMS: dict[str, Any] = {
    "drop": {
        "too_small": "short_side < 512px",
        "blurry": "sharpness < quantile(sharpness, 1%, by=source)",
        "text_dense": "text_area > 30% and source == 'source-1'",
        "unaesthetic": "aesthetic < quantile(aesthetic, 5%)",
    },
    "keep_anyway": "aesthetic > 9.9",
    "at_most": {"per": "source", "n": 5000, "by": "-aesthetic"},
}


@dataclass(frozen=True)
class Synthetic:
    """`rows` records that are a function of their number."""

    rows: int
    columns: Mapping[str, Column]

    @property
    def parts(self) -> Sequence[int]:
        return range(-(-self.rows // PART))

    def read(self, part: int, columns: Sequence[str]) -> pa.Table:
        count = min(PART, self.rows - part * PART)
        number = np.arange(part * PART, part * PART + count, dtype=np.uint64)
        row = (np.uint64(part) << np.uint64(24)) + np.arange(count, dtype=np.uint64)
        return pa.table({"row": row, **{name: _column(name, number) for name in columns}})


def _column(name: str, number: np.ndarray) -> pa.Array:
    salt = np.uint64(list(COLUMNS).index(name) << 56)
    bits = mix64(number ^ salt)
    share = (bits >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
    match name:
        case "id":
            raw = np.stack([bits, mix64(bits)], axis=1).tobytes()
            return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(bits), [None, pa.py_buffer(raw)])
        case "source":
            names = pa.array([f"source-{i}" for i in range(100)])
            return names.take(pa.array((share * share * 100).astype(np.int64)))
        case "short_side":
            return pa.array((share * 2000 + 300).astype(np.int32))
        case "sharpness":
            return pa.array(-np.log1p(-share) * 100, mask=share < 0.01)
        case "aesthetic":
            return pa.array(1 + share * 9)
    return pa.array(share)


class Serial:
    """The plainest runner."""

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return map(fn, items)


def measure(rows: int) -> None:
    """Run select once; print a line of the table as JSON."""
    operator = Select(SelectParams.model_validate(PARAMS))
    operator.check(COLUMNS)
    table = Synthetic(rows, COLUMNS)
    start, cpu = time.perf_counter(), time.process_time()
    for part in table.parts:
        table.read(part, list(COLUMNS))
    making = time.process_time() - cpu
    cpu = time.process_time()
    kept = seen = 0
    with tempfile.TemporaryDirectory() as scratch:
        context = Context(runner=Serial(), scratch=Path(scratch), seed=0, label="select", roots={})
        for _, decisions in operator.decide(table, context):
            seen += len(decisions)
            kept += int(np.count_nonzero(decisions["kept"].to_numpy()))
    assert seen == rows
    cpu = time.process_time() - cpu
    wall = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = cpu / rows * 1e6
    print(json.dumps([f"{rows:,}", kept, wall, cpu, each, making, peak]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    rows = parser.parse_args().rows
    if len(rows) == 1:
        return measure(rows[0])
    print(machine() + "\n")
    command = [sys.executable, __file__, "--rows"]
    lines = [json.loads(subprocess.check_output([*command, str(count)])) for count in rows]
    print_table(["rows", "kept", "wall s", "CPU s", "CPU us/row", "read s", "RSS MB"], lines)


if __name__ == "__main__":
    main()
