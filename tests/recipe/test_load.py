"""A wrong recipe: one message with the line, the name and the nearest right spelling."""

from collections.abc import Callable
from pathlib import Path

import pytest

from thresher.pipelines.plan.compile import compile_plan
from thresher.pipelines.recipe import LoadedRecipe, load
from thresher.schemas import FieldError, UsageError

Load = Callable[..., LoadedRecipe]

GOOD = """\
# a comment, so that lines are not what a parser might count
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - probe
      - probe:
          as: technical
          max_distance: 16
          drop:
            blurry: "sharpness < 40"
      - needed: {column: sharpness}
"""

BAD = [
    # what, text in GOOD, its replacement, line, words of the message
    ("unknown top key", "name: photos", "nmae: photos", 3, ["unknown key 'nmae'", "'name'"]),
    ("unknown tables", "tables:", "tabels:", 4, ["unknown key 'tabels'", "'tables'"]),
    ("unknown table key", "    steps:", "    setps:", 7, ["unknown key 'setps'", "'steps'"]),
    ("unknown source", "folder:", "fodler:", 6, ["unknown key 'fodler'", "'folder'"]),
    (
        "unknown parameter",
        "max_distance:",
        "max_distanse:",
        11,
        ["unknown key 'max_distanse'", "'max_distance'"],
    ),
    ("unknown inner key", "max_distance: 16", "inner: {bsae: 3}", 11, ["unknown key 'bsae'", "'base'"]),
    ("far-off key", "max_distance:", "zzz:", 11, ["unknown key 'zzz'", "Known keys here: as, drop"]),
    ("unknown operator", "- probe\n", "- prob\n", 8, ["no operator 'prob'", "'probe'"]),
    (
        "unknown choice",
        "max_distance: 16",
        "mode: carefull",
        11,
        ["mode", "'carefull'", "Did you mean 'careful'"],
    ),
    (
        "unknown inner choice",
        "max_distance: 16",
        "inner: nome",
        11,
        ["inner", "'nome'", "Did you mean 'none'"],
    ),
    ("wrong type", "16", "many", 11, ["max_distance", "integer", "'many'"]),
    ("wrong type deep", '"sharpness < 40"', "40", 13, ["blurry", "string", "40"]),
    ("wrong type of seed", "name: photos", "name: photos\nseed: '7'", 4, ["seed", "integer", "'7'"]),
    ("wrong range", "16", "-1", 11, ["max_distance", "greater than or equal to 0", "-1"]),
    ("a share in percent", "max_distance: 16", "share: 10%", 11, ["share", "'10%'", "Write 0.1."]),
    ("a lone word", "max_distance: 16", "languages: zh", 11, ["should be a list", "Write `[zh]`"]),
    ("budget", "name: photos", "name: photos\nbudget: 5 USD", 4, ["`budget: {money: ..., tokens: ...}`"]),
    ("by meaning", "- probe\n", "- caption.verify\n", 8, ["Did you mean 'caption.check'?"]),
    ("infinite", "max_distance: 16", "share: .inf", 11, ["share", "finite"]),
    ("not a mapping", "- needed: {column: sharpness}", "- needed: 5", 14, ["needed", "mapping", "5"]),
    ("not a step", "- probe\n", "- 5\n", 8, ["5 is no step"]),
    ("flat step", "- probe\n", "- probe:\n        share: 0.1\n", 8, ["2 keys: 'probe', 'share'", "indent"]),
    ("table key as step", "- probe\n", "- export\n", 8, ["'export'", "beside `steps`"]),
    (
        "same step twice",
        "          as: technical\n",
        "",
        9,
        ["two steps are called 'probe'", "recipe.yaml:8", "as:"],
    ),
    ("same label twice", "technical", "needed", 14, ["two steps are called 'needed'", "recipe.yaml:9"]),
    ("bad label", "technical", "a/b", 10, ["'a/b'"]),
    ("reserved label", "technical", "ingest", 10, ["'ingest'"]),
    ("bad name", "photos\n", "../photos\n", 3, ["name", "'../photos'", "letters"]),
    ("bad table name", "  images:", "  im/ages:", 5, ["'im/ages'", "letters"]),
    ("missing name", "name: photos\n", "", 2, ["the key 'name' is missing"]),
    ("missing tables", GOOD[GOOD.index("tables:") :], "", 2, ["the key 'tables' is missing"]),
    ("no table", GOOD[GOOD.index("tables:") :], "tables: {}", 4, ["tables", "at least 1"]),
    ("missing ingest", "    ingest: {folder: ./photos}\n", "", 5, ["the key 'ingest' is missing"]),
    ("missing parameter", "{column: sharpness}", "{}", 14, ["the key 'column' is missing"]),
    ("two sources in one", "./photos}", "./photos, shards: x}", 6, ["exactly one of folder, shards"]),
    ("circular tables", "folder: ./photos", "table: images", 6, ["the table 'images'"]),
    ("duplicate key", "name: photos", "name: photos\nname: x", 4, ["'name' occurs twice", "line 3"]),
    ("other version", "thresher: 1", "thresher: 2", 2, ["thresher should be 1", "2"]),
    ("syntax", "{folder: ./photos}", "{folder: [}", 6, ["not valid YAML"]),
    ("tab", "  images:", "\timages:", 5, ["not valid YAML"]),
    ("two documents", "tables:", "---\ntables:", 4, ["not valid YAML"]),
    ("a tag", "{column: sharpness}", "!!python/object:os.system {}", 14, ["python/object", "tag"]),
    ("a scalar's tag", "16", "!!python/name:os.system 1", 11, ["not valid YAML", "tag"]),
    ("odd key", "name: photos", "? [a]\n: b\nname: photos", 3, ["key must be plain text"]),
]


