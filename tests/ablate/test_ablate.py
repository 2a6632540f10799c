"""`thresher ablate` from two exports to a verdict, with the trainer as its processes."""

import json
import re

import pyarrow.parquet as pq
import pytest

from tests.ablate.squares import write_config, write_squares
from tests.trainer.shards import Sample, png, write_export
from thresher.pipelines.ablate import command
from thresher.pipelines.ablate.command import Request
from thresher.schemas import UsageError
from thresher.schemas.segments import image_segment, text_segment


@pytest.mark.acceptance("T30")
def test_a_screen_trains_once_and_shows_what_it_found(cli, tmp_path):
    a = write_squares(tmp_path / "clean", 160, 0.0)
    b = write_squares(tmp_path / "wrong", 160, 0.2)
    config = write_config(tmp_path / "small.yaml", steps=6)
    asked = [
        "ablate",
        str(a),
        str(b),
        "--seeds",
        "2",
        "--config",
        str(config),
        "--hold",
        "100",
        "--out",
        "out",
    ]
    told = cli(*asked, timeout=900)
    assert told.endswith("Verdict: undecided. See out/ablate.html\n") and "2 seeds are a screen" in told
    assert "6 of 6: B, seed 1" in told and told.count("Noise floor of") == 2
    found = json.loads((tmp_path / "out/ablate.json").read_text())
    for kind in ("ce", "mse"):
        outcome = found["outcomes"][kind]
        assert len(outcome["a"]) == len(outcome["b"]) == len(outcome["again"]) == 2
        assert outcome["floor"] > 0 and min(outcome["a"] + outcome["b"]) > 0
    bins = [p["name"] for p in found["outcomes"]["mse"]["parts"] if p["name"].startswith("noise level")]
    assert len(bins) == 10 and "caption text" in [p["name"] for p in found["outcomes"]["ce"]["parts"]]
    assert found["held_out"]["disputed"] > 0 and found["exposure"]["A"]["distinct"] > 50
    page = (tmp_path / "out/ablate.html").read_text()
    assert "<h1>undecided</h1>" in page and page.count('class="forest"') == 2 and "BAGEL" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    losses = pq.read_table(tmp_path / "out/runs/a-0/held.parquet").to_pylist()
    assert {(r["kind"], r["variant"]) for r in losses} == {("ce", "text"), ("mse", "")}
    texts = [(r["source"], r["id"]) for r in losses if r["kind"] == "ce"]
    assert len(set(texts)) == len(texts), "each is measured once"
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "out/runs").rglob("*.safetensors")}
    for file in ("done.json", "held.parquet"):
        (tmp_path / "out/runs/b-1" / file).unlink()
    assert cli(*asked, timeout=900).count("was done") == 5
    assert {p: p.stat().st_mtime_ns for p in made if "b-1" not in p.parts} == {
        p: t for p, t in made.items() if "b-1" not in p.parts
    }
    again = json.loads((tmp_path / "out/ablate.json").read_text())
    assert again["outcomes"] == found["outcomes"]
    cli(*asked, "--steps", "7", code=2)
    assert "holds a comparison of other sets, config or hold-out" in cli.err
    cli(*asked, "--delta", "much", code=2)
    assert "'much' is no share of a loss" in cli.err


@pytest.mark.slow
@pytest.mark.acceptance("T30")
def test_a_set_with_wrong_captions_loses(tmp_path):
    a = write_squares(tmp_path / "clean", 600, 0.0)
    b = write_squares(tmp_path / "wrong", 600, 0.2)
    config = write_config(tmp_path / "small.yaml", steps=120)
    found = command.ablate(Request(a, b, tmp_path / "out", config, hold=100), print)
    assert found["verdict"] == "A better", found["words"]
    assert set(found["outcomes"]) == {"ce", "mse"} and len(found["outcomes"]["ce"]["differences"]) == 6


def edits(seed):
    """Edits of five root pictures, four of each."""
    for i in range(120):
        members = {
            ".0.png": png(32, 32, seed=1_000 * seed + i),
            ".1.png": png(32, 32, seed=1_000 * seed + 500 + i),
        }
        segments = [
            image_segment(".0.png", "cond", 32, 32, drop="img"),
            text_segment(f"change it to {i % 7}", "cond", drop="text"),
            image_segment(".1.png", "target", 32, 32),
        ]
        yield Sample(segments, members, name=f"edit{seed}-{i}", task="edit", group=f"root{i // 4}")


def test_edits_are_paired_by_their_root_picture(tmp_path):
    a, b = (write_export(tmp_path / str(seed), edits(seed), name=str(seed)) for seed in (1, 2))
    config = write_config(tmp_path / "small.yaml", steps=2, image=32)
    found = command.ablate(Request(a, b, tmp_path / "out", config, 2, hold=150), print)
    assert set(found["outcomes"]) == {"mse"}
    held = pq.read_table(tmp_path / "out/held.parquet").to_pylist()
    assert len({row["group"] for row in held}) == len(held) / 8 == found["held_out"]["groups"]


def test_wrong_requests(tmp_path):
    a = write_squares(tmp_path / "clean", 40, 0.0)
    two = tmp_path / "two.yaml"
    two.write_text("sources: {set: {export: ''}}\nstages: [{name: a}, {name: b}]\n")
    with pytest.raises(UsageError, match="with sources and one stage"):
        command.ablate(Request(a, a, tmp_path / "out", two), print)
    with pytest.raises(UsageError, match="1 seeds cannot be compared"):
        command.ablate(Request(a, a, tmp_path / "out", seeds=1), print)
