"""Heads and bounds from labels: as good on unseen pictures as was said, reproducible, and used by a run."""

import json
import re

import numpy as np
import pytest

from tests.calibrate.conftest import RECIPE, space
from thresher.operators.models.head import HeadFile, read_head
from thresher.operators.registry import get
from thresher.pipelines.runview import open_run


def half(key: str) -> str | None:
    """Labels for two tiles of three; the others are never shown to a head."""
    return None if int(key[-6:-4]) % 3 == 0 else space(key)


def area(scores, positive):
    return np.mean([(a > b) + (a == b) / 2 for a in scores[positive] for b in scores[~positive]])


def fitted(cli, run, labels, *more, name="space", on="classical"):
    cli("calibrate", str(run), "--head", name, "--on", on, "--labels", str(labels), *more)
    return read_head(cli.cwd / f"{name}.head.json")


def scores_of(run, head):
    """(keys, scores) of the tiles, straight from the stored columns."""
    view = open_run(run)
    names = [o.column for o in head.on]
    rows = [r for p in view.parts("images") for r in view.values("images", p, ["key", *names]).to_pylist()]
    rows = [r for r in rows if "-" in r["key"]]
    features = np.array([np.hstack([np.atleast_1d(r[n]) for n in names]) for r in rows], float)
    return [r["key"] for r in rows], head.scores(features)


@pytest.mark.parametrize("on", ["classical", "saturation,colorfulness,entropy"])
def test_the_figures_hold_on_unseen_pictures(cli, run, write_labels, on):
    head = fitted(cli, run, write_labels(half), "--precision", "0.8", on=on)
    said, low, high = head.metrics["ROC-AUC"]
    keys, scores = scores_of(run, head)
    unseen = np.array([half(key) is None for key in keys])
    found = area(scores[unseen], np.array([space(key) == "bad" for key in keys])[unseen])
    assert low <= found <= high and found > 0.8 and said > 0.8
    assert head.labels["held_out"] == 18 and head.labels["records"] == 60
    assert head.labels["grouped_by"].startswith("near-duplicates")
    for title in ("precision", "recall"):
        value, low, high = head.metrics[title]
        assert low <= value <= high and high - low > 0.1, "few records say little"
    assert sum(b[-1] for b in head.metrics["curve"]) == head.labels["held_out"]
    assert all(low <= found <= high for _, found, low, high, _ in head.metrics["curve"])


def test_random_labels_are_told_to_be_chance(cli, run, write_labels, ids):
    fitted(cli, run, write_labels(lambda key: "bad" if int(ids[key], 16) % 2 else "good"))
    assert "may be chance: the interval of the ROC-AUC holds 0.5" in cli.out


def test_the_same_labels_give_the_same_bytes(cli, run, write_labels):
    labels = write_labels(half)
    fitted(cli, run, labels)
    first, out = (cli.cwd / "space.head.json").read_bytes(), cli.out
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join(["label,remark,id"] + [f"{ln[33:]},x,{ln[:12]}" for ln in lines[:0:-1]]))
    fitted(cli, run, labels)
    assert (cli.cwd / "space.head.json").read_bytes() == first and cli.out == out


def test_near_duplicates_stay_together(run, write_labels, ids):
    """The re-encode was dropped for its original: both are in one group, and so on one side."""
    from thresher.pipelines.calibrate.records import gathered

    names = ["again.jpg", "coffee-04.jpg", "copy.jpg", "astronaut-00.jpg", "rocket-00.jpg"]
    found = gathered(open_run(run), "images", ["sharpness"], [bytes.fromhex(ids[key]) for key in names])
    group = dict(zip((row["key"] for row in found.rows), found.groups.tolist(), strict=True))
    assert group["again.jpg"] == group["coffee-04.jpg"] and group["copy.jpg"] == group["astronaut-00.jpg"]
    assert len(set(group.values())) == 3


