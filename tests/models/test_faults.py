"""A record that kills the process which prepares it, or the one that holds the model, costs that record."""

import json
from collections import Counter

import pytest

from thresher.pipelines.runview import open_run

PROBE = """
import ctypes
import pyarrow as pa
from thresher.operators.base import View
from thresher.operators.models.model import ModelMeasure
from thresher.schemas import Column

RGB = View("rgb", 512)


class Probe(ModelMeasure):
    \"\"\"Mean level; dies in prepare for one record and in forward for another.\"\"\"

    views = (RGB,)

    def writes(self):
        return [Column("probe", pa.float32(), "levels", "mean level", 0, 255)]

    def load(self, device):
        return None

    def prepare(self, batch):
        if batch.records[0].key == "coffee-02.jpg":
            ctypes.string_at(0)
        return [(record.key, rgb.mean()) for record, rgb in zip(batch.records, batch.view(RGB))]

    def forward(self, model, inputs):
        if any(key == "rocket-05.jpg" for key, _ in inputs):
            ctypes.string_at(0)
        if any(key == "retina-07.jpg" for key, _ in inputs):
            raise ValueError("not this one")
        return {"probe": [float(level) for _, level in inputs]}
"""


@pytest.mark.acceptance("C7")
@pytest.mark.parametrize("where", ["local", "ray"])
def test_a_poisonous_record_costs_one_record(cli, pool, recipe, plugin, ledger_of, where):
    plugin("probe", PROBE)
    path = recipe(("      - quality\n", "      - quality\n      - probe\n"))
    cli.run(path, "--run", "r", *(["--local"] if where == "local" else []))
    rows = {row["key"]: row for row in ledger_of(cli.cwd / "r")}
    failed = {key: row["reason"] for key, row in rows.items() if row["step"] == "probe"}
    assert failed == {
        "coffee-02.jpg": "killed_worker",
        "rocket-05.jpg": "killed_worker",
        "retina-07.jpg": "bad_value",
    }


DYING = """
import os
import pathlib
import signal
import pyarrow as pa
from thresher.operators.base import View
from thresher.operators.models.model import ModelMeasure
from thresher.schemas import Column

RGB, HERE = View("rgb", 512), pathlib.Path(os.environ["HERE"])


class Probe(ModelMeasure):
    \"\"\"Mean level; the process of the model dies three times, for no record's fault.\"\"\"

    views, batch = (RGB,), 1

    def writes(self):
        return [Column("probe", pa.float32(), "levels", "mean level", 0, 255)]

    def load(self, device):
        import ray
        actor = ray.is_initialized() and ray.get_runtime_context().get_actor_id()
        with open(HERE / "loads", "a") as file:
            file.write(f"{'actor' if actor else 'other'}\\n")

    def prepare(self, batch):
        return [(record.key, rgb.mean()) for record, rgb in zip(batch.records, batch.view(RGB))]

    def forward(self, model, inputs):
        (key, level), = inputs
        with open(HERE / "forwards", "a") as file:
            file.write(f"{key}\\n")
        dead = HERE / f"dead-{key}"
        if key in ("chelsea-00.jpg", "coffee-09.jpg", "rocket-15.jpg") and not dead.exists():
            dead.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"probe": [float(level)]}
"""


@pytest.mark.acceptance("C7")
def test_parts_that_wait_for_a_dying_actor_go_to_another(cli, pool, recipe, plugin, ledger_of):
    """Fifteen parts, several under way for the actor; what it had written of a part may be there already."""
    plugin("probe", DYING)
    cli.env["HERE"] = str(cli.cwd)
    text = ("name: photos\n", "name: photos\npart_size: 7\n")
    path = recipe(("      - quality\n", "      - quality\n      - probe\n"), text)
    (cli.cwd / "p.yaml").write_text("flush_s: 0.001\n")
    cli.run(path, "--run", "r", "--profile", "./p.yaml")
    loads = (cli.cwd / "loads").read_text().split()
    assert loads.count("actor") > 1, "another after a death"
    passes = [json.loads(line) for line in (cli.cwd / "r/metrics.jsonl").read_text().splitlines()]
    assert sum(p.get("step") == "probe" and p["event"] == "step" for p in passes) == 1, (
        "no second pass had to gather what was lost"
    )
    rows = ledger_of(cli.cwd / "r")
    assert len(rows) == 100 and not [row["key"] for row in rows if row["step"] == "probe"]
    view = open_run(cli.cwd / "r")
    found = [r for p in view.parts("images") for r in view.values("images", p, ["key", "probe"]).to_pylist()]
    assert len(found) == 100 and len(view.parts("images")) == 15
    assert sorted(r["key"] for r in found if r["probe"] is None) == ["empty.jpg", "text.jpg"]
    done = Counter((cli.cwd / "forwards").read_text().split())
    assert len(done) == 98 and done.total() < 1.6 * 98, "what had ended was not computed again"
    cli.run(path, "--run", "r", "--profile", "./p.yaml")
    assert Counter((cli.cwd / "forwards").read_text().split()) == done
