"""The first and the last row of the table in docs/duplicates.md, and `mirror: drop`."""

from PIL import Image, ImageFilter, ImageOps


def _variants(image: Image.Image) -> dict[str, Image.Image]:
    width, height = image.size
    return {
        "half": image.resize((width // 2, height // 2)),
        "blur": image.filter(ImageFilter.GaussianBlur(2)),
        "frame": ImageOps.expand(image, 40, "white"),
        "flip": ImageOps.mirror(image),
        "turned": image.rotate(90, expand=True),
        "crop": image.crop((width // 20, height // 20, width - width // 20, height - height // 20)),
    }


def test_what_near_duplicates_are(cli, photos, tmp_path, blocks, ledger_of):
    folder = tmp_path / "variants"
    folder.mkdir()
    for name in ("astronaut", "hubble-1", "retina-1", "chelsea", "coffee", "rocket"):
        image = Image.open(photos / f"{name}.jpg")
        image.save(folder / f"{name}-orig.jpg", quality=92)
        image.save(folder / f"{name}-low.jpg", quality=20)
        for kind, variant in _variants(image).items():
            variant.save(folder / f"{name}-{kind}.jpg", quality=92)
    page = "docs/duplicates.md"
    (tmp_path / "variants.yaml").write_text(blocks(page, "yaml")[0])

    def dropped() -> set[str]:
        rows = ledger_of(tmp_path / "runs" / "variants")
        lost = [r["key"].rpartition("-")[2] for r in rows if r["status"] == "dropped"]
        assert all(lost.count(kind) == 6 for kind in lost), lost
        return set(lost)

    cli("run", "variants.yaml", "--local")
    same = {"orig", "half", "blur", "low"}
    assert {name.removesuffix(".jpg") for name in dropped()} == same, "each for its framed copy, the largest"
    command = blocks(page, "sh")[0].split()
    cli(*command[1:], "--local")
    assert {name.removesuffix(".jpg") for name in dropped()} == {*same, "flip"}
