"""`--set` and `THRESHER_*`."""

from collections.abc import Callable
from typing import Any

import pytest

from thresher.pipelines.recipe import LoadedRecipe
from thresher.schemas import UsageError

Load = Callable[..., LoadedRecipe]

TEXT = """\
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - probe:
          as: technical
          drop: {blurry: "sharpness < 40", custom.mine: "width < 5"}
      - probe.two
      - needed: {column: sharpness}
      - needed: {as: again, column: width}
  more.images:
    ingest: [{folder: ./a}, {folder: ./b}]
"""


def written(loaded: LoadedRecipe, *keys: str | int) -> Any:
    value: Any = loaded.recipe.resolved()
    for key in keys:
        value = value[key]
    return value


@pytest.mark.parametrize(
    ("override", "keys", "value"),
    [
        ("seed=7", ["seed"], 7),
        ("name=other", ["name"], "other"),
        ("part_size=100", ["part_size"], 100),
        (
            "tables.images.steps.technical.drop.blurry=sharpness < 30",
            ["tables", "images", "steps", 0, "probe", "drop", "blurry"],
            "sharpness < 30",
        ),
        (
            "tables.images.steps.probe.drop.black=name like 'a: b # c'",
            ["tables", "images", "steps", 0, "probe", "drop", "black"],
            "name like 'a: b # c'",
        ),
        (
            "tables.images.steps.technical.drop.custom.mine=width < 6",
            ["tables", "images", "steps", 0, "probe", "drop", "custom.mine"],
            "width < 6",
        ),
        ("tables.images.steps.0.share=0.25", ["tables", "images", "steps", 0, "probe", "share"], 0.25),
        (
            "tables.images.steps.probe.two.share=1",
            ["tables", "images", "steps", 1, "probe.two", "share"],
            1.0,
        ),
        (
            "tables.images.steps.probe.two.inner.base=3",
            ["tables", "images", "steps", 1, "probe.two", "inner", "base"],
            3,
        ),
        (
            "tables.images.steps.probe.languages=[en, zh]",
            ["tables", "images", "steps", 0, "probe", "languages"],
            ["en", "zh"],
        ),
        ("tables.images.steps.probe.note='40'", ["tables", "images", "steps", 0, "probe", "note"], "40"),
        ("tables.images.steps.probe.note=", ["tables", "images", "steps", 0, "probe", "note"], None),
        ("tables.images.steps.needed.column=x", ["tables", "images", "steps", 2, "needed", "column"], "x"),
        ("tables.images.steps.again.column=x", ["tables", "images", "steps", 3, "needed", "column"], "x"),
        ("tables.images.ingest.folder=/data", ["tables", "images", "ingest", 0, "folder"], "/data"),
        (
            "tables.more.images.ingest.1.folder=/data",
            ["tables", "more.images", "ingest", 1, "folder"],
            "/data",
        ),
    ],
)
def test_a_value_is_set(load_text: Load, override: str, keys: list[str | int], value: Any) -> None:
    assert written(load_text(TEXT), *keys[:1]) is not value
    assert written(load_text(TEXT, override), *keys) == value


def test_later_overrides_win_and_the_rest_stays(load_text: Load) -> None:
    loaded = load_text(
        TEXT, "seed=1", "seed=2", THRESHER_SEED="3", THRESHER_NAME="007", THRESHER_PART_SIZE="9"
    )
    assert (loaded.recipe.seed, loaded.recipe.name, loaded.recipe.part_size) == (2, "007", 9)
    plain = load_text(TEXT).recipe
    assert loaded.recipe.tables == plain.tables


def test_other_environment_variables_do_nothing(load_text: Load) -> None:
    assert load_text(TEXT, THRESHER_DEBUG="1", THRESHER_TABLES="x", SEED="3").recipe == load_text(TEXT).recipe


@pytest.mark.acceptance("C10")
@pytest.mark.parametrize(
    ("override", "where", "words"),
    [
        ("sead=7", "--set sead", ["'sead'", "'seed'"]),
        (
            "tables.imagse.steps.probe.share=1",
            "--set tables.imagse.steps.probe.share",
            ["'imagse'", "'images'"],
        ),
        (
            "tables.images.stpes.probe.share=1",
            "--set tables.images.stpes.probe.share",
            ["'stpes'", "'steps'"],
        ),
        ("tables.images.steps.tecnical.share=1", "--set tables.images.steps.tecnical.share", ["'technical'"]),
        ("tables.images.steps.9.share=1", "--set tables.images.steps.9.share", ["no step '9'"]),
        ("tables.images.steps.probe.shar=1", "--set tables.images.steps.probe.shar", ["'shar'", "'share'"]),
        (
            "tables.images.steps.probe.dorp.black=x",
            "--set tables.images.steps.probe.dorp.black",
            ["'dorp'", "'drop'"],
        ),
        (
            "tables.images.steps.probe.share=x",
            "--set tables.images.steps.probe.share",
            ["share", "number", "'x'"],
        ),
        (
            "tables.images.steps.probe.two=5",
            "--set tables.images.steps.probe.two",
            ["probe.two", "mapping", "5"],
        ),
        ("tables.images.ingest.foldr=x", "--set tables.images.ingest.foldr", ["'foldr'", "'folder'"]),
        ("tables.more.images.ingest.7.folder=x", "--set tables.more.images.ingest.7.folder", ["'7'"]),
        ("tables.images.steps.technical.as.x=1", "--set tables.images.steps.technical.as.x", ["'technical'"]),
        ("name.x=1", "--set name.x", ["name", "holds nothing inside"]),
        ("tables=1", "--set tables", ["table"]),
        ("tables.images.steps=1", "--set tables.images.steps", ["step"]),
        ("seed", "--set", ["'seed'", "PATH=VALUE"]),
        ("=7", "--set", ["PATH=VALUE"]),
    ],
)
def test_a_path_that_leads_nowhere(load_text: Load, override: str, where: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        load_text(TEXT, override)
    assert caught.value.where == where, str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_an_operator_that_occurs_twice_needs_its_label(load_text: Load) -> None:
    text = TEXT.replace("- needed: {column", "- needed: {as: first, column")
    with pytest.raises(UsageError, match="2 steps are called 'needed'"):
        load_text(text, "tables.images.steps.needed.column=x")


def test_a_bad_variable_is_named(load_text: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load_text(TEXT, THRESHER_SEED="seven")
    assert caught.value.where == "environment variable THRESHER_SEED"
