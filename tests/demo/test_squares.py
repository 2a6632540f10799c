"""Squares with captions, some of them wrong on purpose."""

import json

import numpy as np
import pytest
from PIL import Image

from thresher.pipelines.demo.squares import BACKGROUNDS, SQUARES, make_squares
from thresher.schemas import UsageError


def test_captions_tell_what_is_drawn_but_for_the_share_that_is_wrong(tmp_path):
    make_squares(tmp_path, 200, wrong=0.2)
    told = json.loads((tmp_path / "truth.json").read_text())["pictures"]
    for one in told:
        pixels = np.asarray(Image.open(tmp_path / "images" / one["key"]))
        counted = {name: (pixels == colour).all(axis=2).sum() for name, colour in SQUARES.items()}
        assert 24**2 <= counted[one["square"]] <= 40**2
        assert (pixels == BACKGROUNDS[one["background"]]).all(axis=2).sum() >= 64**2 - 40**2
        text = (tmp_path / "images" / one["key"]).with_suffix(".txt").read_text()
        assert text == f"a {one['said']} square on a {one['background']} background"
    assert 20 <= sum(one["said"] != one["square"] for one in told) <= 60


def test_right_and_wrong_captions_belong_to_the_same_pictures(tmp_path):
    for name, wrong in (("a", 0.0), ("b", 0.2)):
        make_squares(tmp_path / name, 20, wrong)
    images = [sorted((tmp_path / name).glob("images/*.png")) for name in ("a", "b")]
    assert [p.read_bytes() for p in images[0]] == [p.read_bytes() for p in images[1]]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="something else"):
        make_squares(tmp_path, 2)
