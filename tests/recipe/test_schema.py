"""The JSON Schema says what the loader accepts."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from thresher.operators import registry
from thresher.pipelines.recipe import json_schema, kind_schema, load
from thresher.pipelines.recipe.schema import schema_text
from thresher.schemas import UsageError

CONFIGS = Path(__file__).parents[2] / "configs"
REGENERATE = (
    "python -c 'from thresher.pipelines.recipe.schema import schema_text as s; print(s(), end=\"\")'"
    " > configs/recipe.schema.json"
)


def errors(schema: dict[str, Any], data: Any) -> list[str]:
    jsonschema.Draft202012Validator.check_schema(schema)
    return [e.message for e in jsonschema.Draft202012Validator(schema).iter_errors(data)]


def small(**table: Any) -> dict[str, Any]:
    return {"name": "a", "tables": {"images": {"ingest": {"folder": "x"}, **table}}}


@pytest.mark.acceptance("C21")
def test_the_committed_schema_is_the_generated_one() -> None:
    committed = (CONFIGS / "recipe.schema.json").read_text("utf-8")
    generated = schema_text()
    assert committed == generated, f"write it anew: {REGENERATE}"


@pytest.mark.acceptance("C21")
@pytest.mark.parametrize("name", ["captions", "demo", "image_pool"])
def test_bundled_recipes_load_and_fit_the_schema(name: str) -> None:
    schema = json.loads((CONFIGS / "recipe.schema.json").read_text("utf-8"))
    recipe = load(name).recipe
    assert recipe.name == name
    assert errors(schema, YAML(typ="safe").load(CONFIGS / f"{name}.yaml")) == []
    assert errors(schema, recipe.resolved()) == [], "with every default written out too"


@pytest.mark.parametrize(
    "bad",
    [
        {"tables": {}},
        small() | {"name": "a/b"},
        small() | {"sead": 1},
        small(setps=[]),
        small(steps=["qualty"]),
        small(steps=["export"]),
        small(steps=[{"probe": {"max_distanse": 3}}]),
        small(steps=[{"probe": {"max_distance": "many"}}]),
        small(steps=[{"probe": {}, "needed": {"column": "x"}}]),
        small(steps=["needed"]),
        small(steps=[{"needed": None}]),
        small(export={"shard_siz": 3}),
        small(ingest={"foldr": "x"}),
        small(ingest=[]),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(bad: dict[str, Any], tmp_path: Path) -> None:
    assert errors(json_schema(), bad)
    path = tmp_path / "bad.yaml"
    YAML(typ="safe").dump(bad, path)
    with pytest.raises(UsageError):
        load(path)


def test_the_schema_takes_every_form_of_a_step() -> None:
    steps = [
        "probe",
        {"probe.two": None},
        {"probe": {"as": "again", "inner": {"base": 3}}},
        {"needed": {"column": "x"}},
    ]
    assert errors(json_schema(), small(steps=steps, export={"shard_size": "8MB"})) == []


@pytest.mark.acceptance("C20")
def test_other_operators_are_in_the_schema_but_not_in_the_committed_one() -> None:
    full, built_in = json_schema(), json_schema(plugins=False)
    assert "A Measure with every sort of parameter." in json.dumps(full)
    assert "probe" not in json.dumps(built_in)
    bare = {b["const"] for b in step_branches(built_in) if "const" in b}
    keyed = {next(iter(b["properties"])) for b in step_branches(built_in) if "properties" in b}
    brought = {n for n in registry.names() if registry.get(n).__module__.startswith("thresher.")}
    assert bare | keyed == keyed == brought - {"export", "export.documents"}
    assert all(branch["description"] for branch in step_branches(built_in))


def step_branches(schema: dict[str, Any]) -> list[dict[str, Any]]:
    table = schema["properties"]["tables"]["additionalProperties"]
    return table["properties"]["steps"]["anyOf"][0]["items"]["anyOf"]


def test_it_is_the_same_every_time() -> None:
    assert json.dumps(json_schema()) == json.dumps(json_schema())


def test_the_schema_of_an_image_record() -> None:
    schema = kind_schema("image")
    media = [{"role": "image", "uri": "a.jpg", "offset": None, "length": None, "format": "jpeg"}]
    record = {
        "id": "0f" * 16,
        "kind": "image",
        "source": "photos",
        "key": "a.jpg",
        "media": media,
        "parents": [],
        "synthetic": False,
        "licence": "unknown",
        "text": None,
        "sharpness": 12.5,
    }
    assert errors(schema, record) == []
    assert errors(schema, record | {"id": "0F"})
    assert errors(schema, record | {"synthetic": None})
    assert errors(schema, {k: v for k, v in record.items() if k != "source"}) == [
        "'source' is a required property"
    ]
    with pytest.raises(UsageError, match=r"no schema 'imag'\. Did you mean 'image'"):
        kind_schema("imag")
