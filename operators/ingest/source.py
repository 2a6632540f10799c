"""Where records come from: the recipe's `ingest:` entry, and the source that it resolves to."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BeforeValidator, Field, model_validator

from thresher.operators.base import Params
from thresher.operators.ingest.files import Root
from thresher.schemas.errors import FieldError, nearest
from thresher.schemas.uris import unquote_path

Kind = Literal["folder", "shards", "parquet", "documents"]
MAX_RANGE = 1_000_000
"""A brace range that names more files than this is taken for a slip."""

_MAGIC = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{(?:(\d{1,18})\.\.(\d{1,18})|([^{}]*,[^{}]*))\}")


class Documents(Params):
    """Texts and conversations in files of JSON or Parquet."""

    files: str | list[str] = Field(description="a folder, a file, a glob, a range or a list")
    text: str | None = Field(None, description="field of a plain text; default: `text` or `content`")
    conversations: str | None = Field(
        None, description="field of the turns; default: `conversations`, `messages` or `conversation`"
    )
    key: str | None = Field(
        None, description="field that names a row; default: `id` or `key`, else its place"
    )
    images: str | None = Field(
        None, description="folder where the images of conversations lie; default: that of the file"
    )


def _read_documents(written: Any) -> Any:
    return {"files": written} if isinstance(written, str | list) else written


class IngestParams(Params):
    """What a table is made from: exactly one of `folder`, `shards`, `parquet`, `documents`."""

    folder: str | None = Field(None, description="folder of images, read recursively")
    shards: str | list[str] | None = Field(
        None, description="tar shards: a folder, a file, a glob, a range like data-{000..010}.tar, or a list"
    )
    parquet: str | None = Field(None, description="Parquet files: a folder, a file or a glob")
    documents: Annotated[
        Documents | None,
        BeforeValidator(_read_documents, json_schema_input_type=str | list[str] | Documents | None),
    ] = Field(None, description="texts and conversations, as JSON lines, JSON arrays or Parquet")
    name: str | None = Field(
        None,
        pattern=r"^[^/\\\x00-\x1f\x7f]+$",
        description="the source's name, part of every id; default: last part of its root",
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
            raise ValueError(f"give exactly one of {', '.join(get_args(Kind))} (found: {given or 'none'})")
        if self.columns and not self.parquet:
            raise ValueError("columns belong to parquet only")
        return self

    @property
    def kind(self) -> Kind:
        """The one kind that was given."""
        return next(kind for kind in get_args(Kind) if getattr(self, kind))

    @property
    def place(self) -> str | list[str]:
        """What was given for it: folders, files, globs."""
        given = getattr(self, self.kind)
        return given.files if isinstance(given, Documents) else given

    @property
    def record(self) -> str:
        """The kind of its records."""
        return "interleaved" if self.documents else "image"

    @property
    def mapping(self) -> dict[str, Any]:
        """Which field of a row is read as what: another mapping gives other records of the same file."""
        if self.documents:
            return self.documents.model_dump(exclude={"files"}, exclude_none=True)
        return {str(role): column for role, column in self.columns.items()}


@dataclass(frozen=True)
class Source:
    """A resolved source. Relative uris start at `root`, a local folder or an fsspec URL."""

    name: str
    kind: Kind
    root: str
    params: IngestParams
    patterns: tuple[str, ...] = ("",)
    """Relative to `root`: a folder (`""` is the root), a file or a glob."""
    images: bytes | None = None
    """Where the images of documents lie, relative to `root`; None: each in the folder of its file."""


def resolve(params: IngestParams, base: Path) -> Source:
    """The source that `params` name; relative paths start at `base`.

    Raises FieldError if nothing is there, or if a mapped Parquet column does not exist.
    """
    kind = params.kind
    given = params.place
    wanted = [given] if isinstance(given, str) else list(given)
    places: list[str] = []
    folders: list[str] = []
    for i, text in enumerate(wanted):
        try:
            found = [_absolute(place, base) for place in _expand(text, base)]
            folders += _folders(found, kind)
        except FieldError as error:
            path = (kind, i) if isinstance(getattr(params, kind), list) else (kind,)
            raise FieldError(error.what, path, error.mend) from error
        places += found
    if len(set(folders)) > 1 and isinstance(given, list):
        raise FieldError(
            "the listed files are in different folders, so that a longer list would change every id",
            (kind,),
            "Give each folder an entry of its own under `ingest`, with a `name`",
        )
    pictures = _images(params, base, folders[0])
    parts = [folder.split("/") for folder in (*folders, *pictures)]
    root = "/".join(os.path.commonprefix(parts)) or "/"  # noqa: RUF071 - part by part
    name = params.name or os.path.basename(root.rstrip("/"))
    if not name:
        raise FieldError(f"the root {root!r} gives the source no name", (kind,), "Add `name: ...`")
    patterns = tuple(sorted({p[len(root) :].strip("/") for p in places}))
    below = [folder[len(root) :].strip("/").encode() for folder in pictures]
    source = Source(name, kind, root, params, patterns, *below)
    if params.columns:
        _check_columns(source)
    return source


def _images(params: IngestParams, base: Path, files: str) -> list[str]:
    """The folder of images that `documents` names, if any: in the file system of the folder `files`."""
    if params.documents is None or params.documents.images is None:
        return []
    folder, at = _absolute(params.documents.images, base), ("documents", "images")
    if not _open(folder).is_folder(b""):
        raise FieldError(f"there is no folder {folder!r}", at, _hint(folder))
    if folder.split("/")[0] != files.split("/")[0]:
        raise FieldError(f"images in {folder!r} and files in {files!r} share no file system", at)
    return [folder]


def _absolute(place: str, base: Path) -> str:
    if "://" in place:
        return place.rstrip("/")
    return os.path.abspath(os.path.join(base, os.path.expanduser(place)))


def _expand(place: str, base: Path) -> list[str]:
    """Brace ranges and alternatives written out, unless a file has just that name."""
    found = [place]
    if "://" not in place and os.path.exists(_absolute(place, base)):
        return found
    while _BRACES.search(found[0]):
        found = list(islice((filled for p in found for filled in _fill(p)), MAX_RANGE + 1))
        if len(found) > MAX_RANGE:
            raise FieldError(f"{place!r} names more than {MAX_RANGE:,} files", mend="Shorten the range")
    return found


def _fill(place: str) -> Iterator[str]:
    """`place` with each choice of its first braces."""
    match = _BRACES.search(place)
    assert match is not None
    first, last, words = match.groups()
    if words is None and int(last) < int(first):
        raise FieldError(f"the range {match[0]} is empty", mend="Write the smaller end first")
    numbers = (f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)) if words is None else ()
    for choice in words.split(",") if words is not None else numbers:
        yield place[: match.start()] + choice + place[match.end() :]


def _folders(places: list[str], kind: Kind) -> list[str]:
    """The folder that holds each of `places` (alike but for braces), or that it is."""
    first = _open(places[0])
    if first.is_folder(b""):
        return places
    if kind == "folder" and first.exists(b""):
        raise FieldError(f"{places[0]!r} is a file", mend="Give a folder, or use `shards:` or `parquet:`")
    globs = not first.exists(b"")
    folders = [_parent(p, globs) for p in places]
    if kind == "folder" or not any(
        _open(f).match(p[len(f) :].strip("/")) for p, f in zip(places, folders, strict=True)
    ):
        raise FieldError(f"{places[0]!r} does not exist", mend=_hint(places[0]))
    return folders


def _open(place: str) -> Root:
    try:
        return Root(place)
    except (ImportError, ValueError) as error:
        mend = "Install the package of this file system, such as thresher[s3]"
        raise FieldError(f"{place!r} cannot be opened: {error}", mend=mend) from error


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


def _check_columns(source: Source) -> None:
    """Mapped columns exist in the first file; a broken file is left to the scan."""
    from thresher.operators.ingest.listing import list_source

    first: Any = pc.min(list_source(source).units["uri"]).as_py()
    if first is None:
        return
    try:
        with Root(source.root).open(unquote_path(first)) as file:
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
