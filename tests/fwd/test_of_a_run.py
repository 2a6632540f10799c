"""`thresher fwd` on real files: camera pictures, a source that upsampled, some that cannot be compared."""

import io
import json
import shutil

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from thresher.pipelines.fwd.sample import stratum_of

RECIPE = """
thresher: 1
name: pool
seed: 3
tables:
  images:
    ingest:
      - {folder: ./camera, name: camera}
      - {folder: ./made, name: made}
      - {folder: ./web, name: web}
      - {folder: ./few, name: few}
      - {folder: ./big, name: big}
    steps:
      - quality
      - aigc
"""
SIDE = 128


def _photos(count, seed, side=SIDE):
    """Crops of photographs in other light and with other noise: one law for all seeds."""
    rng = np.random.default_rng(seed)
    photos = [getattr(skimage.data, n)()[..., :3] for n in ("astronaut", "coffee", "chelsea", "rocket")]
    for _ in range(count):
        photo = photos[rng.integers(len(photos))]
        y, x = (int(rng.integers(length - side + 1)) for length in photo.shape[:2])
        crop = photo[y : y + side, x : x + side, :] * rng.uniform(0.6, 1.1, 3)
        crop += rng.normal(0, rng.uniform(1, 3), crop.shape)
        yield crop.clip(0, 255).astype(np.uint8)


def _upsampled(pixels):
    """As by a transposed convolution, whose kernel has an uneven overlap."""
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.float32)
    wide = np.zeros(pixels.shape, np.float32)
    wide[::2, ::2] = small
    kernel = np.outer((0.5, 1, 0.5), (0.45, 1, 0.5)).astype(np.float32)
    return np.clip(np.rint(cv2.filter2D(wide, -1, kernel)), 0, 255).astype(np.uint8)


def _save(path, pixels, camera=False):
    exif = Image.Exif()
    if camera:
        exif[0x010F], exif[0x0110] = "HUAWEI", "P60"
        exif.get_ifd(0x8769)[0x8827] = 100
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, exif=exif)
    path.write_bytes(buffer.getvalue())


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """A finished run. `big` holds pictures of a size that no camera picture has; `web`, a broken file."""
    from tests.conftest import Cli

    folder = tmp_path_factory.mktemp("fwd")
    for seed, (name, count) in enumerate({"camera": 420, "made": 200, "web": 200, "few": 20}.items()):
        (folder / name).mkdir()
        for i, pixels in enumerate(_photos(count, seed)):
            _save(folder / name / f"{i:03d}.jpg", _upsampled(pixels) if name == "made" else pixels, not seed)
    (folder / "big").mkdir()
    for i, pixels in enumerate(_photos(200, 9, 2 * SIDE)):
        _save(folder / "big" / f"{i:03d}.jpg", pixels)
    (folder / "web" / "000.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    (folder / "pool.yaml").write_text(RECIPE)
    Cli(folder).run("pool.yaml", "--run", "r", "--local")
    return folder


@pytest.fixture
def cli(pool):
    from tests.conftest import Cli

    return Cli(pool)


@pytest.mark.acceptance("I14")
def test_a_source_that_upsampled_stands_first(cli, pool):
    text = cli("fwd", "r")
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:6]] == ["source", "made", "web", "big", "camera", "few"]
    assert "2 px" in lines[1] and lines[2].endswith("none")
    assert "only 0 find two in the reference of their size" in lines[3] and "needs 192" in lines[3]
    assert "nothing to compare it with" in lines[4] and lines[5].split()[1:] == [
        "20",
        "needs",
        "192",
        "pictures",
    ]
    assert "no verdict" in text and "nothing of any one picture" in text
    found = json.loads((pool / "r" / "fwd" / "images.json").read_text())
    made, web, *_ = found["sources"]
    assert made["n"] == 200 and web["n"] == 199 and made["pictures"] == 200 and web["pictures"] == 199
    assert abs(web["excess"]) < 0.3 * web["null"] and made["excess"] > 4 * made["null"]
    assert made["fwd"] - made["null"] == made["excess"] and not any(b["moved"] for b in web["bands"])
    again = json.loads(cli("fwd", "r", "--json"))
    assert again == found | {"table": "images"}, "the same draw, the same numbers"

    cli("report", "r")
    page = (pool / "r" / "report.html").read_text()
    section = page.partition('id="t0-sources"')[2].partition("</section>")[0]
    assert section.index(">made<") < section.index(">web<") < section.index(">few<")
    assert "nothing of any one picture" in section and "needs 192 pictures" in section
    assert f"{made['excess']:.4f}" in section and "has changed since" not in section


def test_pictures_that_are_gone_cost_their_match(cli, pool, tmp_path):
    shutil.copytree(pool, tmp_path, dirs_exist_ok=True)
    cli.cwd = tmp_path
    cli.run("pool.yaml", "--run", "r", "--local")  # so that it knows where it lies
    for path in sorted((tmp_path / "web").iterdir())[1:4]:
        path.write_bytes(b"changed since")
    cli("fwd", "r", "--reference", "source == 'camera'")
    found = {
        told["name"]: told for told in json.loads((tmp_path / "r/fwd/images.json").read_text())["sources"]
    }
    assert (found["web"]["n"], found["web"]["unopened"]) == (
        196,
        3,
    ) and "3 drawn pictures could not" in cli.out
    shutil.rmtree(tmp_path / "web")
    shutil.rmtree(tmp_path / "made")
    cli("fwd", "r", code=1)
    assert "needs 192 matched pictures, of which 0 could be opened" in cli.out
    left = json.loads((tmp_path / "r/fwd/images.json").read_text())
    assert left["reference"] == "source == 'camera'", "a look that compared nothing takes nothing away"


def test_what_is_matched():
    def stratum(side, quality=92, form="jpeg"):
        return stratum_of({"width": side, "height": side, "jpeg_quality": quality, "format": form})

    assert stratum(300) == stratum(280, 94) and stratum(180) == stratum(170)
    alike = [
        stratum(300),
        stratum(600),
        stratum(300, 96),
        stratum(300, None, "png"),
        stratum(180),
        stratum(192),
    ]
    assert len(set(alike)) == len(alike), "at 192 px there are nine tiles, at 180 px four"


def test_what_is_asked_wrongly_is_said(cli, pool, tmp_path):
    for arguments, said in (
        (("--most", "100"), "--most: 100 pictures are too few to compare sets by. Give 192 or more"),
        (("--reference", "camera_exf"), "the run has no column 'camera_exf'. Did you mean 'camera_exif'"),
        (("--reference", "sharpness > quantile(sharpness, 0.5)"), "a quantile depends on the whole table"),
        (("--reference", "width > 5000px"), "no picture fits the reference"),
        (("--by", "width"), "the column 'width' holds no names"),
        (("--by", "sorce"), "the run has no column 'sorce'"),
    ):
        cli("fwd", "r", *arguments, code=2)
        assert said in cli.err, cli.err
    table = "{ingest: {folder: few}, steps: [quality]}"
    (pool / "plain.yaml").write_text(f"{{thresher: 1, name: plain, tables: {{images: {table}}}}}")
    cli.run("plain.yaml", "--run", "plain", "--local")
    cli("fwd", "plain", code=2)
    assert "has no column 'camera_exif', 'aigc_tier'. Add the step `aigc`" in cli.err
    cli("fwd", "plain", "--reference", "format == 'jpeg'", code=1)
    assert "the whole reference is of this source" in cli.out
