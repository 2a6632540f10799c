"""What a recipe may say of an export."""

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from thresher.operators.base import Params
from thresher.operators.export.buckets import Distance, hunyuan33

DRAWN = "caption.drawn"
CANDIDATES = "caption.candidates"
"""What `caption.draw` writes."""

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(value: Any) -> Any:
    """`512MB` (10^6) or `512MiB` (2^20) as a number of bytes; other values pass through."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value)
    if not match or match[2].upper() not in _UNITS:
        raise ValueError(f"{value!r} is no size in bytes; write for instance 512MB or 1GiB")
    return round(float(match[1]) * _UNITS[match[2].upper()])


class Buckets(Params):
    """Aspect buckets: every shard holds images of one."""

    table: Literal["hunyuan33"] | list[tuple[int, int]] = Field(
        "hunyuan33", description="`hunyuan33`, or a list of [height, width] in px"
    )
    base: int = Field(512, description="side of the square bucket of `hunyuan33`, px, a multiple of 16")
    distance: Distance = Field("linear", description="how ratios are compared: `linear` or `log`")

    @model_validator(mode="after")
    def _check(self) -> "Buckets":
        sizes = self.sizes()
        if not sizes or len(set(sizes)) < len(sizes) or any(min(size) < 1 for size in sizes):
            raise ValueError("the table needs at least one [height, width], all different and positive")
        return self

    def sizes(self) -> list[tuple[int, int]]:
        """The (height, width) of each bucket, in the order that settles ties."""
        return hunyuan33(self.base) if self.table == "hunyuan33" else list(self.table)  # type: ignore[arg-type]


class Resize(Params):
    """Smaller images."""

    short_side: int = Field(description="px; smaller images stay as they are", ge=1)


class Reencode(Params):
    """Another file format."""

    format: Literal["jpeg", "png", "webp"] = Field(description="file format of every exported image")
    quality: int = Field(95, description="of JPEG and lossy WebP", ge=1, le=100)


class ExportParams(Params):
    """Parameters of `export`."""

    to: str | None = Field(None, description="another folder for the export than the run's own")
    buckets: Buckets | None = Field(None, description="aspect buckets; shards then hold one bucket each")
    shard_size: Annotated[int, BeforeValidator(parse_bytes), Field(ge=1000)] = Field(
        512 * 10**6, description="target size of a shard, such as 512MB"
    )
    placement: Literal["hash", "append"] = Field(
        "hash", description="`hash` shuffles all records; `append` leaves the previous export's shards alone"
    )
    resize: Resize | Literal["bucket"] | None = Field(
        None, description="`{short_side: px}`, or `bucket`: cover and centre-crop; default: original bytes"
    )
    reencode: Reencode | None = Field(None, description="another file format; default: original bytes")

    text: str = Field(
        "auto",
        description="column of `KEY.txt`; `auto`: `caption.drawn` if there is one, else the sidecar's text",
    )
    sana: bool = Field(
        False,
        description="beside each shard the captions and CLIP scores of `caption.draw`, as SANA reads them",
    )

    def text_column(self, columns: Collection[str]) -> str:
        """The column that `KEY.txt` holds, of those there are."""
        if self.text != "auto":
            return self.text
        return DRAWN if DRAWN in columns else "text"

    @model_validator(mode="after")
    def _check(self) -> "ExportParams":
        if self.resize == "bucket" and self.buckets is None:
            raise ValueError("resize: bucket needs `buckets`")
        return self
