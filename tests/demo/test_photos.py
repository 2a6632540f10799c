"""The photographs and the tiles cut from them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thresher.pipelines.demo import photos
from thresher.schemas.errors import ThresherError


def test_every_photograph_is_in_a_wheel_and_states_a_licence() -> None:
    for photograph in photos.PHOTOGRAPHS:
        with Image.open(photos.path_of(photograph)) as image:
            assert min(image.size) >= 300
        assert photograph.licence and photograph.credit


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = photos.Photograph("moon", "skimage_not_installed", "data/moon.png", "CC0-1.0", "nobody")
    monkeypatch.setattr(photos, "PHOTOGRAPHS", (missing,))
    with pytest.raises(ThresherError, match=r"pip install 'thresher\[demo\]'"):
        photos.tiles(12345)


def test_tiles_are_pieces_of_their_photographs() -> None:
    for tile in photos.tiles(0)[::20]:
        with Image.open(photos.path_of(tile.photograph)) as opened:
            whole = np.asarray(opened.convert(tile.image.mode))
        piece = np.asarray(tile.image)
        height, width = piece.shape[:2]
        corners = np.argwhere((whole == piece[0, 0]).reshape(*whole.shape[:2], -1).all(axis=2))
        assert any(np.array_equal(whole[y : y + height, x : x + width], piece) for y, x in corners)


def test_enough_distinct_tiles_for_many_seeds() -> None:
    for seed in range(8):
        tiles = photos.tiles(seed)
        assert len(tiles) >= 172
        assert len({tile.name for tile in tiles}) == len(tiles)
        assert min(min(tile.image.size) for tile in tiles) >= photos.MIN_SIDE


def test_the_seed_decides() -> None:
    first = [tile.name for tile in photos.tiles(0)]
    photos.tiles.cache_clear()
    assert [tile.name for tile in photos.tiles(0)] == first
    assert [tile.image.size for tile in photos.tiles(1)] != [tile.image.size for tile in photos.tiles(0)]


def test_no_package_is_imported_and_nothing_is_fetched(tmp_path: Path) -> None:
    """skimage.data would fetch what its wheel lacks."""
    import subprocess
    import sys

    code = (
        "import sys; from thresher.pipelines.demo.photos import tiles; tiles(0);"
        "sys.exit('skimage' in sys.modules or 'sklearn' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
