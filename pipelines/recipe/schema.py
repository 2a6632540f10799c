"""JSON Schema of recipes, plug-ins included, and of record kinds."""

import json
from typing import Any

import pyarrow as pa
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from thresher.operators import registry
from thresher.operators.base import Operator
from thresher.operators.ingest import IngestParams
from thresher.pipelines.recipe.model import NAME, Recipe, step_names
from thresher.schemas.errors import UsageError, nearest
from thresher.schemas.records import KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Written(GenerateJsonSchema):
    """What a recipe may write: a number that is read by a function may have a unit, as `512MB`."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        inner = super().function_before_schema(schema)
        if inner.get("type") in ("integer", "number"):
            return {"anyOf": [inner, {"type": "string"}]}
        return inner


def json_schema(plugins: bool = True) -> dict[str, Any]:
    """JSON Schema (2020-12) of a recipe; without `plugins`, of the operators that Thresher brings."""
    ops = {name: registry.get(name) for name in step_names()}
    if not plugins:
        ops = {name: op for name, op in ops.items() if op.__module__.startswith("thresher.operators.")}
    defs: dict[str, Any] = {}
    top: dict[str, Any] = {}
    head = {name: f for name, f in _params(Recipe, "recipe", top)["properties"].items() if name != "tables"}
    defs |= {name: inner for name, inner in top.items() if f'"#/$defs/{name}"' in json.dumps(head)}
    ingest = _params(IngestParams, "ingest", defs)
    export = _params(registry.get("export").params_model, "export", defs)
    steps = [branch for name, op in ops.items() for branch in _step(name, op, defs)]
    table = {
        "type": "object",
        "properties": {
            "ingest": {"anyOf": [ingest, {"type": "array", "items": ingest, "minItems": 1}]},
            "steps": {"anyOf": [{"type": "array", "items": {"anyOf": steps}}, {"type": "null"}]},
            "export": {"anyOf": [export, {"type": "null"}]},
        },
        "required": ["ingest"],
        "additionalProperties": False,
    }
    tables = {"type": "object", "propertyNames": {"pattern": NAME, "maxLength": 64}, "minProperties": 1}
    return {
        "$schema": DIALECT,
        "title": "Thresher recipe",
        "type": "object",
        "properties": {**head, "tables": {**tables, "additionalProperties": table}},
        "required": ["name", "tables"],
        "additionalProperties": False,
        "$defs": dict(sorted(defs.items())),
    }


def kind_schema(kind: str) -> dict[str, Any]:
    """JSON Schema of an exported record of `kind`; measured columns come on top of it."""
    if kind not in KINDS:
        known = ["recipe", "explain", *KINDS]
        mend = nearest(kind, known) or f"Known are: {', '.join(known)}"
        raise UsageError(f"there is no schema {kind!r}", mend=mend)
    schema = KINDS[kind]
    version = schema.metadata[b"schema_version"].decode()
    return {
        "$schema": DIALECT,
        "title": f"Thresher {kind} record, version {version}",
        "type": "object",
        "properties": {field.name: _field(field) for field in schema},
        "required": [field.name for field in schema if not field.nullable],
    }


def _step(name: str, op: type[Operator], defs: dict[str, Any]) -> list[dict[str, Any]]:
    """A step as a bare name and as a name with parameters."""
    about = (op.__doc__ or "").strip().partition("\n")[0]
    params = _params(op.params_model, name, defs)
    label = {"type": "string", "pattern": NAME, "description": "the step's label"}
    params["properties"] = {"as": label, **params.get("properties", {})}
    written = params if params.get("required") else {"anyOf": [params, {"type": "null"}]}
    branch = {
        "type": "object",
        "description": about,
        "properties": {name: written},
        "required": [name],
        "additionalProperties": False,
    }
    return [branch] if params.get("required") else [{"const": name, "description": about}, branch]


def _params(model: type[BaseModel], owner: str, defs: dict[str, Any]) -> dict[str, Any]:
    """The schema of `model`; what it refers to goes to `defs` under its owner's name."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{owner}.{{model}}", schema_generator=_Written)
    defs.update({f"{owner}.{name}": inner for name, inner in schema.pop("$defs", {}).items()})
    return schema


def _field(field: pa.Field) -> dict[str, Any]:
    schema = _type(field.type)
    if field.nullable:
        schema["type"] = [schema["type"], "null"]
    meaning = (field.metadata or {}).get(b"meaning")
    return schema | ({"description": meaning.decode()} if meaning else {})


def _type(dtype: pa.DataType) -> dict[str, Any]:
    """As `schemas.sidecar.plain` writes a value: binary is hex."""
    if pa.types.is_fixed_size_binary(dtype):
        return {"type": "string", "pattern": f"^[0-9a-f]{{{2 * dtype.byte_width}}}$"}
    scalars = {pa.types.is_boolean: "boolean", pa.types.is_integer: "integer", pa.types.is_floating: "number"}
    for holds, name in scalars.items():
        if holds(dtype):
            return {"type": name}
    if pa.types.is_list(dtype):
        return {"type": "array", "items": _type(dtype.value_type)}
    if pa.types.is_struct(dtype):
        return {"type": "object", "properties": {f.name: _field(f) for f in dtype}}
    return {"type": "string"}


def schema_text() -> str:
    """The schema of the built-in operators, as committed in `configs/recipe.schema.json`."""
    return json.dumps(json_schema(plugins=False), indent=1, ensure_ascii=False) + "\n"