@pytest.mark.acceptance("C10")
@pytest.mark.parametrize(("old", "new", "line", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_recipe_tells_line_and_name(
    load_text: Load, old: str, new: str, line: int, words: list[str]
) -> None:
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        load_text(GOOD.replace(old, new, 1))
    assert caught.value.where == f"recipe.yaml:{line}", str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.acceptance("C10")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "recipe.yaml:1: is empty"),
        ("# only a comment\n", "recipe.yaml:1: is empty"),
        ("- a\n- b\n", "recipe.yaml:1: is not a mapping"),
        ("\n\nphotos\n", "recipe.yaml:3: is not a mapping"),
        ("thresher: 1\nname: \x07\n", "recipe.yaml: is not valid YAML"),
        ("thresher: &a [*a]\n", "recipe.yaml: is nested too deeply"),
        ("[" * 5000, "recipe.yaml: is nested too deeply"),
    ],
)
def test_text_that_is_no_recipe(load_text: Load, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_text(text)
    assert str(caught.value).startswith(message)


@pytest.mark.acceptance("C10")
def test_files_that_cannot_be_read(tmp_path: Path, load_text: Load) -> None:
    load_text(GOOD)
    for name, words in {
        "recipes.yaml": ["'recipes.yaml'", "'recipe.yaml'"],
        "dmo": ["'dmo'", "'demo'"],
        "zzzzzzz": ["'zzzzzzz'", "captions", "demo", "image_pool"],
        str(tmp_path): ["is a folder"],
    }.items():
        with pytest.raises(UsageError) as caught:
            load(name)
        for word in words:
            assert word in str(caught.value)
    Path("latin.yaml").write_bytes(b"thresher: 1\nname: caf\xe9\n")
    with pytest.raises(UsageError, match=r"latin\.yaml:2: is not UTF-8"):
        load("latin.yaml")


def test_values_know_their_lines(load_text: Load) -> None:
    loaded = load_text(GOOD)
    steps = ("tables", "images", "steps")
    assert loaded.locate((*steps, 1, "drop", "blurry")) == "recipe.yaml:13"
    assert loaded.locate((*steps, 1, "share")) == "recipe.yaml:9", "a default stands where its step does"
    assert loaded.locate((*steps, 0, "share")) == "recipe.yaml:8"
    assert loaded.locate(("tables", "images", "ingest", 0, "folder")) == "recipe.yaml:6"
    assert loaded.locate(("seed",)) == "recipe.yaml:2"


@pytest.mark.acceptance("C10")
def test_what_an_operator_refuses_gets_its_line(load_text: Load) -> None:
    loaded = load_text(GOOD + "    export:\n      shard_size: 8000\n")
    error = FieldError("there is no column 'sharpnes'", ("drop", "blurry"), "Did you mean 'sharpness'?")
    located = loaded.located(error, "images", 1)
    assert (located.where, located.what, located.mend) == ("recipe.yaml:13", error.what, error.mend)
    assert loaded.located(FieldError("too small", ("shard_size",)), "images", None).where == "recipe.yaml:16"
    built = LoadedRecipe(loaded.recipe, Path())
    assert built.located(error, "images", 1).where == "tables.images.steps.1.drop.blurry"


def test_where_relative_paths_start(load_text: Load, tmp_path: Path) -> None:
    assert load_text(GOOD).base == tmp_path
    Path("inner").mkdir()
    Path("recipe.yaml").rename("inner/recipe.yaml")
    assert load("inner/recipe.yaml").base == tmp_path / "inner"
    assert load("demo").base == tmp_path, "a bundled recipe works on the working folder"


def test_yaml_is_1_2_and_keys_are_text(load_text: Load) -> None:
    loaded = load_text(GOOD.replace('blurry: "sharpness < 40"', "on: no"))
    step = loaded.recipe.tables["images"].steps[1]
    assert step.params.model_dump()["drop"] == {"on": "no"}


def test_an_alias_repeats_a_value(load_text: Load) -> None:
    text = GOOD.replace("drop:", "drop: &bounds").replace(
        "- needed: {column: sharpness}", "- probe.two: {drop: *bounds}"
    )
    steps = load_text(text).recipe.tables["images"].steps
    assert steps[2].params.model_dump()["drop"] == steps[1].params.model_dump()["drop"] != {}


def test_steps_that_are_no_list(load_text: Load) -> None:
    text = GOOD[: GOOD.index("    steps:")] + "    steps:\n      probe: {share: 1}\n"
    with pytest.raises(UsageError, match=r"recipe\.yaml:7: steps should be a list"):
        load_text(text)


PREDICATE = """\
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - quality
      - select:
          drop:
            too_small: "short_side < 512px"
            blurry: "sharpness < 40"
"""


@pytest.mark.acceptance("C10")
@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("sharpness < 40", "sharpnes < 40", 11, ["'sharpnes'", "'sharpness'"]),
        ("512px", "512MB", 10, ["short_side", "px", "MB"]),
        ("< 40", "< -1", 11, ["sharpness", "-1"]),
        ("blurry:", "blury:", 11, ["'blury'", "'blurry'"]),
    ],
)
def test_a_bad_predicate_gets_its_line(
    load_text: Load, old: str, new: str, line: int, words: list[str]
) -> None:
    compile_plan(load_text(PREDICATE))
    with pytest.raises(UsageError) as caught:
        compile_plan(load_text(PREDICATE.replace(old, new)))
    assert caught.value.where == f"recipe.yaml:{line}", str(caught.value)
    for word in words:
        assert word in str(caught.value)
