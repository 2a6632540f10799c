"""A finished run of 100 real photographs, and labels for them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Cli

RECIPE = """
thresher: 1
name: photos
seed: 7
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - quality
      - embed  # classical
      - dedupe.exact
      - dedupe.near
      - select:
          drop:
            too_small: "short_side < 32px"   # none
            # what a person wrote
            blurry: 'sharpness < 60 or focus < 0'   # and beside
"""


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, photo_tiles: list[Path]) -> Path:
    """96 tiles, a copy, a re-encode and two broken files, measured and deduplicated."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("run")
    photos = folder / "photos"
    photos.mkdir()
    for path in photo_tiles:
        shutil.copy2(path, photos / path.name)
    shutil.copy2(photo_tiles[0], photos / "copy.jpg")
    Image.open(photo_tiles[20]).save(photos / "again.jpg", quality=70)
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "text.jpg").write_text("not an image")
    (folder / "photos.yaml").write_text(RECIPE)
    Cli(folder).run("photos.yaml", "--run", "r", "--local")
    return folder / "r"


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A copy of that run with photographs of its own, in `photos` beside it, and no labels."""
    shutil.copytree(run.parent, tmp_path / "own")
    plan = tmp_path / "own" / "r" / "plan.json"
    plan.write_text(plan.read_text().replace(str(run.parent / "photos"), str(tmp_path / "own" / "photos")))
    shutil.rmtree(tmp_path / "own" / "r" / "labels", ignore_errors=True)
    return tmp_path / "own" / "r"


@pytest.fixture
def impatient(tmp_path: Path, cli: Cli) -> None:
    """A picture may take one second, in every process: a named pipe in its place takes for ever."""
    site = tmp_path / "impatient"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "from thresher.pipelines.recipe.profile import Profile\n"
        "Profile.model_fields['record_wall_s'].default = 1\n"
        "Profile.model_rebuild(force=True)\n"
    )
    cli.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))


@pytest.fixture(scope="session")
def ids(run: Path) -> dict[str, str]:
    """Key -> id of every record."""
    from thresher.pipelines.runview import open_run

    view = open_run(run)
    rows = (view.ledger("images", p).to_pylist() for p in view.parts("images"))
    return {row["key"]: row["id"].hex() for part in rows for row in part}


@pytest.fixture
def write_labels(tmp_path: Path, ids: dict[str, str]) -> Callable[..., Path]:
    """`write_labels(rule)`: a CSV of the tiles for which the rule gives a class."""

    def write(rule: Callable[[str], str | None], *more: str, name: str = "labels.csv") -> Path:
        tiles = {key: i for key, i in ids.items() if "-" in key}
        lines = [f"{i},{label}" for key, i in sorted(tiles.items()) if (label := rule(key)) is not None]
        path = tmp_path / name
        path.write_text("\n".join(["id,label", *lines, *more]) + "\n")
        return path

    return write


def space(key: str) -> str:
    """Tiles of the sky and the eye are `bad`: dark, of one hue, with few edges."""
    return "bad" if key.startswith(("hubble", "retina")) else "good"