def test_mirror_images_stay_together(cli, run):
    """Neither is dropped: `dup_group` alone says that they belong together."""
    from PIL import Image, ImageOps

    from thresher.pipelines.calibrate.records import gathered

    (cli.cwd / "photos").mkdir()
    for name in ("coffee-04", "rocket-00"):
        picture = Image.open(run.parent / "photos" / f"{name}.jpg")
        picture.save(cli.cwd / "photos" / f"{name}.png")
        ImageOps.mirror(picture).save(cli.cwd / "photos" / f"{name}-turned.png")
    (cli.cwd / "photos.yaml").write_text(RECIPE)
    cli.run("photos.yaml", "--run", "r", "--local")
    view = open_run(cli.cwd / "r")
    rows = view.ledger("images", 0).to_pylist()
    found = gathered(view, "images", ["sharpness"], [row["id"] for row in rows])
    groups = {row["key"][:6]: set() for row in rows}
    for row, group in zip(found.rows, found.groups.tolist(), strict=True):
        groups[row["key"][:6]].add(group)
    assert [len(own) for own in groups.values()] == [1, 1] and groups["coffee"] != groups["rocket"]
    assert not any(row["keeper"] for row in rows)


def test_a_bound_on_a_column_from_labels(cli, run, write_labels):
    labels = str(write_labels(space))
    command = ("calibrate", str(run), "luma_mean", "--labels", labels, "--precision", "0.8")
    cli(*command)
    value, low, high = map(float, re.search(r"precision +(\S+)  (\S+) to (\S+)", cli.out).groups())
    assert low <= value <= high and "chosen on 67 records for precision 0.8" in cli.out
    assert re.search(r"^  luma_mean < \d", cli.out, re.M) and "to be found: bad" in cli.out
    cli(*command, "--positive", "good")
    assert re.search(r"^  luma_mean > \d", cli.out, re.M) and "to be found: good" in cli.out
    cli(*command, "--drop", "above", code=1)
    assert "no bound reaches the precision 0.8; the best" in cli.err
    cli("calibrate", str(run), "entropy", "--labels", labels, "--precision", "0.8")
    assert "the bound drops none of the held-out records" in cli.out, "and it is no failure"


def test_ratings_make_a_ridge_head(cli, run, write_labels, ids):
    view = open_run(run)
    rows = [
        r for p in view.parts("images") for r in view.values("images", p, ["id", "luma_mean"]).to_pylist()
    ]
    light = {r["id"].hex(): r["luma_mean"] for r in rows if r["luma_mean"] is not None}
    head = fitted(cli, run, write_labels(lambda key: str(round(light[ids[key]] / 25))), name="light")
    value, low, high = head.metrics["correlation"]
    assert head.kind == "ridge" and head.column == "light" and low <= value <= high and value > 0.9
    assert "calibrate its column with --keep" in cli.out


def test_a_run_uses_the_head(cli, run, write_labels):
    """The operator's column is the head's score; its revision is the file's; its bound can be written."""
    head = fitted(cli, run, write_labels(space), "--write", str(_recipe(cli, "space_p > 0.5")))
    text = (cli.cwd / "photos.yaml").read_text()
    assert f'unclear: "space_p > {head.bound:g}"' in text and "# calibrated: thresher calibrate" in text
    (cli.cwd / "photos").symlink_to(run.parent / "photos")
    summary = cli.run("photos.yaml", "--run", "new", "--local")
    view = open_run(cli.cwd / "new")
    rows = [r for p in view.parts("images") for r in view.values("images", p, ["key", "space_p"]).to_pylist()]
    found = {r["key"]: r["space_p"] for r in rows if "-" in r["key"]}
    assert found == pytest.approx(dict(zip(*scores_of(run, head), strict=True)), abs=1e-6)
    unclear = summary["tables"]["images"]["funnel"][-1]["reasons"]["unclear"]
    assert unclear == sum(p > head.bound for p in found.values()) and 25 < unclear < 40
    column = view.columns("images")["space_p"]
    assert (column.backend, column.lo, column.hi, len(column.revision)) == ("head space", 0, 1, 16)
    refitted = head.model_copy(update={"bias": head.bias + 1})
    (cli.cwd / "space.head.json").write_text(refitted.model_dump_json())
    assert "head" in cli("plan", "photos.yaml", "--run", "new") and "Everything is cached" not in cli.out


