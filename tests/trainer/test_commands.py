"""Commands of the trainer, as the command line calls them."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import typer
from PIL import Image
from typer.testing import CliRunner

from tests.trainer.runs import exports, write_config
from tests.trainer.shards import plain, png, write_export
from thresher.encoders.commands import precompute
from thresher.loader.commands import tokens
from thresher.trainer.commands import sample, train, where

APP = typer.Typer()
for command in (train, sample, where, tokens, precompute):
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


def test_what_is_precomputed_is_named_as_a_config_takes_it(tmp_path):
    held = exports(tmp_path, 12)
    told = said("precompute", held["images"], "--image", 32, "--latents", "pixels", "--stride", 8)
    name = re.search(r"image: \{stored: (\S+)\}", told)[1]
    assert "0 images could not be read" in told and (held["images"] / "stored" / name).is_dir()
    file = write_config(tmp_path, {"images": held["images"]}, steps=1)
    assert "Trained: " in said("train", file, "--set", f"image.stored={name}")


def test_the_floor_of_ce_is_told_where_it_is_known(tmp_path):
    held = exports(tmp_path, 12)
    pairs = write_config(tmp_path, {"images": held["images"]}, "pairs")
    assert "floor of CE: 0 " in said("train", pairs, "--plan-only")
    assert "floor" not in said("train", pairs, "--plan-only", "--set", "stages.0.describe=0")
    assert "floor" not in said("train", write_config(tmp_path, held), "--plan-only")
    several = plain("red", png(32, 32))
    several.segments[0]["variants"] = {"long": "a red picture"}
    export = write_export(tmp_path / "several", [several, plain("blue", png(32, 32), name="b")])
    file = write_config(tmp_path, {"several": export}, "several")
    assert "floor" not in said("train", file, "--plan-only")
    assert "floor of CE: 0 " in said("train", file, "--plan-only", "--set", "stages.0.captions.long=0")
