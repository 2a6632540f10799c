"""Column: a named, typed, documented measurement."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Self

import pyarrow as pa

from thresher.schemas.errors import FieldError, nearest


@dataclass(frozen=True)
class Column:
    """What a column holds. `lo` and `hi` bound its values (inclusive); None means unbounded.

    `values` are all the words that a text column, or the lists of a list column, can hold; empty
    means any. `backend` and `revision` name what computed the values: a classical score never carries a
    model's name.
    """

    name: str
    dtype: pa.DataType
    unit: str
    meaning: str
    lo: float | None = None
    hi: float | None = None
    backend: str = "thresher"
    revision: str = "1"
    values: tuple[str, ...] = ()
    quantum: float | None = None
    """Values are rounded to multiples of this: what devices and batch sizes agree to."""

    def field(self) -> pa.Field:
        """The Arrow field with this description as metadata."""
        return _field(self)

    @classmethod
    def of(cls, field: pa.Field) -> Self:
        """The column that a field describes, as `field()` made it."""
        told = {key.decode(): value.decode() for key, value in field.metadata.items()}
        given = {key: json.loads(told[key]) for key in ("lo", "hi", "quantum") if key in told}
        words = {key: told[key] for key in ("unit", "meaning", "backend", "revision")}
        return cls(field.name, field.type, **words, **given, values=tuple(told.get("values", "").split()))

    @property
    def vector(self) -> bool:
        """True for vectors (lists of half floats), which stay in the run: an export does not hold them."""
        return pa.types.is_list(self.dtype) and pa.types.is_float16(self.dtype.value_type)

    @property
    def numeric(self) -> bool:
        """True for integers and floats, which alone take bounds and histograms."""
        return pa.types.is_integer(self.dtype) or pa.types.is_floating(self.dtype)


@cache
def _field(column: Column) -> pa.Field:
    """Made once: every batch of a pass and every part that is read needs it."""
    described = dataclasses.asdict(column) | {
        "dtype": column.dtype,
        "values": " ".join(column.values) or None,
    }
    metadata = {k: str(v) for k, v in described.items() if k != "name" and v is not None}
    return pa.field(column.name, column.dtype, metadata=metadata)


def require_text(available: Mapping[str, Column], name: str, path: tuple[str | int, ...]) -> None:
    """Raise FieldError at `path` unless the column `name` exists and holds texts."""
    column = available.get(name)
    if column is None:
        texts = [n for n, c in available.items() if pa.types.is_string(c.dtype)]
        raise FieldError(f"no earlier step writes the column {name!r}", path, nearest(name, texts))
    if not pa.types.is_string(column.dtype):
        raise FieldError(f"the column {name!r} holds no texts but {column.dtype}", path)
