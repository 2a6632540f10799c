"""Where records come from: the recipe's `ingest:` entry, and the source that it resolves to."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from thresher.operators.base import Params
from thresher.operators.ingest.files import Root
from thresher.schemas.errors import FieldError, nearest

Kind = Literal["folder", "shards", "parquet"]
MAX_RANGE = 1_000_000
"""A brace range that names more files than this is taken for a slip."""

_MAGIC = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{(?:(\d{1,18})\.\.(\d{1,18})|([^{}]*,[^{}]*))\}")


class IngestParams(Params):
    """What a table is made from: exactly one of `folder`, `shards`, `parquet`."""

    folder: str | None = Field(None, description="folder of images, read recursively")
    shards: str | list[str] | None = Field(
        None, description="tar shards: a folder, a file, a glob, a range like data-{000..010}.tar, or a list"
    )
    parquet: str | None = Field(None, description="Parquet files: a folder, a file or a glob")
    name: str | None = Field(
        None, description="the source's name, part of every id; default: last part of its root"
    )
    licence: str = Field("unknown", description="SPDX identifier, or `unknown`")
    synthetic: bool = Field(False, description="true if the pixels are machine-made")
    columns: dict[Literal["image", "key", "text", "meta"], str] = Field(
        default_factory=dict, description="which Parquet column holds what; default: found by name and type"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "IngestParams":
        given = [kind for kind in get_args(Kind) if getattr(self, kind)]
        if len(given) != 1:
            raise ValueError(f"give exactly one of folder, shards, parquet (found: {given or 'none'})")
        if self.columns and not self.parquet:
            raise ValueError("columns belong to parquet only")
        return self

    @property
    def kind(self) -> Kind:
        """The one kind that was given."""
        return next(kind for kind in get_args(Kind) if getattr(self, kind))


@dataclass(frozen=True)
class Source:
    """A resolved source. Relative uris start at `root`, a local folder or an fsspec URL."""

    name: str
    kind: Kind
    root: str
    params: IngestParams
    patterns: tuple[str, ...] = ("",)
    """Relative to `root`: a folder (`""` is the root), a file or a glob."""


def resolve(params: IngestParams, base: Path) -> Source:
    """The source that `params` name; relative paths start at `base`.

    Raises FieldError if nothing is there, or if a mapped Parquet column does not exist.
    """
    kind = params.kind
    given = getattr(params, kind)
    wanted = [given] if isinstance(given, str) else list(given)
    places: list[str] = []
    folders: list[str] = []
    for i, text in enumerate(wanted):
        path: tuple[str | int, ...] = (kind,) if isinstance(given, str) else (kind, i)
        found = [_absolute(p, base) for p in _expand(text, base, path)]
        places += found
        folders += _folders(found, kind, path)
    if len(set(folders)) > 1 and isinstance(given, list):
        raise FieldError(
            "the listed shards are in different folders, so that a longer list would change every id",
            (kind,),
            "Give each folder an entry of its own under `ingest`, with a `name`",
        )
    root = _common(folders)
    name = params.name or os.path.basename(root.rstrip("/"))
    if not name:
        raise FieldError(f"the root {root!r} gives the source no name", (kind,), "Add `name: ...`")
    patterns = tuple(sorted({p[len(root) :].strip("/") for p in places}))
    source = Source(name, kind, root, params, patterns)
    if params.columns:
        _check_columns(source)
    return source


def _absolute(place: str, base: Path) -> str:
    if "://" in place:
        return place.rstrip("/")
    return os.path.abspath(os.path.join(base, os.path.expanduser(place)))


def _expand(place: str, base: Path, path: tuple[str | int, ...]) -> list[str]:
    """Brace ranges and alternatives written out, unless a file has just that name."""
    if "{" not in place or ("://" not in place and os.path.exists(_absolute(place, base))):
        return [place]
    found = [place]
    while match := _BRACES.search(found[0]):
        count = len(_choices(match, path))
        if count * len(found) > MAX_RANGE:
            raise FieldError(f"{place!r} names more than {MAX_RANGE:,} files", path, "Shorten the range")
        found = [filled for p in found for filled in _fill(p, path)]
    return found


def _fill(place: str, path: tuple[str | int, ...]) -> Iterator[str]:
    """`place` with each choice of its first braces."""
    match = _BRACES.search(place)
    assert match is not None
    for choice in _choices(match, path):
        text = choice if isinstance(choice, str) else f"{choice:0{len(match[1])}d}"
        yield place[: match.start()] + text + place[match.end() :]


def _choices(match: re.Match[str], path: tuple[str | int, ...]) -> Sequence[int | str]:
    if match[3] is not None:
        return match[3].split(",")
    numbers = range(int(match[1]), int(match[2]) + 1)
    if not numbers:
        raise FieldError(f"the range {match[0]} is empty", path, "Write the smaller end first")
    return numbers


def _folders(places: list[str], kind: Kind, path: tuple[str | int, ...]) -> list[str]:
    """The folder that holds each of `places` (alike but for braces), or that it is."""
    first = _open(places[0], path)
    if first.is_folder(b""):
        return places
    if kind == "folder" and first.exists(b""):
        raise FieldError(f"{places[0]!r} is a file", path, "Give a folder, or use `shards:` or `parquet:`")
    globs = not first.exists(b"")
    folders = [_parent(p, globs) for p in places]
    if kind == "folder" or not any(
        _open(f, path).match(p[len(f) :].strip("/")) for p, f in zip(places, folders, strict=True)
    ):
        raise FieldError(f"{places[0]!r} does not exist", path, _hint(places[0]))
    return folders


def _open(place: str, path: tuple[str | int, ...]) -> Root:
    try:
        return Root(place)
    except (ImportError, ValueError) as error:
        mend = "Install the package of this file system, such as thresher[s3]"
        raise FieldError(f"{place!r} cannot be opened: {error}", path, mend) from error


def _parent(place: str, globs: bool) -> str:
    """The folder of a file, or the deepest one that no wildcard of a glob touches."""
    parts = place.split("/")
    wild = (i for i, part in enumerate(parts) if globs and _MAGIC.search(part))
    return "/".join(parts[: next(wild, len(parts) - 1)]) or "/"


def _hint(place: str) -> str:
    folder, name = os.path.split(place)
    if "://" in place or not os.path.isdir(folder):
        return "Relative paths start at the recipe's folder"
    with os.scandir(folder) as entries:
        known = [entry.name for entry, _ in zip(entries, range(10_000), strict=False)]
    return nearest(name, known) or f"{folder} holds {len(known)} other entries"


def _common(folders: list[str]) -> str:
    """The deepest folder that holds all of `folders`."""
    first, *others = [folder.split("/") for folder in folders]
    depth = len(first)
    for parts in others:
        same = (i for i, (a, b) in enumerate(zip(first, parts, strict=False)) if a != b)
        depth = min(depth, next(same, len(parts)))
    return "/".join(first[:depth]) or "/"


def _check_columns(source: Source) -> None:
    """Mapped columns exist in the first file; a broken file is left to the scan."""
    from thresher.operators.ingest.listing import list_source

    units = list_source(source).units
    if not units.num_rows:
        return
    first: Any = min(units["uri"].to_pylist())
    try:
        with Root(source.root).open_uri(first) as file:
            names = pq.read_schema(file).names
    except (OSError, pa.ArrowException):
        return
    for role, column in source.params.columns.items():
        if column not in names:
            raise FieldError(
                f"{first} has no column {column!r}",
                ("columns", role),
                nearest(column, names) or f"Its columns are {', '.join(names)}",
            )
