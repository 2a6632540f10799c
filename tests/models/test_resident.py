"""The runtime: batch size, memory that really runs out, values that are not numbers, one way to weights."""

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from thresher.operators.base import Failure
from thresher.operators.models.embed import Embed, ModelParams
from thresher.operators.models.model import ModelMeasure, spread
from thresher.operators.models.resident import Resident, TooLarge
from thresher.operators.registry import get, names
from thresher.pipelines.execute.kept_batch import keep, kept, lower
from thresher.schemas import Column, Reason
from thresher.schemas.errors import ThresherError

ROOT = Path(__file__).parents[2]


class Doubler(ModelMeasure):
    """Twice each input; `limit` inputs fit into memory."""

    name = "doubler"

    def __init__(self, limit: int = 10**9) -> None:
        super().__init__()
        self.limit, self.sizes = limit, []

    def writes(self):
        return [Column("twice", pa.float32(), "", "")]

    def load(self, device):
        return 2.0

    def prepare(self, batch):
        return batch.records

    def forward(self, model, inputs):
        self.sizes.append(len(inputs))
        if len(inputs) > self.limit:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return {"twice": [model * x for x in inputs]}


def test_every_batch_is_filled_up():
    measure = Doubler()
    assert Resident(measure, "cpu", batch=8).run(range(21))["twice"] == [2.0 * i for i in range(21)]
    assert measure.sizes == [8, 8, 8]


def test_a_measure_may_refuse_repeats_and_fail_single_rows():
    class Asker(Doubler):
        filled = False

        def forward(self, model, inputs):
            found = super().forward(model, inputs)["twice"]
            return {"twice": [Failure(Reason.BAD_VALUE, "no") if x == 6 else x for x in found]}

    measure = Asker()
    found = Resident(measure, "cpu", batch=8).run([0, 1, 3])
    assert measure.sizes == [3]
    values = spread(found, [0, None, 1, 3])
    assert values.columns["twice"] == [0, None, 2, None] and values.failures[3].message == "no"


def test_memory_that_runs_out_halves_the_batch_for_good():
    measure = Doubler(limit=5)
    worker = Resident(measure, "cpu", batch=16)
    assert worker.run(range(10))["twice"] == [2.0 * i for i in range(10)]
    assert worker.batch == 4 and worker.usage.halvings == 2
    worker.run(range(4))
    assert measure.sizes == [16, 8, 4, 4, 4, 4]
    with pytest.raises(ThresherError, match="does not fit into the memory of cpu, even for one record"):
        Resident(Doubler(limit=0), "cpu", batch=2).run([1])


def test_two_threads_share_a_resident():
    """Both are inside at once, each gets its own values, and the clock runs once."""
    both = threading.Barrier(2)

    class Slow(Doubler):
        def forward(self, model, inputs):
            both.wait(timeout=30)
            time.sleep(0.2)
            return super().forward(model, inputs)

    worker = Resident(Slow(), "cpu", batch=4)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda first: worker.run(range(first, first + 8))["twice"], (0, 100)))
    assert found == [[2.0 * i for i in range(first, first + 8)] for first in (0, 100)]
    assert worker.usage.records == 16 and worker.usage.batches == 4
    assert worker.usage.forward_s <= worker.usage.active_s, "overlapping batches are counted once"


def test_memory_that_runs_out_for_two_threads_halves_once():
    both = threading.Barrier(2)

    class Full(Doubler):
        def forward(self, model, inputs):
            if len(inputs) == 16:
                both.wait(timeout=30)
            return super().forward(model, inputs)

    worker = Resident(Full(limit=8), "cpu", batch=16)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda _: worker.run(range(16))["twice"], range(2)))
    assert found == [[2.0 * i for i in range(16)]] * 2
    assert worker.batch == 8 and worker.usage.halvings == 1


def test_the_search_stops_where_memory_ends():
    worker = Resident(Doubler(limit=37), "cpu")
    assert worker.run(range(50))["twice"][49] == 98.0
    assert worker.batch <= 32


