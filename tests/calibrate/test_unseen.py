"""A head trained on a demo pool is as good as it said on photographs of which it saw no pixel.

Pools of all seeds are cut from the same fourteen photographs. So every picture of the first nine is labelled,
and every picture of the other five, from pools of other seeds, is kept for the end: no photograph is on both
sides. Each photograph has a folder of its own, so that `calibrate` too holds out whole photographs: with
single pictures held out (those of one photograph on both sides), the head says more than it keeps.
"""

import shutil

import numpy as np
import pytest

from tests.calibrate.test_head import area
from tests.conftest import Cli
from thresher.operators.models.head import read_head
from thresher.pipelines.demo import make_pool, read_truth
from thresher.pipelines.demo.photos import PHOTOGRAPHS
from thresher.pipelines.runview import open_run

FITTED = {photograph.name for photograph in PHOTOGRAPHS[:9]}
SPOILT = ("near-black", "blurred", "letterboxed")
"""Kinds of planted pictures; tiny ones look like others, and collages mix photographs."""
NATURAL = "photo"
SEEDS = {"seen": range(4), "unseen": range(4, 12)}
RECIPE = """
thresher: 1
name: SIDE
tables:
  images:
    ingest: {folder: ./SIDE}
    steps:
      - quality
      - embed
"""


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Folder with the runs `run-seen` and `run-unseen`, and the class of each picture by its key."""
    root = tmp_path_factory.mktemp("unseen")
    classes: dict[str, str] = {}
    cli = Cli(root)
    for side, seeds in SEEDS.items():
        (root / side).mkdir()
        for seed in seeds:
            make_pool(root / "pool", seed=seed)
            for entry in read_truth(root / "pool" / "truth.json"):
                # of natural ones those of one pool are enough; the planted ones are few
                wanted = entry.kind in SPOILT or (entry.kind == NATURAL and seed == seeds[0])
                photograph = entry.key.rpartition("/")[2].partition("-")[0]
                if wanted and (photograph in FITTED) == (side == "seen"):
                    key = f"{photograph}/{seed}-{entry.key.replace('/', '-')}"
                    (root / side / photograph).mkdir(exist_ok=True)
                    shutil.copy(root / "pool" / "images" / entry.key, root / side / key)
                    classes[key] = "spoilt" if entry.kind in SPOILT else "natural"
        (root / f"{side}.yaml").write_text(RECIPE.replace("SIDE", side))
        cli.run(f"{side}.yaml", "--run", f"run-{side}", "--local")
    return root, classes


def rows_of(run, *columns):
    view = open_run(run)
    names = ["id", "key", *columns]
    return [r for p in view.parts("images") for r in view.values("images", p, names).to_pylist()]


def test_a_head_keeps_its_word_on_photographs_it_never_saw(sides):
    root, classes = sides
    rows = rows_of(root / "run-seen")
    lines = [f"{row['id'].hex()},{classes[row['key']]}" for row in rows]
    (root / "labels.csv").write_text("\n".join(["id,label", *lines]))
    cli = Cli(root)
    labels = ("--labels", "labels.csv", "--positive", "spoilt")
    cli("calibrate", "run-seen", "--head", "spoilt", "--on", "classical", *labels)
    head = read_head(root / "spoilt.head.json")
    said, low, high = head.metrics["ROC-AUC"]
    assert head.labels["grouped_by"] == "folders" and head.labels["groups"] == len(FITTED)

    (root / "apply.yaml").write_text(
        RECIPE.replace("SIDE", "unseen") + "      - head: {weights: spoilt.head.json}\n"
    )
    cli.run("apply.yaml", "--run", "run-unseen", "--local")
    scored = rows_of(root / "run-unseen", "spoilt_p")
    positive = np.array([classes[row["key"]] == "spoilt" for row in scored])
    found = area(np.array([row["spoilt_p"] for row in scored]), positive)
    assert positive.sum() > 24 and sum(line.endswith("spoilt") for line in lines) > 24
    assert low <= found <= high and low > 0.5 and found > 0.7, (said, low, high, found)
