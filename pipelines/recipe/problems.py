"""Faults that pydantic finds, told as one UsageError: what, where, the nearest right spelling."""

import re
from collections.abc import Callable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from thresher.pipelines.recipe.document import Document, Keys
from thresher.pipelines.recipe.model import NAME
from thresher.schemas.errors import UsageError, nearest

TELLING = ["extra_forbidden", "literal_error", "enum"]
"""These come before the faults that follow from them: a missing key, a union's other branches."""


def usage_error(
    error: ValidationError,
    document: Document,
    known: Callable[[Keys], list[str]],
    written: Callable[[Keys], Keys] = lambda keys: keys,
) -> UsageError:
    """The most telling fault of `error` as one message.

    `known` gives the right keys of the mapping at a place in the model, `written` the way to that
    place in the document.
    """
    faults = error.errors(include_url=False)
    fault = min(faults, key=lambda e: TELLING.index(e["type"]) if e["type"] in TELLING else len(TELLING))
    keys = fault["loc"]

    def where(keys: Keys) -> str:
        return document.where(written(keys))

    match fault["type"]:
        case "thresher":
            return _own(fault, where)
        case "extra_forbidden":
            right = known(keys[:-1])
            mend = nearest(str(keys[-1]), right) or f"Known keys here: {', '.join(right)}"
            return UsageError(f"unknown key {keys[-1]!r}", where(keys), mend)
        case "missing":
            return UsageError(f"the key {keys[-1]!r} is missing", where(keys[:-1]))
    return UsageError(_message(fault, _name(written(keys))), where(keys), _mend(fault))


def known_keys(model: type[BaseModel], keys: Keys) -> list[str]:
    """The keys that the mapping at `keys` inside `model` may hold."""
    models = [model]
    for key in keys:
        fields = (one.model_fields.get(str(key)) for one in models)
        inner = [m for f in fields if f is not None for m in _models_in(f.annotation)]
        models = inner or models  # a list index, a mapping's own key or a union's tag
    return sorted({f.alias or name for one in models for name, f in one.model_fields.items()})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]


def _own(fault: ErrorDetails, where: Callable[[Keys], str]) -> UsageError:
    context, keys = fault["ctx"], fault["loc"]
    what = context["what"]
    if "first" in context:
        what += f", first at {where((*keys[:-1], context['first']))}"
    return UsageError(what, where(keys), context["mend"])


def _name(keys: Keys) -> str:
    """The innermost key that has a name."""
    names = [k for k in keys if isinstance(k, str)]
    return names[-1] if names else "value"


def _message(fault: ErrorDetails, name: str) -> str:
    if fault["type"] == "value_error":
        return f"{name}: {fault['ctx']['error']}"
    got = repr(fault["input"])
    got = got if len(got) <= 60 else got[:57] + "..."
    subject, should, rule = fault["msg"].partition(" should ")
    return f"{name} should {rule}, not {got}" if should else f"{name}: {subject}, not {got}"


def _mend(fault: ErrorDetails) -> str:
    if fault["type"] in ("literal_error", "enum"):
        return nearest(str(fault["input"]), re.findall(r"'([^']*)'", fault["ctx"]["expected"]))
    if fault["type"] == "string_pattern_mismatch" and fault["ctx"]["pattern"] == NAME:
        return "Use letters, digits, `_`, `-` and `.`, and start with a letter or a digit"
    return ""
