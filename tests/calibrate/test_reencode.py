"""A head that sees the file format is refused; one that sees the picture is not."""

import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.calibrate.conftest import space

RECIPE = """
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - quality
      - embed
      - dedupe.near
"""


def _marked(picture: Image.Image) -> Image.Image:
    """With the finest checkerboard there is, three levels high: what an upsampler may leave."""
    levels = np.asarray(picture).astype(int)
    y, x = np.indices(levels.shape[:2])
    return Image.fromarray((levels + ((x + y) % 2 * 6 - 3)[..., None]).clip(0, 255).astype(np.uint8))


def _pool(cli, photo_tiles, fake, save):
    """A run in which `save` wrote every tile, and the labels `aigc` where `fake` holds."""
    from thresher.pipelines.runview import open_run

    (cli.cwd / "photos").mkdir()
    for i, path in enumerate(photo_tiles):
        save(Image.open(path).resize((96, 96)), fake(i, path.stem), cli.cwd / "photos" / path.stem)
    (cli.cwd / "photos.yaml").write_text(RECIPE)
    cli.run("photos.yaml", "--run", "r", "--local")
    view = open_run(cli.cwd / "r")
    rows = [r for p in view.parts("images") for r in view.ledger("images", p).to_pylist()]
    stems = [path.stem for path in photo_tiles]
    said = {r["id"].hex(): fake(stems.index(r["key"][:-4]), r["key"][:-4]) for r in rows}
    lines = [f"{record},{'aigc' if yes else 'real'}" for record, yes in said.items()]
    (cli.cwd / "labels.csv").write_text("\n".join(["id,label", *lines]))


def _areas(text):
    found = re.search(r"ROC-AUC (\S+) as they are, (\S+) encoded anew", text)
    return float(found[1]), float(found[2])


@pytest.mark.acceptance("I13")
@pytest.mark.parametrize("on", ["blockiness,noise", "classical"])
def test_a_head_that_learned_the_codec_is_refused(cli, photo_tiles, on):
    """PNG fakes with a high-frequency mark against JPEG reals of the same motifs: nothing else differs."""

    def save(picture, fake, path):
        if fake:
            step = 3 if on == "classical" else 1
            for _ in range(step - 1):
                picture = _marked(picture)
            _marked(picture).save(f"{path}.png")
        else:
            picture.save(f"{path}.jpg", quality=88)

    _pool(cli, photo_tiles, lambda i, stem: i % 2 == 0, save)
    command = ("calibrate", "r", "--head", "aigc", "--on", on, "--labels", "labels.csv")
    cli(*command, code=1)
    before, after = _areas(cli.err)
    assert before - after > 0.1 and before > 0.7 and (before, after) == _areas(cli.out)
    assert "refused" in cli.err and not (cli.cwd / "aigc.head.json").exists()
    cli(*command, code=1)
    assert _areas(cli.err) == (before, after)
    cli(*command, "--no-check-reencode")
    assert (cli.cwd / "aigc.head.json").exists() and "encoded anew" not in cli.out


@pytest.mark.acceptance("I13")
def test_a_head_that_sees_the_picture_passes(cli, photo_tiles):
    """The same formats, drawn without regard to the class; the class is in the picture."""

    def save(picture, fake, path):
        if sum(path.stem.encode()) % 2:
            picture.save(f"{path}.png")
        else:
            picture.save(f"{path}.jpg", quality=88)

    _pool(cli, photo_tiles, lambda i, stem: stem.startswith(("hubble", "retina")), save)
    for name in (p.name for p in sorted((cli.cwd / "photos").glob("rocket-1*"))):
        (cli.cwd / "photos" / name).write_bytes(b"changed since")
    cli(
        "calibrate",
        "r",
        "--head",
        "aigc",
        "--on",
        "classical",
        "--labels",
        "labels.csv",
        "--precision",
        "0.8",
    )
    before, after = _areas(cli.out)
    assert before > 0.9 and after > before - 0.1 and (cli.cwd / "aigc.head.json").exists()
    assert re.search(r"held-out pictures as JPEG.*; [1-6] could not be opened", cli.out)
    shutil.rmtree(cli.cwd / "photos")
    cli("calibrate", "r", "--head", "aigc", "--on", "classical", "--labels", "labels.csv", code=1)
    assert "can be encoded anew" in cli.err
    cli(
        "calibrate",
        "r",
        "--head",
        "other",
        "--on",
        "classical",
        "--labels",
        "labels.csv",
        "--positive",
        "aigc",
    )
    assert "encoded anew" not in cli.out


def test_a_picture_that_takes_for_ever_costs_itself(cli, own_run, impatient, write_labels):
    """Of the six that became named pipes, those that are held out are waited for, a second each."""
    for path in sorted((own_run.parent / "photos").glob("rocket-1*")):
        path.unlink()
        os.mkfifo(path)
    labels = str(write_labels(space))
    command = ("calibrate", str(own_run), "--head", "space", "--on", "classical", "--labels", labels)
    cli(*command, "--check-reencode", timeout=60)
    assert re.search(r"held-out pictures as JPEG.*; [1-6] could not be opened", cli.out)
