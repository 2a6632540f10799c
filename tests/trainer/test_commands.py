"""Commands of the trainer, as the command line calls them."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import typer
from PIL import Image
from typer.testing import CliRunner

from tests.captions.conftest import chat_server
from tests.trainer.runs import exports, write_config
from tests.trainer.shards import plain, png, write_export
from thresher.encoders.commands import precompute
from thresher.loader.commands import tokens
from thresher.trainer.commands import sample, train, where

__all__ = ["chat_server"]

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
    found = [json.loads(line) for line in said("where", file, row["id"]).splitlines()]
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


def test_a_run_draws_captions_of_samples_that_it_never_saw_at_every_checkpoint(tmp_path, capfd, chat_server):
    held = exports(tmp_path, 60)
    file = write_config(tmp_path, held, steps=3)
    out = tmp_path / "out"
    said("train", file, "--out", out, "--set", "save=1", "--set", "hold=200")
    first = said("sample", out, "--steps", 2, "--out", out / "s", "--over-steps")
    assert "steps.png: a row each of step-00000001, step-00000002, step-00000003" in first
    samples = json.loads((out / "s" / "samples.json").read_text())
    seen = {caption for caption in captions_of(held["images"], pq.read_table(out / "samples")["id"])}
    assert len({one["prompt"] for one in samples}) == 8 and seen.isdisjoint(s["prompt"] for s in samples)
    rows = np.asarray(Image.open(out / "s" / "steps.png"))
    assert rows.shape == (3 * 34, 8 * 34, 3)
    assert np.asarray(Image.open(out / "s" / "grid.png")).shape == (2 * 34, 4 * 34, 3)
    last = np.asarray(Image.open(out / "s" / samples[1]["image"]))
    assert np.array_equal(rows[-33:-1, 35:67], last) and not np.array_equal(rows[1:33, 35:67], last)

    def script(body):
        if "painter" in (asked := json.dumps(body)):
            return {"points": [{"field": "primary.noun", "text": "an image"}]}
        assert "image_url" in asked
        return {"marks": [{"reason": "There is one.", "verdict": "met"}]}

    told = ("--judge", "--endpoint", chat_server(script).url, "--model", "judge-7b")
    said("sample", out, "--steps", 1, "--out", out / "s", *told)
    assert "Mean Image Accuracy 1.000" in capfd.readouterr().out
    broken = ("--judge", "--endpoint", chat_server(lambda body: 404).url, "--model", "other")
    asked = ["sample", str(out), "--prompt", "red", "--steps", "1", "--out", str(out / "s"), *broken]
    code = CliRunner().invoke(APP, asked).exit_code
    assert code != 0 and "the name 'other'" in capfd.readouterr().err


def captions_of(export, ids):
    index = pq.read_table(export / "index.parquet").to_pylist()
    chosen = {row["id"].hex(): row for row in index}
    for id_ in set(ids.to_pylist()) & set(chosen):
        row = chosen[id_]
        at = row["members"].index(".txt")
        tar = (export / row["shard"]).read_bytes()
        yield tar[row["member_offsets"][at] :][: row["member_sizes"][at]].decode()
