"""Profiles hold resources."""

from pathlib import Path

import pytest

from thresher.pipelines.recipe import Profile, load_profile
from thresher.schemas import UsageError


def test_the_defaults_are_the_laptop() -> None:
    assert load_profile() == load_profile("laptop") == Profile()


def test_bundled_and_own_profiles(tmp_path: Path) -> None:
    assert load_profile("workstation").object_store_mb > Profile().object_store_mb
    path = tmp_path / "mine.yaml"
    path.write_text("workers: 3\nray_address: 10.0.0.1:6379\n")
    assert load_profile(path) == Profile(workers=3, ray_address="10.0.0.1:6379")


@pytest.mark.acceptance("C10")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workers: 2\nworker: 3\n", "mine.yaml:2: unknown key 'worker'. Did you mean 'workers'?"),
        ("workers: 0\n", "mine.yaml:1: workers should be greater than or equal to 1, not 0"),
        ("\nrecord_cpu_s: long\n", "mine.yaml:2: record_cpu_s should be a valid number, not 'long'"),
        ("workers: 1\nworkers: 2\n", "mine.yaml:2: the key 'workers' occurs twice, first in line 1"),
        ("", "mine.yaml:1: is empty"),
    ],
)
def test_bad_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_profile("mine.yaml")
    assert str(caught.value).startswith(message)


def test_an_unknown_profile() -> None:
    with pytest.raises(UsageError, match=r"no profile 'laptob'\. Did you mean 'laptop'"):
        load_profile("laptob")
