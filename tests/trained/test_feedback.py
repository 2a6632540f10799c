"""`thresher feedback`: losses beside a reference, as the two models' own evaluations differ."""

import json
import math
from collections import defaultdict

import pyarrow.parquet as pq
import pytest

from tests.trained.conftest import train
from tests.trained.test_trained import values
from thresher.trainer.run.evaluate import evaluate

BESIDE = ["trainer.excess_loss", "trainer.image_excess_loss", "trainer.memorised_bits"]
STEP = "      - trained: {run: ./run, reference: ./other}\n"


def own(run, export):
    """(id, kind) to (level or caption) to loss and tokens, by the trainer alone."""
    evaluate(run, {"set0": str(export)})
    told = defaultdict(dict)
    for row in pq.read_table(run / "held.parquet").to_pylist():
        told[row["id"], row["kind"]][row["t_bin"], row["variant"]] = row["loss"], row["tokens"]
    return told


def test_columns_are_differences_on_the_same_noise(cli, squares, made):
    export = made / "plain/export/images/latest"
    train(cli.cwd, export, "other", steps=2)
    cli("run", squares(STEP), "--run", "out", "--local", code=2)
    assert "has no losses beside this reference. thresher feedback" in cli.err
    told = cli("feedback", "run", str(export), "--reference", "other")
    assert "Measured: run/reference.parquet" in told
    assert not [*cli.cwd.glob("run/feedback-*")] and not (cli.cwd / "run/held.parquet").exists()
    cli("run", squares(STEP), "--run", "out", "--local")
    found = values(cli.cwd / "out", BESIDE)
    mine, other = (own(cli.cwd / name, export) for name in ("run", "other"))
    assert len(found) == 120 == len({id_ for id_, _ in mine})
    for id_, row in found.items():
        ((a, tokens),), ((b, _),) = mine[id_, "ce"].values(), other[id_, "ce"].values()
        levels = [mine[id_, "mse"][level][0] - other[id_, "mse"][level][0] for level in mine[id_, "mse"]]
        assert len(levels) == 10
        bits = max(0.0, (b - a) * tokens / math.log(2))
        assert [*row.values()] == pytest.approx([a - b, sum(levels) / 10, bits], rel=1e-4, abs=1e-4)
    train(cli.cwd, export, "other", steps=4)
    cli("plan", squares(STEP), "--run", "out", code=2)
    assert "the reference is not as it was compared" in cli.err


def test_what_was_not_learnt_is_null_and_another_kind_of_model_is_refused(cli, squares, made):
    export = made / "plain/export/images/latest"
    train(cli.cwd, export, "other", steps=1, describe=0.0)
    cli("feedback", "run", str(export), "--reference", "other")
    columns = pq.read_table(cli.cwd / "run/reference.parquet")
    assert columns["trainer.memorised_bits"].null_count == len(columns) == 120
    assert columns["trainer.image_excess_loss"].null_count == 0
    train(cli.cwd, export, "third", steps=1, shift=4.0)
    cli("feedback", "run", str(export), "--reference", "third", code=2)
    assert "this reference was trained with shift: 4.0, the run with 1.0" in cli.err
    about = next((cli.cwd / "third").glob("checkpoints/step-*/about.json"))
    about.write_text(json.dumps(json.loads(about.read_text()) | {"tokenizer": "words-12"}))
    cli("feedback", "run", str(export), "--reference", "third", code=2)
    assert "this reference has another tokenizer: words-12" in cli.err
    cli("feedback", "run", str(export), "--reference", "nowhere", code=1)
    assert "nowhere: holds no checkpoint" in cli.err
