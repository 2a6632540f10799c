"""Memory that does not suffice: for one record it costs that record, for every one it stops the run."""

import pytest

from thresher.pipelines.runview import open_run

PROBE = """
import os
import pyarrow as pa
from thresher.operators.base import View
from thresher.operators.models.model import ModelMeasure
from thresher.schemas import Column

RGB = View("rgb", 512)
HUNGRY = os.environ["HUNGRY"].split()


class Probe(ModelMeasure):
    \"\"\"Mean level; some records, or all, are more than the device holds.\"\"\"

    views = (RGB,)

    def writes(self):
        return [Column("probe", pa.float32(), "levels", "mean level", 0, 255)]

    def load(self, device):
        return None

    def prepare(self, batch):
        return [(record.key, rgb.mean()) for record, rgb in zip(batch.records, batch.view(RGB))]

    def forward(self, model, inputs):
        if HUNGRY == ["all"] or any(key in HUNGRY for key, _ in inputs):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return {"probe": [float(level) for _, level in inputs]}
"""


@pytest.fixture
def hungry(cli, pool, recipe, plugin):
    """`hungry(keys)`: a recipe with a model for which the records `keys` are too large."""
    plugin("probe", PROBE)

    def make(*keys):
        cli.env["HUNGRY"] = " ".join(keys)
        return recipe(("      - quality\n", "      - quality\n      - probe\n"))

    return make


@pytest.mark.parametrize("batch", [None, 1, 8])
def test_a_record_that_does_not_fit_costs_itself(cli, hungry, ledger_of, batch):
    """The first of all, with which a batch size is looked for, and another in the middle."""
    (cli.cwd / "p.yaml").write_text(f"batch: {batch}\n" if batch else "workers: 1\n")
    first = "again.jpg"
    cli.run(hungry(first, "rocket-05.jpg"), "--run", "r", "--local", "--profile", "./p.yaml")
    rows = [row for row in ledger_of(cli.cwd / "r") if row["step"] == "probe"]
    assert {row["key"]: row["reason"] for row in rows} == dict.fromkeys(
        (first, "rocket-05.jpg"), "too_many_pixels"
    )
    view = open_run(cli.cwd / "r")
    found = [r for p in view.parts("images") for r in view.values("images", p, ["key", "probe"]).to_pylist()]
    assert sum(row["probe"] is not None for row in found) == len(found) - 4, "two files are broken"
    story = cli("explain", "rocket-05.jpg", "--run", "r")
    assert "does not fit into the memory of cpu" in story


@pytest.mark.parametrize("where", ["local", "ray"])
def test_a_model_that_is_too_large_stops_the_run(cli, hungry, where):
    cli("run", str(hungry("all")), "--run", "r", *(["--local"] if where == "local" else []), code=1)
    assert "probe does not fit into the memory of cpu, even for one record" in cli.err
    assert "Choose a smaller model, or a device with more memory" in cli.err and "Traceback" not in cli.err
    cli.env["HUNGRY"] = "none"
    cli.run("photos.yaml", "--run", "r", "--local")
