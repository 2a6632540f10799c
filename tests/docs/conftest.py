"""The pages under test, and the small pool of photographs that their examples run on."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])

NAMES = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "retina")

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language, in order."""
    return [code for word, code in _FENCE.findall(page.read_text("utf-8")) if word == language]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> list[Path]:
    return PAGES


@pytest.fixture(scope="session")
def blocks() -> Callable[[str, str], list[str]]:
    """`blocks("docs/shards.md", "python")`: the fenced blocks of a page."""
    return lambda page, language: code_blocks(ROOT / page, language)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """`./photos`: 17 images and a caption. Nine are distinct photographs of 512 px or more."""
    import skimage.data

    folder = tmp_path / "photos"
    folder.mkdir()
    images = {name: Image.fromarray(getattr(skimage.data, name)()[..., :3]) for name in NAMES}
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        images[name].save(folder / f"{name}.jpg", quality=92)
    for i, (x, y) in enumerate([(0, 0), (280, 0), (0, 480), (352, 480)]):
        images["hubble_deep_field"].crop((x, y, x + 520, y + 520)).save(
            folder / f"hubble-{i}.jpg", quality=92
        )
        images["retina"].crop((150 + x, 150 + y, 790 + x, 690 + y)).save(
            folder / f"retina-{i}.jpg", quality=92
        )
    images["hubble_deep_field"].crop((0, 0, 520, 520)).save(folder / "again.jpg", quality=60)
    images["astronaut"].resize((8, 8)).resize((600, 600), Image.Resampling.BICUBIC).save(folder / "soft.jpg")
    shutil.copy2(folder / "retina-0.jpg", folder / "retina copy.jpg")
    (folder / "astronaut.txt").write_text("a woman in an orange suit, a flag behind her")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.jpg").write_text("not an image")
    return folder
