"""A document as a model; its faults told as one UsageError: what, where, the nearest right spelling."""

import re
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from thresher.operators import registry
from thresher.operators.captions.taxonomy import CALLED
from thresher.operators.ingest import IngestParams
from thresher.pipelines.recipe.model import NAME, Table
from thresher.schemas.document import Document, Keys
from thresher.schemas.errors import UsageError, nearest

M = TypeVar("M", bound=BaseModel)

PLAIN = (
    (r"be a valid (dictionary|mapping).*", "be a mapping"),
    (r"be a valid (list|tuple|set)", "be a list"),
    (r"be a valid boolean.*", "be true or false"),
    (r", unable to parse .*", ""),
    (r"match pattern .*", "be a plain name"),
    (r" after validation, not \d+$", ""),
)
"""Words of pydantic and Python, and those of recipes."""

NAMES = {
    NAME: "Use letters, digits, `_`, `-` and `.`, and start with a letter or a digit",
    CALLED: "Use small letters, digits and `_`, at most 40, and begin with a letter",
}
"""Patterns of names, in words."""

TELLING = ["extra_forbidden", "literal_error", "enum"]
"""These come before the faults that follow from them: a missing key, a union's other branches."""


def validated(model: type[M], document: Document) -> M:
    """The document as a `model`. Raises UsageError with its most telling fault."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        raise _told(min(faults, key=_follows), model, document) from None


def written(data: Any, keys: Keys) -> Keys:
    """The way in a recipe's file to what is at `keys` in the model.

    A step's parameters stand under its operator's name, and a lone source in no list; what the
    file leaves out (defaults, the tags of pydantic's unions) is skipped.
    """
    way: list[str | int] = []
    for i, key in enumerate(keys):
        if i == 4 and keys[2] == "steps" and isinstance(data, dict) and len(data) == 1:
            op, data = next(iter(data.items()))
            way.append(op)
        inside = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
        if key in inside:
            data = data[key]
            way.append(key)
    return tuple(way)


def _follows(fault: ErrorDetails) -> int:
    """The place of a fault among the others. A word that a list or mapping is not says nothing."""
    if fault["type"] not in TELLING:
        return len(TELLING)
    of_words = fault["type"] != "extra_forbidden" and isinstance(fault["input"], list | dict)
    return len(TELLING) + 1 if of_words else TELLING.index(fault["type"])


def _told(fault: ErrorDetails, model: type[BaseModel], document: Document) -> UsageError:
    def where(keys: Keys) -> str:
        return document.where(written(document.data, keys))

    keys, context = fault["loc"], fault.get("ctx", {})
    match fault["type"]:
        case "thresher":
            first = f", first at {where((*keys[:-1], context['first']))}" if "first" in context else ""
            return UsageError(context["what"] + first, where(keys), context["mend"])
        case "extra_forbidden":
            right = _known(model, document.data, keys[:-1])
            mend = nearest(str(keys[-1]), right) or f"Known keys here: {', '.join(right)}"
            return UsageError(f"unknown key {keys[-1]!r}", where(keys), mend)
        case "missing":
            return UsageError(f"the key {keys[-1]!r} is missing", where(keys[:-1]))
    mend = _mend(fault, model, document)
    names = [k for k in written(document.data, keys) if isinstance(k, str)]
    return UsageError(_message(fault, names[-1] if names else "value"), where(keys), mend)


def _mend(fault: ErrorDetails, model: type[BaseModel], document: Document) -> str:
    keys, context, given = fault["loc"], fault.get("ctx", {}), fault["input"]
    match fault["type"]:
        case "literal_error" | "enum" if len(str(given)) > 2:  # of two letters one is soon the same
            return nearest(str(given), re.findall(r"'([^']*)'", context["expected"]))
        case "model_type" | "dict_type":
            inside = _known(model, document.data, keys) if fault["type"] == "model_type" else ["NAME"]
            if "text" in inside and isinstance(given, str):  # a column where a candidate stands
                return f"Write `{{text: {given}}}`"
            told = f"{{{', '.join(f'{key}: ...' for key in inside)}}}"
            return f"Write `{told}` for each" if isinstance(keys[-1], int) else f"Write `{keys[-1]}: {told}`"
        case "list_type" | "tuple_type" if isinstance(given, str | int | float):
            return f"Write `[{given}]`"
        case "float_parsing" | "float_type" if share := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", str(given)):
            return f"Write {float(share[1]) / 100:g}"
    pattern = context.get("pattern")
    return NAMES.get(pattern, f"It must match {pattern}") if pattern else ""


def _message(fault: ErrorDetails, name: str) -> str:
    if fault["type"] == "value_error":
        return f"{name}: {fault['ctx']['error']}"
    got = repr(fault["input"])
    got = got if len(got) <= 60 else got[:57] + "..."
    subject, should, rule = fault["msg"].partition(" should ")
    for words, plain in PLAIN:
        rule = re.sub(words, plain, rule)
    return f"{name} should {rule}, not {got}" if should else f"{name}: {subject}, not {got}"


def _known(model: type[BaseModel], data: dict[str, Any], keys: Keys) -> list[str]:
    """The keys that the mapping at `keys` may hold."""
    match keys:
        case ("tables", _, "steps", _, *inner):
            op = str(written(data, (*keys[:4], ""))[4])
            own = _keys_in(registry.get(op).params_model, inner)
            return own if inner else sorted([*own, "as"])
        case ("tables", _, "ingest", _, *inner):
            return _keys_in(IngestParams, inner)
        case ("tables", _, "export", *inner):
            return _keys_in(registry.get("export").params_model, inner)
        case ("tables", _):
            return _keys_in(Table, [])
    return _keys_in(model, [*keys])


def _keys_in(model: type[BaseModel], inner: list[str | int]) -> list[str]:
    models = [model]
    for key in inner:
        fields = (one.model_fields.get(str(key)) for one in models)
        found = [m for f in fields if f is not None for m in _models_in(f.annotation)]
        models = found or models  # a list index, a mapping's own key or a union's tag
    return sorted({f.alias or name for one in models for name, f in one.model_fields.items()})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
