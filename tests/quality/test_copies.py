"""Copies of one picture, through a recipe."""

import shutil

import pytest
from PIL import Image

import thresher


@pytest.mark.acceptance("I3")
def test_twins_resaves_and_reencodings(photo_tiles, recipe, tmp_path, ledger_of):
    """Byte twins and a lossless re-save are exact duplicates, a JPEG re-encode a near one; one keeper."""
    pool = tmp_path / "photos"
    pool.mkdir()
    photo = Image.open(photo_tiles[0])
    photo.save(pool / "first.png", compress_level=1)
    shutil.copy2(pool / "first.png", pool / "twin.png")
    photo.save(pool / "resaved.png", compress_level=9)
    photo.save(pool / "reencoded.jpg", quality=75)
    Image.open(photo_tiles[20]).save(pool / "other.png")
    done = thresher.run(recipe(("sharpness < 60", "sharpness < 0.5")), tmp_path / "r", local=True, quiet=True)
    rows = {r["key"]: r for r in ledger_of(tmp_path / "r")}
    # Twins hold more bytes than the re-save; between them the smaller id decides.
    keeper, twin = sorted(("first.png", "twin.png"), key=lambda key: rows[key]["id"])
    assert {key for key, row in rows.items() if row["status"] == "kept"} == {keeper, "other.png"}
    for key, step in ((twin, "exact"), ("resaved.png", "exact"), ("reencoded.jpg", "near")):
        row = rows[key]
        assert (row["status"], row["reason"], row["step"]) == (
            "dropped",
            f"duplicate_{step}",
            f"dedupe.{step}",
        )
        assert row["keeper"] == rows[keeper]["id"] and row["value"] and row["bound"]
    counts = {c.label: c.reasons for c in done.tables[0].funnel}
    assert counts["dedupe.exact"] == {"duplicate_exact": 2} and counts["dedupe.near"] == {"duplicate_near": 1}
