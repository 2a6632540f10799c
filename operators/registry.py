"""Operators by name: the built-in ones and those of other packages (entry points `thresher.operators`)."""

import importlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points

from thresher.operators.base import Operator
from thresher.schemas.errors import UsageError, nearest

_BUILTIN = {
    "quality": "thresher.operators.quality",
    "quality.nr": "thresher.operators.quality.nr",
    "aigc": "thresher.operators.aigc",
    "hash.exact": "thresher.operators.dedupe.hashes",
    "hash.near": "thresher.operators.dedupe.hashes",
    "dedupe.exact": "thresher.operators.dedupe.exact",
    "dedupe.near": "thresher.operators.dedupe.near",
    "balance.sources": "thresher.operators.balance.sources",
    "select": "thresher.operators.select",
    "trained": "thresher.operators.trained",
    "bucket": "thresher.operators.export.buckets",
    "embed": "thresher.operators.models.embed",
    "clip_score": "thresher.operators.models.clip_score",
    "aesthetic": "thresher.operators.models.aesthetic",
    "clarity": "thresher.operators.models.clarity",
    "caption.diff": "thresher.operators.captions.difference.pairs",
    "caption.reason": "thresher.operators.captions.reason.reason",
    "classify": "thresher.operators.models.classify",
    "watermark": "thresher.operators.models.watermark",
    "nsfw": "thresher.operators.models.nsfw",
    "ground": "thresher.operators.models.ground",
    "ocr": "thresher.operators.models.ocr",
    "caption.check": "thresher.operators.captions.verify.check",
    "faces": "thresher.operators.models.faces",
    "langid": "thresher.operators.models.langid",
    "head": "thresher.operators.models.head",
    "caption.draw": "thresher.operators.captions.draw.draw",
    "balance.captions": "thresher.operators.balance.captions",
    "palette": "thresher.operators.captions.facts.palette",
    "caption": "thresher.operators.captions.caption",
    "documents": "thresher.operators.documents",
    "export": "thresher.operators.export",
    "export.documents": "thresher.operators.export",
}
_registered: dict[str, type[Operator]] = {}


def operator(name: str) -> Callable[[type[Operator]], type[Operator]]:
    """Class decorator: make an operator known under `name`."""

    def register(cls: type[Operator]) -> type[Operator]:
        cls.name = name
        _registered[name] = cls
        return cls

    return register


@cache
def _plugins() -> dict[str, object]:
    return {point.name: point for point in entry_points(group="thresher.operators")}


def names() -> list[str]:
    """Every operator's name, built-in and third-party, sorted."""
    return sorted({*_BUILTIN, *_plugins(), *_registered})


def get(name: str) -> type[Operator]:
    """The operator called `name`. Raises UsageError with the nearest right name."""
    if name not in _registered:
        if name in _BUILTIN:
            importlib.import_module(_BUILTIN[name])
        elif name in _plugins():
            _load_plugin(name)
        else:
            raise UsageError(f"there is no operator {name!r}", mend=nearest(name, names()))
    return _registered[name]


def writer_of(column: str, kind: str = "image") -> str | None:
    """Name of the operator that writes `column` of records of `kind` with default parameters, or None."""
    for name in names():
        cls = get(name)
        if kind not in cls.kinds:
            continue
        optional = all(not f.is_required() for f in cls.params_model.model_fields.values())
        if optional and any(c.name == column for c in cls().writes()):
            return name
    return None


def _load_plugin(name: str) -> None:
    point = _plugins()[name]
    try:
        operator(name)(point.load())  # type: ignore[attr-defined]
    except Exception as error:
        raise UsageError(
            f"the operator {name!r} of another package cannot be loaded: {error!r}",
            mend="Repair or uninstall that package",
        ) from error
