"""What a training run told of its samples (`RUN/samples/step-*.parquet`), as one row for each visit."""

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from thresher.schemas import ThresherError

TEXT, IMAGE = 0, 1
"""Kinds of visits; further kinds are values that stand for themselves."""
ROW = np.dtype(
    [("id", "S16"), ("kind", "u1"), ("step", "i8"), ("slot", "i8"), ("value", "f8"), ("weight", "f8")]
)
"""A sample's loss at one step: nats a token over `weight` tokens, or deviations over `weight` images."""
Rows = NDArray[Any]
Levels = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Mean and standard deviation of the losses at each level: tenth of the noise of one stage."""
BATCH = 1 << 16
TENTHS = 10
_NAME = re.compile(r"step-(\d+)-\d+\.parquet")
_NEVER = 2**63 - 1
_ROUNDING = 1e-12
"""Of equal losses' variance, beside their square."""


class Visits:
    """The files of a run. Raises ThresherError where there are none, or one cannot be read.

    A run that was killed may have written steps that it made again after it went on: a row counts only where
    no file of a later end covers its step.
    """

    def __init__(self, run: Path) -> None:
        named = ((_NAME.fullmatch(file.name), file) for file in run.glob("samples/step-*.parquet"))
        ends = sorted((int(match[1]), file) for match, file in named if match)
        if not ends:
            what = "holds no losses of samples" if run.is_dir() else "there is no such folder"
            raise ThresherError(what, str(run), "Name the folder of a run of `thresher train`")
        self.count = 0
        """Visits, those that do not count among them."""
        self._until: dict[Path, int] = {}
        first: dict[int, int] = {}
        for end, file in reversed(ends):
            self._until[file] = min((step for other, step in first.items() if other > end), default=_NEVER)
            rows, step = _extent(file)
            self.count, first[end] = self.count + rows, min(step, first.get(end, _NEVER))
        self._stages: dict[str, int] = {}

    def digest(self) -> str:
        """Of the files' names, sizes and footers, which hold the range of each column."""
        return digest_of(sorted(self._until))

    def rows(self) -> Iterator[Rows]:
        """All visits as `ROW`, text apart from images."""
        mean, deviation = self._levels()
        for batch in self._batches(["id", "stage", "slot", "ce", "ce_tokens", "mse", "t"]):
            ids = from_hex(batch["id"])
            at = {name: batch[name].to_numpy() for name in ("step", "slot")}
            losses = batch["ce"].to_numpy(zero_copy_only=False)
            yield made(TEXT, ids, losses, batch["ce_tokens"].to_numpy(), **at)
            visit, level, losses = self._images(batch)
            apart = deviation[level] > 0
            losses = np.divide(losses - mean[level], deviation[level], np.zeros(len(visit)), where=apart)
            images = np.bincount(visit, minlength=len(ids))
            with np.errstate(invalid="ignore"):
                losses = np.bincount(visit, losses, len(ids)) / images
            yield made(IMAGE, ids, losses, images, **at)

    def _batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """At most `BATCH` visits at a time, in the order of steps."""
        for file, until in reversed(self._until.items()):
            for batch in batches(file, [*columns, "step"]):
                yield batch.filter(pc.less(batch["step"], until))

    def _levels(self) -> Levels:
        """One look at all images."""
        sums = np.zeros((3, 0))
        for batch in self._batches(["stage", "mse", "t"]):
            _, level, losses = self._images(batch)
            more = len(self._stages) * TENTHS
            sums = np.pad(sums, ((0, 0), (0, more - sums.shape[1])))
            for i, values in enumerate((np.ones(len(level)), losses, losses**2)):
                sums[i] += np.bincount(level, values, more)
        count = np.maximum(sums[0], 1)
        mean = sums[1] / count
        variance = sums[2] / count - mean**2
        return mean, np.sqrt(np.where(variance > _ROUNDING * mean**2, variance, 0))

    def _images(self, batch: pa.RecordBatch) -> tuple[NDArray[np.int64], NDArray[np.int64], Any]:
        """For each image that was learnt its row in the batch, its level and its loss."""
        stages = pc.dictionary_encode(batch["stage"])
        codes = [self._stages.setdefault(name, len(self._stages)) for name in stages.dictionary.to_pylist()]
        visit = pc.list_parent_indices(batch["mse"]).to_numpy()
        stage = np.array(codes, np.int64)[stages.indices.to_numpy()[visit]]
        losses, times = (pc.list_flatten(batch[name]).to_numpy().astype(float) for name in ("mse", "t"))
        level = stage * TENTHS + np.clip((times * TENTHS).astype(int), 0, TENTHS - 1)
        finite = np.isfinite(losses)
        return visit[finite], level[finite], losses[finite]


def made(kind: int, ids: Rows, values: Any, weights: Any, step: Any = 0, slot: Any = 0) -> Rows:
    """Those with a value, as `ROW`."""
    rows = np.empty(len(ids), ROW)
    columns = {"id": ids, "kind": kind, "step": step, "slot": slot, "value": values, "weight": weights}
    for name, column in columns.items():
        rows[name] = column
    return rows[np.isfinite(rows["value"])]


def batches(file: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Of a Parquet file, at most `BATCH` rows each. Raises ThresherError."""
    try:
        yield from pq.ParquetFile(file).iter_batches(BATCH, columns=list(columns))
    except (OSError, pa.ArrowException, KeyError) as error:
        raise _unreadable(file, error) from error


def digest_of(files: Sequence[Path]) -> str:
    """16 hex digits, of the files' names, sizes and Parquet footers: no more is read of large files."""
    told = blake2b(digest_size=8)
    for file in files:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - 8))
            length = int.from_bytes(stream.read(4), "little") + 8
            stream.seek(max(0, size - length))
            told.update(f"{file.name} {size} ".encode() + stream.read())
    return told.hexdigest()


def from_hex(ids: pa.Array) -> Rows:
    """`S16` of ids of 32 hex digits."""
    digits = np.asarray(ids.to_numpy(zero_copy_only=False), "S32")
    return np.frombuffer(bytes.fromhex(digits.tobytes().decode("ascii")), "S16")


def _extent(file: Path) -> tuple[int, int]:
    """Rows, and the first step."""
    try:
        told = pq.ParquetFile(file).metadata
        step = pq.ParquetFile(file).schema_arrow.get_field_index("step")
        groups = [told.row_group(i) for i in range(told.num_row_groups)]
        if step < 0:
            raise pa.ArrowInvalid("it has no column 'step'")
        least = [g.column(step).statistics.min for g in groups if g.num_rows]
    except (OSError, pa.ArrowException, AttributeError) as error:
        raise _unreadable(file, error) from error
    return told.num_rows, min(least, default=_NEVER)


def _unreadable(file: Path, error: Exception) -> ThresherError:
    what = f"the losses cannot be read: {str(error).strip().partition(chr(10))[0]}"
    return ThresherError(what, str(file), "Take the file away, or train that part again")
