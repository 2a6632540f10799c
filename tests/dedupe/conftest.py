"""A pool in memory, runners with one and two processes, and the photographs of the demo extra."""

import contextlib
import multiprocessing
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from thresher.operators.base import Batch, Context
from thresher.operators.dedupe.dct import dct_hash
from thresher.operators.views import open_views
from thresher.operators.views.margins import trim_box
from thresher.schemas import Column, Media, Record
from thresher.schemas.ids import record_id

_tables: dict[int, "MemoryTable"] = {}
"""Workers are forked after their table was made: it travels as a number."""


def _table(number: int) -> "MemoryTable":
    return _tables[number]


class MemoryTable:
    """Live records, cut into parts of `part_size` rows."""

    def __reduce__(self):
        return _table, (id(self),)

    def __init__(self, records: pa.Table, part_size: int = 50, first_part: int = 0) -> None:
        _tables[id(self)] = self
        self.data = {}
        for part, start in enumerate(range(0, len(records), part_size), first_part):
            piece = records.take(list(range(start, min(start + part_size, len(records)))))
            row = pa.array([part << 24 | 3 * i for i in range(len(piece))], pa.uint64())
            self.data[part] = piece.append_column("row", row)
        names = records.schema
        self.columns = {f.name: Column(f.name, f.type, "", "") for f in names}

    @property
    def parts(self) -> list[int]:
        return sorted(self.data)

    def read(self, part: int, columns) -> pa.Table:
        return self.data[part].select(["row", *columns])


class InProcess:
    def map(self, fn, items):
        return map(fn, items)


class TwoWorkers:
    def map(self, fn, items):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            yield from pool.imap(fn, items)


class Counting(InProcess):
    """Counts the tasks it runs."""

    tasks = 0

    def map(self, fn, items):
        for item in items:
            self.tasks += 1
            yield fn(item)


@pytest.fixture
def counting():
    return Counting


@contextlib.contextmanager
def _guard(limit: float):
    start = time.process_time()
    yield
    assert time.process_time() - start < 10 * limit


@pytest.fixture
def guard():
    """guard(seconds): ten times what an acceptance line allows, in CPU time, so that only work that has
    grown by its kind fails. `infra/bench/dedupe.py --worst` prints the times themselves."""
    return _guard


@pytest.fixture
def memory_table():
    return MemoryTable


@pytest.fixture(params=[InProcess, TwoWorkers], ids=["1 worker", "2 workers"])
def runner(request):
    return request.param()


@pytest.fixture
def decide(tmp_path: Path):
    """decide(step, records, runner=..., ...) -> (table of id and decisions sorted by id, facts)."""
    calls = iter(range(1_000_000))

    def run(step, records, runner=None, **cut):
        table = MemoryTable(records, **cut)
        scratch = tmp_path / f"scratch-{next(calls)}"
        scratch.mkdir()
        context = Context(runner or InProcess(), scratch, seed=0, label="dedupe", roots={})
        answers = []
        for part, answer in step.decide(table, context):
            assert answer.schema.names[-len(step.writes()) :] == [c.name for c in step.writes()]
            for column in step.writes():
                assert answer.schema.field(column.name).type == column.dtype
            assert sorted(answer["row"].to_pylist()) == table.data[part]["row"].to_pylist()
            answers.append(_with_id(answer, table, part))
        whole = pa.concat_tables(answers) if answers else None
        assert whole is None or len(whole) == len(records)
        return (whole.sort_by("id").drop_columns(["row"]) if whole else None), context.facts

    return run


def _with_id(answer: pa.Table, table: MemoryTable, part: int) -> pa.Table:
    known = dict(zip(table.data[part]["row"].to_pylist(), table.data[part]["id"].to_pylist(), strict=True))
    ids = pa.array([known[r] for r in answer["row"].to_pylist()], pa.binary(16))
    return answer.append_column("id", ids)


@pytest.fixture
def head():
    """head(n, **columns): n records' catalog columns and quality columns, with defaults."""

    def build(n: int, name: str = "r", **columns) -> pa.Table:
        base = {
            "id": pa.array([record_id("pool", f"{name}{i}".encode()) for i in range(n)], pa.binary(16)),
            "source": pa.array(["pool"] * n),
            "text": pa.array([None] * n, pa.string()),
            "licence": pa.array(["CC0-1.0"] * n),
            "width": pa.array([640] * n, pa.int32()),
            "height": pa.array([480] * n, pa.int32()),
            "lossless": pa.array([False] * n),
            "bytes": pa.array([1000] * n, pa.int64()),
            "letterbox": pa.array([[0, 0, 0, 0]] * n, pa.list_(pa.int32(), 4)),
        }
        return pa.table(base | columns)

    return build


@pytest.fixture
def near_columns():
    """near_columns(images): the columns that `hash.near` writes, from rgb(512) arrays."""

    def build(images) -> dict[str, pa.Array]:
        hashes = []
        for rgb in images:
            left, top, right, bottom = trim_box(rgb)
            hashes.append(dct_hash(rgb[top : rgb.shape[0] - bottom, left : rgb.shape[1] - right]))
        return {
            "phash": pa.array([h.phash for h in hashes], pa.uint64()),
            "phash256": pa.array([h.phash256 for h in hashes], pa.binary(32)),
            "tiny_rgb": pa.array([h.tiny_rgb for h in hashes], pa.binary(48)),
            "ac_rms": pa.array([h.ac_rms for h in hashes], pa.float32()),
        }

    return build


@pytest.fixture
def measure():
    """measure(step, files): a Measure's columns for encoded files."""

    def run(step, files):
        opened = [open_views(data, step.views) for data in files]
        ids = [record_id("pool", f"file{i}".encode()) for i in range(len(files))]
        media = (Media("image", "file", None, None, ""),)
        records = [Record(i, "pool", i.hex(), media) for i in ids]
        values = step.measure(Batch(records, {view: [o[view] for o in opened] for view in step.views}))
        assert not values.failures
        assert [c.name for c in step.writes()] == list(values.columns)
        return values.columns

    return run


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """18 distinct photographs, uint8 RGB."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    names = ["astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "retina", "camera", "coins"]
    names += ["immunohistochemistry", "moon", "page", "clock", "brick", "grass", "gravel", "cell"]
    found = [np.asarray(getattr(data, name)()) for name in names]
    found += [np.asarray(image) for image in load_sample_images().images]
    return [np.ascontiguousarray(np.stack([p] * 3, axis=2) if p.ndim == 2 else p[..., :3]) for p in found]
