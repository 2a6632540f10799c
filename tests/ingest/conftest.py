"""Small pools on disk, and the whole way from a recipe's entry to bytes."""

import io
import os
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from thresher.operators.ingest import IngestParams, Source, list_source, resolve, scan
from thresher.operators.views.opener import Opener
from thresher.schemas.records import Record, catalog_schema, records, validate


def make_jpeg(shade: int = 0) -> bytes:
    """A real 16 x 16 JPEG whose bytes depend on `shade`."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (shade % 256, shade // 256 % 256, 90)).save(out, "JPEG")
    return out.getvalue()


class Ingested:
    """What one source gave: the listing, the catalog rows, and a way to the bytes."""

    def __init__(self, source: Source, spool: Path) -> None:
        self.source = source
        self.listing = list_source(source)
        self.table: pa.Table = scan(source, self.listing.units, str(spool))
        self.opener = Opener({source.name: source.root}, str(spool))
        assert self.table.schema.equals(catalog_schema("image"), check_metadata=True)
        assert validate(self.table, "image") == []

    def rows(self) -> list[dict[str, Any]]:
        return self.table.to_pylist()

    def good(self) -> dict[str, dict[str, Any]]:
        """Key -> row, of rows that did not fail."""
        return {row["key"]: row for row in self.rows() if row["reason"] is None}

    def failed(self) -> dict[str, str]:
        """Key -> reason, of rows that failed."""
        return {row["key"]: row["reason"] for row in self.rows() if row["reason"] is not None}

    def records(self) -> dict[str, Record]:
        return {r.key: r for r in records(self.table)}

    def read(self, key: str, place: int = 0) -> bytes:
        """The bytes of a record's medium."""
        record = self.records()[key]
        return self.opener.read(record.source, record.media[place])

    def problems(self) -> dict[str, str]:
        """Path -> reason."""
        return {p["path"]: p["reason"] for p in self.listing.problems}


@pytest.fixture
def jpeg() -> Callable[[int], bytes]:
    return make_jpeg


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., Ingested]:
    """Resolve, list and scan; `ingest(folder="pool")`, paths relative to `tmp_path`."""

    def run(**params: Any) -> Ingested:
        return Ingested(resolve(IngestParams(**params), tmp_path), tmp_path / "spool")

    return run


@pytest.fixture
def pack() -> Callable[..., Path]:
    """Write a tar of (name, bytes) pairs or ready `TarInfo`s; raw names may be bytes."""

    def write(path: Path, members: Iterable[Any], mode: str = "w", **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, mode, encoding="utf-8", errors="surrogateescape", **options) as tar:
            for member in members:
                if isinstance(member, tarfile.TarInfo):
                    tar.addfile(member)
                    continue
                name, data = member
                info = tarfile.TarInfo(os.fsdecode(name))
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    return write
