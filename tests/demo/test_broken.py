"""Each broken file is what its name says."""

import multiprocessing
import os
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from thresher.operators.base import View
from thresher.operators.views import MediaError, open_views
from thresher.pipelines.demo import Truth
from thresher.pipelines.demo.broken import write_broken
from thresher.pipelines.demo.photos import tiles
from thresher.schemas.uris import unquote_path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broken") / "bad"


@pytest.fixture(scope="module")
def truths(folder: Path) -> list[Truth]:
    return write_broken(folder, seed=0)


def test_the_source_is_the_folder(folder: Path, truths: list[Truth]) -> None:
    assert {truth.source for truth in truths} == {"bad"}
    assert all(os.path.lexists(os.fsencode(folder) + b"/" + unquote_path(t.key)) for t in truths)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_decoding_agrees_with_the_truth(folder: Path, truths: list[Truth]) -> None:
    for truth in truths:
        if truth.status == "absent" or truth.reasons == ("unreadable",):
            continue
        data = Path(os.fsdecode(os.fsencode(folder) + b"/" + unquote_path(truth.key))).read_bytes()
        try:
            open_views(data, [View("decoded")])
            assert truth.status in ("kept", "dropped"), truth
        except MediaError as error:
            assert truth.status == "failed" and error.reason in truth.reasons, truth


def test_every_kind_of_fault_is_there(folder: Path, truths: list[Truth]) -> None:
    reasons = {reason for truth in truths if truth.status != "kept" for reason in truth.reasons}
    assert {"empty_file", "truncated", "not_media", "too_many_pixels", "too_small"} <= reasons
    with Image.open(folder / "png-inside.jpg") as image:
        assert image.format == "PNG"
    with Image.open(folder / "cmyk.jpg") as image:
        assert image.mode == "CMYK"
    with Image.open(folder / "sixteen-bit.png") as image:
        assert image.mode == "I;16"
    with Image.open(folder / "palette-alpha.png") as image:
        assert image.mode == "P" and image.has_transparency_data
    for name in ("animated.gif", "animated.webp"):
        with Image.open(folder / name) as image:
            assert getattr(image, "n_frames", 1) == 3
    names = os.listdir(os.fsencode(folder))
    assert any(len(name) == 255 for name in names)
    assert any(b"\n" in name for name in names) and any(b"\xe9." in name for name in names)
    assert (folder / "bomb.png").stat().st_size < 200


def _as_nobody(folder: Path) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    for _ in range(2):  # a second time over the first
        found = {t.key: (t.status, t.reasons) for t in write_broken(folder)}
        assert found["no-entry.jpg"] == ("failed", ("unreadable",)), found
        assert found["locked/inside.jpg"] == ("absent", ("unreadable",)), found


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_without_root_locked_files_are_expected_to_fail() -> None:
    tiles(0)  # the child inherits them: it may not be allowed to read the packages
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o777)
        child = multiprocessing.get_context("fork").Process(
            target=_as_nobody, args=(Path(open_to_all) / "bad",)
        )
        child.start()
        child.join()
        assert child.exitcode == 0
