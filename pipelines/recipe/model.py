"""The recipe as a model: tables, each with sources, steps and an export.

YAML and Python build the identical model. A recipe built in Python raises `pydantic.ValidationError`;
`load` turns the same faults into UsageError with file and line.
"""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError
from ruamel.yaml import YAML

from thresher.operators import registry
from thresher.operators.base import Params
from thresher.operators.ingest import IngestParams
from thresher.schemas.errors import UsageError, nearest

# Names of recipes, tables and steps become folder names of the run.
NAME = r"^\w[\w.-]*$"
Name = Annotated[str, Field(pattern=NAME, max_length=64)]
RESERVED = ("ingest", "export")
"""Keys of a table, which therefore name no step."""

MEANT = {"caption.verify": "caption.check"}
"""Operators by another word for what they do, which their spelling does not suggest."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Model):
    """One operator with its parameters; `label` is its name within the table."""

    op: str
    label: Name
    params: SerializeAsAny[Params]

    def written(self) -> dict[str, Any]:
        """The step as a recipe writes it, with every default."""
        label = {} if self.label == self.op else {"as": self.label}
        return {self.op: label | self.params.model_dump(mode="json", by_alias=True)}


def wrong(what: str, mend: str = "", at: tuple[str | int, ...] = (), **more: Any) -> ValidationError:
    """A fault that validators raise: pydantic adds the way to it, `problems` tells it."""
    error = PydanticCustomError("thresher", "{what}. {mend}", {"what": what, "mend": mend, **more})
    return ValidationError.from_exception_data("recipe", [InitErrorDetails(type=error, loc=at, input=None)])


def step_names() -> list[str]:
    """Every operator that may stand in `steps`."""
    return [name for name in registry.names() if name.partition(".")[0] not in RESERVED]


def _read_step(written: Any) -> Step:
    if isinstance(written, Step):
        return written
    step = {written: None} if isinstance(written, str) else written
    if not isinstance(step, dict) or not step:
        raise wrong(
            f"{written!r} is no step", "A step is an operator's name, or that name with its parameters"
        )
    if len(step) > 1:
        raise wrong(
            f"one step has {len(step)} keys: {', '.join(map(repr, step))}",
            "Start each step with `- `, and indent its parameters deeper than its name",
        )
    op, params = next(iter(step.items()))
    if op not in step_names():
        beside = f"{op} is a key of the table: write it beside `steps`"
        raise wrong(
            f"there is no operator {op!r}",
            beside if op in RESERVED else nearest(MEANT.get(str(op), str(op)), step_names()),
        )
    label: Any = op
    if isinstance(params, dict) and "as" in params:
        params = dict(params)
        label = _read_label(params.pop("as"))
    return Step(op=op, label=label, params=_read_params(op, params))


def _read_label(label: Any) -> str:
    if not isinstance(label, str) or not re.fullmatch(NAME, label) or label in RESERVED:
        raise wrong(f"{label!r} cannot be a step's label", "Use letters, digits, `_`, `-` and `.`", ("as",))
    return label


def _read_params(op: str, params: Any) -> Params:
    if params is not None and not isinstance(params, dict | Params):
        raise wrong(
            f"{op} takes a mapping of parameters, not {params!r}", f"Write `{op}: {{name: value}}`", (op,)
        )
    try:
        return registry.get(op).params_model.model_validate({} if params is None else params)
    except UsageError as error:
        raise wrong(error.what, error.mend, getattr(error, "path", ())) from error


def _read_export(written: Any) -> Params | None:
    return None if written is None else _read_params("export", written)


def _read_sources(written: Any) -> Any:
    sources = written if isinstance(written, list) else [written]
    for i, source in enumerate(sources):
        if isinstance(source, dict) and "table" in source:
            raise wrong(
                f"a table cannot be made from the table {source['table']!r}",
                "Name a source of files instead",
                (i, "table"),
            )
    return sources


ReadStep = Annotated[Step, BeforeValidator(_read_step)]


class Table(_Model):
    """The records of one kind under one name, from their sources to their shards."""

    ingest: Annotated[list[IngestParams], BeforeValidator(_read_sources), Field(min_length=1)]
    steps: Annotated[list[ReadStep], BeforeValidator(lambda steps: [] if steps is None else steps)] = []
    export: Annotated[SerializeAsAny[Params] | None, BeforeValidator(_read_export)] = None

    @field_validator("steps")
    @classmethod
    def _one_label_each(cls, steps: list[Step]) -> list[Step]:
        first: dict[str, int] = {}
        for i, step in enumerate(steps):
            if step.label in first:
                named = ", and `name: second` for its columns" if hasattr(step.params, "name") else ""
                raise wrong(
                    f"two steps are called {step.label!r}",
                    f"Give the second one a label of its own, `as: second`{named}",
                    (i,),
                    first=first[step.label],
                )
            first[step.label] = i
        return steps

    @field_validator("ingest")
    @classmethod
    def _one_kind(cls, ingest: list[IngestParams]) -> list[IngestParams]:
        for i, source in enumerate(ingest):
            if source.record != ingest[0].record:
                what = f"the sources give records of two kinds, {ingest[0].record} and {source.record}"
                raise wrong(what, "Make a table of each", (i,))
        return ingest

    @property
    def record(self) -> str:
        """The kind of its records."""
        return self.ingest[0].record

    def written(self) -> dict[str, Any]:
        """The table as a recipe writes it, with every default."""
        return {
            "ingest": [source.model_dump(mode="json", by_alias=True) for source in self.ingest],
            "steps": [step.written() for step in self.steps],
            "export": None if self.export is None else self.export.model_dump(mode="json", by_alias=True),
        }


class Budget(_Model):
    """What asking models may cost in this run directory, all runs together; it changes no value."""

    tokens: int | None = Field(None, gt=0, strict=True, description="Tokens of questions and answers")
    money: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="In the currency of the steps' `price`"
    )


class Recipe(_Model):
    """What to build. `Recipe(thresher=1, name=..., tables={...})` equals the same thing in YAML."""

    thresher: Literal[1] = Field(1, description="Version of the recipe format")
    name: Name = Field(description="Names the run: its results go to runs/NAME unless told otherwise")
    seed: int = Field(0, ge=0, lt=2**63, strict=True, description="All randomness derives from it")
    part_size: int | None = Field(
        None, gt=0, strict=True, description="Records in one part; chosen from the listing if left out"
    )
    budget: Budget = Field(Budget(), description="What asking models may cost; no bound if left out")
    tables: dict[Name, Table] = Field(min_length=1, description="Tables by name")

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """The recipe in a file, or the bundled one of that name. Raises UsageError with file and line."""
        from thresher.pipelines.recipe.load import load

        return cls.model_validate(load(path).recipe)

    def resolved(self) -> dict[str, Any]:
        """The recipe as plain data with every default written out; itself a recipe.

        Equal recipes give equal data. The order of keys inside parameters has a meaning (`drop`
        takes the first reason that holds), so a fingerprint must not sort them.
        """
        head = self.model_dump(mode="json", exclude={"tables"})
        return head | {"tables": {name: table.written() for name, table in sorted(self.tables.items())}}

    def to_yaml(self) -> str:
        """`resolved()` as YAML text."""
        plain, text = self.resolved(), StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style, yaml.width = False, 4096
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        # Control characters are only written right where everything beyond ASCII is escaped.
        yaml.allow_unicode = json.dumps(plain, ensure_ascii=False).isprintable()
        yaml.dump(plain, text)
        return text.getvalue()