def test_the_batch_that_was_found_stays(tmp_path, monkeypatch):
    """The next worker takes what the first one found, and what was left of it when memory ran out."""
    first, second = Resident(Doubler(), "cpu", batch=32), Resident(Doubler(), "cpu", batch=512)
    assert kept(tmp_path, first) == 0
    assert keep(tmp_path, first) == keep(tmp_path, second) == kept(tmp_path, second) == 32
    first.batch = 3
    lower(tmp_path, first)
    lower(tmp_path, second)
    assert kept(tmp_path, second) == 3
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError("no hard links here")))
    assert keep(tmp_path / "elsewhere", second) == 512
    assert [file.name for file in (tmp_path / "elsewhere").iterdir()] == ["batch-cpu.json"]


def test_a_record_that_fits_nowhere_leaves_the_batch_as_it_was():
    class Poisoned(Doubler):
        def forward(self, model, inputs):
            if 5 in inputs:
                raise MemoryError("out of memory")
            return super().forward(model, inputs)

    worker = Resident(Poisoned(), "cpu", batch=8)
    with pytest.raises(TooLarge):
        worker.run([5])
    assert worker.batch == 8 and worker.run([6])["twice"] == [12.0]


def test_threads_start_a_model_once(clip, torch, monkeypatch):
    """Counting switches torch for the whole process: two at once left it switched."""
    from torch.backends import mha

    embed = Embed(ModelParams(backend="clip", model=str(clip[0]), weights=str(clip[1])))
    inputs = list(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8))
    for _ in range(5):
        worker = Resident(embed, "cpu", batch=4)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda _, worker=worker: worker.run(inputs), range(2)))
        assert worker.usage.flops > 1e6 and mha.get_fastpath_enabled()
        assert torch.backends.cuda.flash_sdp_enabled()


def test_operations_are_counted(clip, torch):
    """All of them: an encoder layer that torch fuses into one call was left out once."""
    embed = Embed(ModelParams(backend="clip", model=str(clip[0]), weights=str(clip[1])))
    worker = Resident(embed, "cpu", batch=4)
    worker.run([np.zeros((32, 32, 3), np.uint8)])
    tokens, width, layers = 17, 32, 2
    dense = 2 * 12 * width**2 * tokens * layers
    attention = 4 * tokens**2 * width * layers
    patches, projection = 2 * 16 * width * 3 * 8 * 8, 2 * width * 32
    assert worker.usage.flops == pytest.approx(dense + attention + patches + projection, rel=0.02)


def test_a_compiled_model_gives_the_same(clip, torch):
    embed = Embed(ModelParams(backend="clip", model=str(clip[0]), weights=str(clip[1])))
    inputs = list(np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8))
    workers = [Resident(embed, "cpu", 4, compiled) for compiled in (False, True)]
    plain, compiled = (np.stack(worker.run(inputs)["clip"]) for worker in workers)
    assert [w._model.visual._compiled_call_impl is not None for w in workers] == [False, True]
    assert np.abs(plain - compiled).max() < embed.writes()[0].quantum / 2


@pytest.mark.parametrize("limit_mb", [1500])
def test_a_real_memory_limit(limit_mb, torch):
    """A linear map whose output takes 8 MiB a record, in a process that may map little more than it has."""
    script = f"""
    import resource
    from tests.models.test_resident import Doubler
    from thresher.operators.models.resident import Resident
    from thresher.operators.models.torch_setup import setup_torch
    torch = setup_torch()

    class Hungry(Doubler):
        def forward(self, model, inputs):
            x = torch.tensor(inputs, dtype=torch.float32)[:, None] * torch.ones(1, 2 << 20)
            return {{"twice": (2 * x).mean(dim=1).tolist()}}

    have = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (have + ({limit_mb} << 20),) * 2)
    worker = Resident(Hungry(), "cpu", batch=512)
    assert worker.run(list(range(600)))["twice"] == [2.0 * i for i in range(600)]
    print(worker.batch, worker.usage.halvings)
    """
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd=ROOT, env=env
    )
    assert done.returncode == 0, done.stderr
    batch, halvings = map(int, done.stdout.split())
    assert batch < 512 and halvings > 0