def test_a_run_outlives_its_head_file(cli, run, write_labels):
    """What made its columns is in the run: a head that is gone, or another of its name, changes nothing."""
    fitted(cli, run, write_labels(space))
    (cli.cwd / "photos").symlink_to(run.parent / "photos")
    cli.run(_recipe(cli, "space_p > 0.5"), "--run", "r", "--local")

    def told():
        story = cli("explain", "rocket-03.jpg", "--run", "r")
        cli("report", "r", "-o", "page.html")
        share = cli("calibrate", "r", "space_p", "--keep", "0.9")
        status = cli("status", "r")
        return story, share, status, (cli.cwd / "page.html").read_text()

    before = told()
    assert "space_p" in before[0] and "head space" in before[0]
    (cli.cwd / "space.head.json").unlink()
    assert told() == before
    (cli.cwd / "space.head.json").write_text("{}")
    assert told() == before
    cli("run", "photos.yaml", "--run", "r", "--local", code=2)
    assert "is no head" in cli.err and "photos.yaml:13" in cli.err
    assert told() == before


def _recipe(cli, predicate, head="space.head.json"):
    text = RECIPE.replace("      - select:", f"      - head: {{weights: {head}}}\n      - select:")
    text = re.sub(r"blurry: .*", f'unclear: "{predicate}"', text)
    (cli.cwd / "photos.yaml").write_text(text)
    return cli.cwd / "photos.yaml"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"backend": "siglip"}, "was fitted on 'classical' by siglip 1, here it is by classical 1"),
        ({"revision": "2"}, "was fitted on 'classical' by classical 2, here it is by classical 1"),
        ({"column": "clip"}, "reads 'clip', which no earlier step writes"),
    ],
)
def test_a_head_on_other_embeddings_is_refused_at_plan_time(cli, run, write_labels, change, told):
    head = fitted(cli, run, write_labels(space)).model_dump()
    head["on"][0] |= change
    (cli.cwd / "space.head.json").write_text(json.dumps(head))
    (cli.cwd / "photos").symlink_to(run.parent / "photos")
    cli("plan", str(_recipe(cli, "space_p > 0.5")), code=2)
    assert told in cli.err and "photos.yaml:13" in cli.err, cli.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "photos.yaml:13: there is no file or folder '"),
        ("{", "is no head: Expecting"),
        ('{"name": "x"}', "is no head: "),
        ("GOOD with NaN", "weights.0: Input should be a finite number"),
        ("GOOD with a short vector", "reads 3 numbers, its columns have 684"),
    ],
)
def test_a_file_that_is_no_head_is_told(cli, run, content, told):
    (cli.cwd / "photos").symlink_to(run.parent / "photos")
    good = {
        "name": "space", "kind": "logistic", "positive": "bad", "bias": 0, "bound": None,
        "labels": {}, "metrics": {},
        "on": [{"column": "classical", "backend": "classical", "revision": "1"}], "weights": [1, 2, 3],
    }  # fmt: skip
    if content is not None:
        if "NaN" in content:
            good["weights"] = [float("nan"), 1, 2]
        text = json.dumps(good) if content.startswith("GOOD") else content
        (cli.cwd / "space.head.json").write_text(text)
    cli("run", str(_recipe(cli, "space_p > 0.5")), "--run", "r", "--local", code=None)
    assert told in cli.err and cli.code in (1, 2), cli.err


def test_a_record_without_a_value_has_no_score():
    import pyarrow as pa

    from thresher.operators.base import Batch

    file = HeadFile(
        name="x", kind="logistic", positive="a", weights=[1, 1], bias=0, bound=None, labels={}, metrics={},
        on=[{"column": c, "backend": "thresher", "revision": "1"} for c in "ab"],
    )  # fmt: skip
    operator = get("head").__new__(get("head"))
    operator.__dict__.update(_head=file, params=None)
    made = operator.prepare(Batch([1, 2], {}, pa.table({"a": [1.0, None], "b": [2.0, 1.0]})))
    assert made[0].tolist() == [1, 2] and made[1] is None
