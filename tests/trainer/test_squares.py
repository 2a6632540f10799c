"""The squares are learnt: drawn as the caption says, and described as they are."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.shards import plain, write_export
from thresher.pipelines.demo.squares import BACKGROUNDS, SQUARES, make_squares, picture
from thresher.trainer.config import load, restored
from thresher.trainer.run import checkpoint
from thresher.trainer.run.setup import Coding
from thresher.trainer.run.train import main

CONFIG = Path(__file__).parents[2] / "configs" / "train_squares.yaml"
NAMED = {**SQUARES, **BACKGROUNDS}


def trained(folder, *overrides):
    """The run of the bundled config on squares; its lines of metrics."""
    make_squares(folder / "squares", 2000)
    files = sorted((folder / "squares" / "images").glob("*.png"))
    samples = [plain(f.with_suffix(".txt").read_text(), f.read_bytes(), name=f.name) for f in files]
    export = write_export(folder / "export", samples, per_shard=2000)
    told = [f"sources.squares.export={export}", f"tokenizer=words:{folder / 'squares' / 'words.txt'}"]
    run = main(load(CONFIG, [*told, f"out={folder / 'run'}", *overrides]))
    return run, [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def colours(image):
    """The square's and the background's colour, of the names that pixels are nearest to."""
    palette = np.array(list(NAMED.values()), float)
    nearest = ((image[:, :, None].astype(float) - palette) ** 2).sum(axis=3).argmin(axis=2)
    counted = Counter(np.array(list(NAMED))[nearest].ravel().tolist())
    return max(SQUARES, key=counted.__getitem__), max(BACKGROUNDS, key=counted.__getitem__)


def accuracies(run, count=32):
    """Shares of right squares and backgrounds drawn, and of right colours in captions."""
    path = checkpoint.found(run)
    coding = Coding(restored(checkpoint.about(path)["config"]))
    sampler, stage = coding.sampler(path), coding.config.stages[-1]
    random = np.random.default_rng(7)
    asked = [(str(random.choice(list(SQUARES))), str(random.choice(list(BACKGROUNDS)))) for _ in range(count)]
    prompts = [[f"a {square} square on a {ground} background"] for square, ground in asked]
    told = {"steps": 30, "shift": stage.shift, "scales": (2.0, 1.0), "drops": vars(stage.drops)}
    made = [colours(image) for image in sampler.draw(prompts, size=(64, 64), seed=1, **told)]
    shown = [picture(square, ground, 16, 12, 32) for square, ground in asked]
    texts = sampler.describe(shown)
    right = [text == prompt for text, (prompt,) in zip(texts, prompts, strict=True)]
    drawn = np.array(made) == np.array(asked)
    return drawn[:, 0].mean(), drawn[:, 1].mean(), np.mean(right)


def test_a_picture_of_a_square_is_read_as_what_it_is():
    for square in SQUARES:
        for ground in BACKGROUNDS:
            assert colours(picture(square, ground, 3, 9, 30)) == (square, ground)


@pytest.mark.acceptance("T31")
def test_squares_are_learnt_in_few_steps(tmp_path):
    run, lines = trained(tmp_path, "stages.0.steps=120")
    early, late = (
        np.mean([[line["ce"], line["mse"]] for line in some], axis=0) for some in (lines[:10], lines[-10:])
    )
    assert late[0] < 0.1 < 1 < early[0]
    assert late[1] < 0.5 * early[1]
    assert accuracies(run, 8)[2] >= 0.75


@pytest.mark.slow
@pytest.mark.acceptance("T31")
def test_squares_are_learnt(tmp_path):
    run, lines = trained(tmp_path)
    assert np.mean([line["ce"] for line in lines[-20:]]) < 0.03
    square, ground, caption = accuracies(run)
    assert square >= 0.9 and ground >= 0.95 and caption >= 0.95
