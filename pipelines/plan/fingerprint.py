"""Fingerprints: what a value depends on, and nothing else (never time, host, path, parts or workers)."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thresher.operators.base import Operator, Params
from thresher.operators.views import VIEW_VERSION
from thresher.schemas.ids import mix64
from thresher.schemas.sidecar import dumps

_NOT_VALUES = {"to", "weights", "sam", "endpoint", "key_env", "timeout_s", "price", "calibration"}
"""Parameters that say where results go, where weights lie (they count by their revision, and so do a `model`
that is a JSON file, the texts of files in `prompts` and the labels of `calibration`), or how a model is
reached (it counts by its name)."""


def digest(data: Any) -> str:
    """20 hex digits of BLAKE2b over canonical JSON."""
    return hashlib.blake2b(dumps(data).encode(), digest_size=10).hexdigest()


def values_of(params: Params) -> dict[str, Any]:
    """The parameters that change values, but for a `model` that is a file, and for paths, which count by
    the revision."""
    paths = {name for name, value in params if isinstance(value, Path)}
    files = {"prompts"} if isinstance(getattr(params, "prompts", None), Mapping) else set()
    return params.model_dump(mode="json", exclude=_NOT_VALUES | files | paths)


def operator_fingerprint(operator: Operator, reads: Mapping[str, str], seed: int | None) -> str:
    """Name, version, resolved parameters, revision and the fingerprints of what it reads.

    `reads`: column -> fingerprint of its writer. `seed` enters for global steps alone.
    """
    views = getattr(operator, "views", ())
    params = values_of(operator.params)
    if str(params.get("model", "")).endswith(".json"):
        del params["model"]
    return digest(
        {
            "operator": operator.name,
            "version": operator.version,
            "params": _ordered(params),
            "revision": operator.revision(),
            "reads": dict(reads),
            "seed": seed,
            "views": VIEW_VERSION if views else None,
        }
    )


def _ordered(value: Any) -> Any:
    """Mappings as lists of pairs: their order can have a meaning (`drop` takes the first that holds)."""
    if isinstance(value, dict):
        return [[k, _ordered(v)] for k, v in value.items()]
    return [_ordered(v) for v in value] if isinstance(value, list) else value


def combine(parts: Iterable[str]) -> str:
    """Fingerprint of a set of fingerprints."""
    return digest(sorted(parts))


def live_digest(
    halves: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    versions: NDArray[np.int32],
    live: NDArray[np.bool_],
) -> str:
    """Digest of a set of records (id, version): independent of their order and of the parts.

    A sum of mixed ids: ids are BLAKE2b digests, so equal sums of different sets do not happen.
    """
    first, second = (half[live] for half in halves)
    salt = mix64(versions[live].astype(np.uint64) + np.uint64(1))
    sums = [int(mix64(h ^ salt).sum(dtype=np.uint64)) for h in (first, second)]
    return digest([int(live.sum()), *sums])
