"""Commands of the trainer, as the command line calls them."""

import json

import numpy as np
import pyarrow.parquet as pq
import typer
from PIL import Image
from typer.testing import CliRunner

from tests.trainer.runs import exports, write_config
from thresher.trainer import commands

APP = typer.Typer()
for command in (commands.train, commands.sample, commands.where, commands.tokens):
    APP.command(command.__name__)(command)


def said(*words):
    done = CliRunner().invoke(APP, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_run_is_planned_trained_sampled_and_asked(tmp_path):
    held = exports(tmp_path, 40)
    file = write_config(tmp_path, held, steps=3)
    told = said("train", file, "--plan-only")
    assert "one: 3 steps of 5 rows of 192 tokens, fill 0.9" in told and "images: 40 samples, " in told
    out = tmp_path / "out"
    assert said("train", file, "--set", "stages.0.steps=2", "--out", out) == f"Trained: {out}\n"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    drawn = said(
        "sample",
        out,
        "--prompt",
        "a red image",
        "--describe",
        tmp_path / "a.png",
        "--out",
        out / "s",
        "--steps",
        2,
    )
    assert Image.open(out / "s" / "000.png").size == (32, 32) and f"{tmp_path / 'a.png'}: " in drawn
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 2
    row = pq.read_table(out / "samples").to_pylist()[5]
    found = [json.loads(line) for line in said("where", file, row["id"], "--epochs", 3).splitlines()]
    assert row["step"] in [one["step"] for one in found] and {one["id"] for one in found} == {row["id"]}
    assert "Counted: " in said("tokens", held["images"])
