"""The recipe for a pool of photographs: it runs as it stands, and its learned part is a valid one."""

import re
from pathlib import Path

import pytest
from PIL import Image

RECIPE = Path(__file__).parents[2] / "configs" / "image_pool.yaml"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twelve photographs of 512 px and one of 200 px."""
    import skimage.data

    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        image = Image.fromarray(getattr(skimage.data, name)()[..., :3])
        side = min(image.size)
        for i, left in enumerate((0, image.width - side, 1)):
            box = (left, i, left + side - 2, i + side - 2)
            turned = image.crop(box).rotate(90 * i).resize((512, 512))
            turned.save(folder / f"{name}-{i}.jpg", quality=92)
    Image.open(folder / "rocket-0.jpg").resize((200, 200)).save(folder / "small.jpg")
    return folder


def test_it_runs_as_it_stands(cli, images, ledger_of):
    cli.run(RECIPE, "--run", "r", "--local", "--set", f"tables.images.ingest.folder={images}")
    rows = {row["key"]: row for row in ledger_of(cli.cwd / "r")}
    assert rows["small.jpg"]["reason"] == "too_small" and len(rows) == 13
    assert sum(row["status"] == "kept" for row in rows.values()) >= 4


def test_its_learned_part_is_valid(cli, images, tmp_path):
    """Without the comment signs, and with files where it names weights."""
    text = RECIPE.read_text()
    head, learned = text.split("      # The learned checks", 1)
    learned, export = learned.split("    export:", 1)
    uncommented = re.sub(r"^      # ", "      ", learned.partition("\n")[2], flags=re.M)
    assert uncommented.count("- ") >= 4
    (tmp_path / "pool.yaml").write_text(f"{head}{uncommented}    export:{export}")
    for name in re.findall(r"\./(weights/[^ }]+)", uncommented):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"here")
    cli("plan", "pool.yaml")
    for step in ("ocr", "embed", "aesthetic", "learned"):
        assert step in cli.out
