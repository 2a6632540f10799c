"""`trained`: a run's losses beside the records, by id, in predicates, `explain` and the report."""

import json
import math
import re

import numpy as np
import pyarrow.dataset as ds
import pytest

from tests.trained.conftest import train
from tests.trained.test_table import by_hand
from thresher.operators.trained import Trained, TrainedParams
from thresher.pipelines.runview import open_run
from thresher.schemas import FieldError

COLUMNS = ["trainer.loss", "trainer.loss_drop", "trainer.image_loss", "trainer.image_loss_drop"]
STEP = "      - trained: {run: ./run}\n"


def values(run, names=COLUMNS):
    """By id what the run's records hold."""
    view = open_run(run)
    rows = [r for p in view.parts("images") for r in view.values("images", p, ["id", *names]).to_pylist()]
    return {row.pop("id").hex(): row for row in rows}


def test_losses_come_back_by_id_and_null_for_what_was_not_seen(cli, squares):
    cli("run", squares(STEP), "--run", "out", "--local")
    found = values(cli.cwd / "out")
    visits = ds.dataset(cli.cwd / "run/samples", format="parquet").to_table().to_pylist()
    wanted = by_hand(visits)
    assert len(wanted) > 10 and not wanted.keys() - found.keys() and found.keys() - wanted.keys()
    for id_, row in found.items():
        by_loop = wanted.get(id_, [math.nan] * 4)
        got = [math.nan if v is None else v for v in row.values()]
        np.testing.assert_allclose(got, by_loop, rtol=1e-3, atol=1e-3)
    seen = next(id_ for id_, row in found.items() if row["trainer.loss"] is not None)
    story = cli("explain", seen[:8], "--run", "out")
    assert re.search(r"trainer\.loss\s.*nats per token", story), story
    page = (cli.cwd / "out/report.html").read_text()
    assert "trainer.loss" in page and "deviations" in page


def test_a_predicate_drops_by_it_and_keeps_what_was_not_seen(cli, squares):
    cli("run", squares(STEP), "--run", "out", "--local")
    losses = [row["trainer.loss"] for row in values(cli.cwd / "out").values()]
    bound = sorted(loss for loss in losses if loss is not None)[3] + 1e-6
    rule = f'{STEP}      - select: {{drop: {{custom.too_easy: "trainer.loss < {bound:.6f}"}}}}\n'
    told = cli("run", squares(rule), "--run", "out", "--local")
    assert "custom.too_easy 4" in told
    assert re.search(r"trained\s+120\s+120\s+0\s+0", told), told


def test_training_on_is_another_fingerprint_and_reads_anew(cli, squares, made):
    def fingerprint():
        steps = json.loads((cli.cwd / "out/plan.json").read_text())["tables"]["images"]["steps"]
        return next(step["fingerprint"] for step in steps if step["label"] == "trained")

    recipe = squares(STEP)
    cli("run", recipe, "--run", "out", "--local")
    first, before = fingerprint(), values(cli.cwd / "out")
    cli("run", recipe, "--run", "out", "--local")
    assert fingerprint() == first and len([*cli.cwd.glob("run/columns-*.npy")]) == 1
    (cli.cwd / "run").rename(cli.cwd / "moved")
    cli("run", squares(STEP.replace("./run", "./moved")), "--run", "out", "--local")
    assert fingerprint() == first, "where a run lies is no value"
    export = made / "plain/export/images/latest"
    train(cli.cwd, export, "moved", steps=8)
    cli("run", squares(STEP.replace("./run", "./moved")), "--run", "out", "--local")
    after = values(cli.cwd / "out")
    assert fingerprint() != first
    assert (
        sum(
            a["trainer.loss"] != b["trainer.loss"]
            for a, b in zip(before.values(), after.values(), strict=True)
        )
        > 5
    )


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda run: run.rename(run.with_name("gone")), "there is no such folder"),
        (lambda run: [f.unlink() for f in run.glob("samples/*")], "holds no losses of samples"),
        (lambda run: next(run.glob("samples/*")).write_bytes(b"PAR1?"), "the losses cannot be read"),
    ],
)
def test_a_missing_or_broken_run_is_told_in_words(tmp_path, squares, spoil, told):
    spoil(tmp_path / "run")
    with pytest.raises(FieldError, match=told) as found:
        Trained(TrainedParams(run=tmp_path / "run")).check({})
    assert found.value.path == ("run",) and found.value.mend


def test_a_misspelt_run_is_told_with_its_line(cli, squares):
    cli("plan", squares(STEP.replace("./run", "./rum")), "--run", "out", code=2)
    assert "again.yaml:9" in cli.err and "rum: there is no such folder" in cli.err, cli.err
