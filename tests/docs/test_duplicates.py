"""The first and the last row of the table in docs/duplicates.md, and `mirror: drop`."""

from collections import Counter

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

    def dropped() -> Counter[str]:
        rows = ledger_of(tmp_path / "runs" / "variants")
        lost = [r["key"].removesuffix(".jpg").rpartition("-")[2] for r in rows if r["status"] == "dropped"]
        return Counter(lost)

    cli("run", "variants.yaml", "--local")
    same = dict.fromkeys(("frame", "half", "blur", "low"), 6)
    assert dropped() == same, "each for the original"
    command = blocks(page, "sh")[0].split()
    cli(*command[1:], "--local")
    found = dropped()
    assert found.pop("flip", 0) + found.pop("orig", 0) == 6, "the one with fewer bytes"
    assert found == same
