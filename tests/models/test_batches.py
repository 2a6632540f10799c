"""Batch 1 against batch 64: values agree to a tolerance, and decisions differ only that near a bound."""

import json

import pyarrow.parquet as pq
import pytest

NOISY = """
import pyarrow as pa
from thresher.operators.base import View
from thresher.operators.models.model import ModelMeasure
from thresher.schemas import Column

RGB = View("rgb", 512)


class Probe(ModelMeasure):
    \"\"\"Mean level; half a quantum off in large batches, as a device may be.\"\"\"

    views = (RGB,)

    def writes(self):
        return [Column("level", pa.float32(), "levels", "mean level", 0, 255, quantum=0.5)]

    def load(self, device):
        return None

    def prepare(self, batch):
        return [rgb.mean() for rgb in batch.view(RGB)]

    def forward(self, model, inputs):
        return {"level": [float(level) + (0.24 if len(inputs) > 1 else 0) for level in inputs]}
"""


def _run(cli, recipe, ledger_of, step: str, column: str, bound: float, batch: int):
    """Record -> (value, status) of a run in one batch, with a bound."""
    (cli.cwd / "batch.yaml").write_text(f"batch: {batch}\n")
    path = recipe(
        ("      - quality\n", f"      - quality\n{step}"), ('"sharpness < 60"', f'"{column} < {bound!r}"')
    )
    cli.run(path, "--run", f"b{batch}", "--profile", "./batch.yaml", "--local")
    run = cli.cwd / f"b{batch}"
    (records,) = run.glob("catalog/images/part-*.parquet")
    (fragment,) = (f for f in run.glob("columns/images/*/part-*") if column in pq.read_schema(f).names)
    ids, values = pq.read_table(records)["id"].to_pylist(), pq.read_table(fragment)[column].to_pylist()
    status = {row["id"]: row["status"] for row in ledger_of(run)}
    return {i: (v, status[i]) for i, v in zip(ids, values, strict=True) if v is not None}


@pytest.mark.parametrize("kind", ["clip", "noisy"])
def test_decisions_differ_only_beside_a_bound(cli, pool, recipe, plugin, ledger_of, clip, kind):
    if kind == "clip":
        params = json.dumps({"backend": "clip", "model": str(clip[0]), "weights": str(clip[1])})
        step, column, tolerance = f"      - embed: {params}\n", "clip_norm", 2.0**-10
    else:
        plugin("probe", NOISY)
        step, column, tolerance = "      - probe\n", "level", 0.5
    one, many = (_run(cli, recipe, ledger_of, step, column, 0.0, batch) for batch in (1, 64))
    unequal = [max(one[i][0], many[i][0]) for i in one if one[i][0] != many[i][0] and one[i][1] == "kept"]
    assert unequal or kind == "clip"
    bound = sorted(unequal or [value for value, _ in one.values()])[len(unequal or one) // 2]
    one, many = (_run(cli, recipe, ledger_of, step, column, bound, batch) for batch in (1, 64))
    assert one.keys() == many.keys() and len(one) == 98
    assert all(abs(one[i][0] - many[i][0]) <= tolerance for i in one)
    differ = {i.hex(): (one[i][0], many[i][0]) for i in one if one[i][1] != many[i][1]}
    print(f"bound {bound}: {differ}")
    assert all(abs(value - bound) <= tolerance for values in differ.values() for value in values), differ
    assert bool(differ) == bool(unequal)


@pytest.mark.parametrize("where", ["local", "ray"])
def test_slices_are_gathered_into_whole_batches(cli, pool, recipe, plugin, where):
    """98 readable pictures, prepared 64 at a time: one batch of 98, without repeats."""
    plugin("probe", NOISY)
    (cli.cwd / "batch.yaml").write_text("batch: 98\n")
    path = recipe(("      - quality\n", "      - quality\n      - probe\n"))
    cli.run(path, "--run", "r", "--profile", "./batch.yaml", *(["--local"] if where == "local" else []))
    (note,) = (cli.cwd / "r/log/models").glob("*.json")
    assert json.loads(note.read_text())["batches"] == 1


def test_the_batch_is_kept_beside_the_columns(cli, pool, recipe, plugin):
    """What the first run found is what a later one computes new files in."""
    plugin("probe", NOISY)
    path = recipe(("      - quality\n", "      - quality\n      - probe\n"))
    cli.run(path, "--run", "r", "--local")
    (file,) = (cli.cwd / "r/columns/images").glob("*/batch-cpu.json")
    assert json.loads(file.read_text())["batch"] >= 1
    file.write_text('{"batch": 13}')
    (pool / "new.jpg").write_bytes((pool / "chelsea-00.jpg").read_bytes()[:-2] + b"x" + b"\xff\xd9")
    cli.run(path, "--run", "r", "--local")
    (note,) = (cli.cwd / "r/log/models").glob("*.json")
    assert json.loads(note.read_text())["batch"] == 13
