"""The device's half of a pass, on a device that only says that it is one: lanes, batches, faults in them."""

import json
import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from thresher.operators.base import Failure
from thresher.operators.models.model import ModelMeasure
from thresher.pipelines.execute import computer as module
from thresher.pipelines.execute.task import OperatorSpec, PassTask
from thresher.pipelines.execute.usage import gather
from thresher.schemas import Column, Reason
from thresher.schemas.errors import ThresherError


class Half(ModelMeasure):
    """Half of each number; slower for the first of them, so that lanes end out of order."""

    name = "half"

    def __init__(self, limit: int = 10**9, stops_at: float = -1) -> None:
        super().__init__()
        self.limit, self.stops_at = limit, stops_at
        self.sizes: list[int] = []
        self.threads: set[str] = set()
        self.loads = 0

    def writes(self):
        return [Column("half", pa.float32(), "", "")]

    def revision(self):
        return str(id(self))

    def load(self, device):
        self.loads += 1

    def prepare(self, batch):
        return batch.records

    def forward(self, model, inputs):
        if len(inputs) > self.limit:
            raise MemoryError("out of memory")
        if self.stops_at in inputs:
            raise ThresherError("broken")
        time.sleep(0.05 if inputs[0] < 10 else 0.01)
        self.sizes.append(len(inputs))
        self.threads.add(threading.current_thread().name)
        return {"half": [x / 2 for x in inputs]}


@pytest.fixture
def computer(tmp_path, monkeypatch):
    def make(measure: Half, device: str = "fake", batch: int = 0, kept: int = 0) -> module.Computer:
        monkeypatch.setattr(module, "model_of", lambda task: measure)
        folder = tmp_path / "columns"
        folder.mkdir(exist_ok=True)
        if kept:
            (folder / f"batch-{device}.json").write_text(json.dumps({"batch": kept}))
        spec, need = OperatorSpec("half", "f", {}), {"half": np.ones(1, np.bool_)}
        task = PassTask(
            str(tmp_path), "t", 0, 1, str(folder), [spec], need, {}, "", 60, 60, 60, device, batch
        )
        return module.Computer(task)

    return make


def _rows(tables) -> dict[int, float | None]:
    rows = pa.concat_tables(tables, promote_options="default").to_pylist()
    assert len({row["offset"] for row in rows}) == len(rows), "a row came twice"
    return {row["offset"]: row["half"] for row in rows}


def _all(made: module.Computer, slices: list[list]) -> dict[int, float | None]:
    tables, done = [], 0
    for prepared in slices:
        tables += made.add(range(done, done + len(prepared)), prepared)
        done += len(prepared)
    return _rows([*tables, *made.rest()])


@pytest.mark.parametrize("device", ["cpu", "fake"])
def test_batches_are_whole_whatever_fails(computer, device):
    """A picture of each slice cannot be opened: only the last batch is filled up."""
    measure = Half()
    slices = [[Failure(Reason.CORRUPT, "no"), *map(float, range(64 * s + 1, 64 * s + 64))] for s in range(16)]
    found = _all(computer(measure, device, kept=48), slices)
    assert found == {i: None if i % 64 == 0 else i / 2 for i in range(1024)}
    assert measure.sizes == [48] * 21, "1,008 pictures"


def test_two_batches_are_under_way_on_a_device(computer, tmp_path):
    measure = Half()
    found = _all(
        computer(measure, kept=16), [[float(i) for i in range(s, s + 64)] for s in range(0, 512, 64)]
    )
    assert found == {i: i / 2 for i in range(512)} and len(measure.threads) == 2
    assert measure.loads == 1
    used = gather(tmp_path, "f")
    assert used["records"] == 512 and 0 <= used["idle_share"] < 0.5


def test_idle_time_is_seen(computer, tmp_path):
    """Half of the time nothing is on the device."""
    made = computer(Half(), kept=64)
    tables = []
    for s in range(10, 74, 8):
        tables += made.add(range(s * 64, s * 64 + 64), [float(s)] * 64)
        for lane in made._flight:
            lane.result()
        time.sleep(0.02)
    tables += made.rest()
    assert 0.3 < gather(tmp_path, "f")["idle_share"] < 0.9


def test_memory_that_runs_out_is_remembered(computer, tmp_path):
    found = _all(computer(Half(limit=20), kept=64), [[float(i) for i in range(128)]])
    assert found == {i: i / 2 for i in range(128)}
    assert json.loads((tmp_path / "columns" / "batch-fake.json").read_text()) == {"batch": 16}


def test_an_error_in_one_lane_loses_nothing_of_the_others(computer):
    made, tables = computer(Half(stops_at=70.0), kept=32), []
    with pytest.raises(ThresherError, match="broken"):
        for s in range(0, 256, 32):
            tables += made.add(range(s, s + 32), [float(i) for i in range(s, s + 32)])
        tables += made.rest()
    rows = _rows(tables)
    assert set(range(64)) <= set(rows) and 70 not in rows


def test_a_part_without_a_readable_record_loads_no_model(computer):
    measure = Half()
    found = _all(computer(measure), [[Failure(Reason.CORRUPT, "no"), None]])
    assert found == {0: None, 1: None} and measure.loads == 0


def test_a_batch_of_the_profile_is_kept_for_a_run_without(computer, tmp_path):
    measure = Half()
    _all(computer(measure, "cpu", batch=24), [[1.0] * 48])
    assert json.loads((tmp_path / "columns" / "batch-cpu.json").read_text()) == {"batch": 24}
    _all(computer(measure, "cpu"), [[1.0] * 48])
    assert measure.sizes == [24] * 4
