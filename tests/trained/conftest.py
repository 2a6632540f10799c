"""Squares that a run of Thresher exported, and runs of the trainer on them."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.trainer.runs import write_config
from thresher.pipelines.demo.squares import make_squares
from thresher.trainer.config import load
from thresher.trainer.run.train import main

torch.set_num_threads(1)
RECIPE = """
thresher: 1
name: squares
tables:
  images:
    ingest: {folder: %s}
    steps:
      - quality
%s
    export: {shard_size: 512MB}
"""


def train(folder, export, name="run", *overrides, **stage):
    """Train a model of a few thousand weights on squares, in `folder`."""
    stage = {
        "image": 32,
        "rows": 4,
        "micro": 4,
        "losses": {"ce": 1, "mse": 1},
        "captions": {"text": 1},
    } | stage
    file = write_config(folder, {"squares": export}, name, **stage)
    return main(load(file, [f"out={folder / name}", *overrides]))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with `images`, their export, and the run `run` of four steps."""
    from tests.conftest import Cli

    folder = tmp_path_factory.mktemp("squares")
    make_squares(folder / "pool", 120)
    recipe = folder / "plain.yaml"
    recipe.write_text(RECIPE % (folder / "pool/images", ""))
    Cli(folder)("run", recipe, "--run", folder / "plain", "--local")
    train(folder, folder / "plain/export/images/latest", steps=4)
    return folder


@pytest.fixture
def squares(made, tmp_path):
    """`trained(steps, ...)` writes a recipe with further steps; `run` is a copy of the trained run."""
    shutil.copytree(made / "run", tmp_path / "run")

    def write(steps: str) -> Path:
        recipe = tmp_path / "again.yaml"
        recipe.write_text(RECIPE % (made / "pool/images", steps))
        return recipe

    return write