def test_values_that_are_no_numbers_fail_their_rows_alone():
    from thresher.operators.values import to_array

    column = Column("clip", pa.list_(pa.float16()), "", "", -1, 1, quantum=2.0**-14)
    rows = [np.array([0.5, 0.25]), np.array([np.nan, 0]), None, np.array([np.inf, 0])]
    array, failures = to_array(rows, column)
    assert array.to_pylist() == [[0.5, 0.25], None, None, None] and sorted(failures) == [1, 3]


ENGINES = re.compile(
    r"^\s*(?:import|from) (?:torch|torchvision|open_clip|transformers|timm|onnxruntime|rapidocr|py3langid"
    r"|safetensors|tensorflow|jax|tflite_runtime|vllm|ultralytics|joblib)\b|cv2\.(?:dnn|CascadeClassifier)\b",
    re.M,
)


def test_weights_are_loaded_in_one_place_alone():
    """Engines are known to operators/models alone, each Measure of there runs through the runtime, and
    nothing but the runtime asks for its model."""
    files = [path for room in ("operators", "pipelines") for path in (ROOT / room).rglob("*.py")]
    outside = [p for p in files if "models" not in p.relative_to(ROOT).parts]
    assert not [path for path in outside if ENGINES.search(path.read_text())]
    callers = [p for p in files if re.search(r"(?<!def )\bload\((self\._)?device", p.read_text())]
    assert {p.name for p in callers if "def load(self, device" not in p.read_text()} == {"resident.py"}
    learned = [get(name) for name in names() if ".operators.models." in get(name).__module__]
    assert len(learned) >= 12 and all(issubclass(cls, ModelMeasure) for cls in learned)


def test_deciding_needs_no_torch():
    """What workers and the planner import stays light."""
    code = (
        "import sys, thresher.pipelines.execute.run, thresher.operators.models.embed, "
        "thresher.operators.models.clip_score, thresher.operators.models.aesthetic;"
        "print([m for m in ('torch', 'transformers', 'open_clip') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


PROBE = """
import time
import pyarrow as pa
from thresher.operators.base import View
from thresher.operators.models.model import ModelMeasure
from thresher.schemas import Column

RGB = View("rgb", 512)


class Probe(ModelMeasure):
    \"\"\"Mean level; slow for pictures called `slow`; more than eight with one of them are too many.\"\"\"

    views = (RGB,)

    def writes(self):
        return [Column("probe", pa.float32(), "levels", "mean level", 0, 255)]

    def load(self, device):
        return None

    def prepare(self, batch):
        return [(record.key, rgb.mean()) for record, rgb in zip(batch.records, batch.view(RGB))]

    def forward(self, model, inputs):
        slow = sum(key.startswith("slow") for key, _ in inputs)
        if slow and len(inputs) > 8:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        time.sleep(0.1 * slow)
        return {"probe": [float(level) for _, level in inputs]}
"""


def _model_events(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "model"]


def test_what_a_model_did_is_of_one_pass(cli, pool, recipe, plugin):
    """The first run is slow and halves its batch; the second, on new pictures, does neither."""
    plugin("probe", PROBE)
    (cli.cwd / "p.yaml").write_text("batch: 16\n")
    fast = [(path, cli.cwd / path.name) for path in sorted(pool.glob("rocket*"))]
    for inside, outside in fast:
        inside.rename(outside)
    for path in sorted(pool.glob("retina*")):
        path.rename(path.with_name(f"slow-{path.name}"))
    path = recipe(("      - quality\n", "      - quality\n      - probe\n"))
    options = ("--run", "r", "--profile", "./p.yaml", "--local")
    cli.run(path, *options)
    for inside, outside in fast:
        outside.rename(inside)
    cli.run(path, *options)
    first, second = _model_events(cli.cwd / "r")
    assert first["halvings"] > 0 and first["batch"] < 16 and first["forward_per_s"] < 1000
    assert second["halvings"] == 0 and second["batch"] == 16 and second["forward_per_s"] > 1000
