"""An in-memory table and runner, and pools of real image files."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from thresher.operators.base import Context
from thresher.operators.export import ExportParams, ShardExport
from thresher.schemas import Column
from thresher.schemas.ids import record_id
from thresher.schemas.records import IMAGE

COLUMNS = {
    "width": Column("width", pa.int32(), "px", "upright width", 1),
    "height": Column("height", pa.int32(), "px", "upright height", 1),
    "format": Column("format", pa.string(), "", "file format found in the content"),
    "bytes": Column("bytes", pa.int64(), "bytes", "size of the file", 0),
    "bytes_sha": Column("bytes_sha", pa.binary(32), "", "SHA-256 of the file"),
    "sharpness": Column("sharpness", pa.float32(), "levels^2", "detail", 0),
    "dup_group": Column("dup_group", pa.uint64(), "", "near-duplicate group"),
}


@dataclass(frozen=True)
class MemoryTable:
    """Live records as dictionaries, cut into parts of `part_size`."""

    rows: list[dict[str, Any]]
    part_size: int = 7
    more: dict[str, Column] = field(default_factory=dict)

    @property
    def parts(self) -> Sequence[int]:
        return range(-(-len(self.rows) // self.part_size))

    @property
    def columns(self) -> Mapping[str, Column]:
        head = {f.name: Column(f.name, f.type, "", "head") for f in IMAGE}
        return head | COLUMNS | self.more

    def read(self, part: int, columns: Sequence[str]) -> pa.Table:
        start = part * self.part_size
        rows = self.rows[start : start + self.part_size]
        types = {name: column.dtype for name, column in self.columns.items()}
        data = {n: pa.array([row.get(n) for row in rows], types[n]) for n in columns if n != "content"}
        if "content" in columns:
            digests = [hashlib.blake2b(repr(row).encode(), digest_size=16).digest() for row in rows]
            data["content"] = pa.array(digests, pa.binary(16))
        ordinals = pa.array([part << 24 | i for i in range(len(rows))], pa.uint64())
        return pa.table({"row": ordinals} | data)


class SerialRunner:
    """Runs everything here, in order."""

    def map(self, fn: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return map(fn, items)


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth coloured picture with some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([x * 255 / width, y * 255 / height, (x + y) % 256], axis=-1)
    return Image.fromarray(np.clip(base + rng.normal(0, 6, base.shape), 0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form.upper())
    return buffer.getvalue()


def described(source: str, key: str, data: bytes, width: int, height: int, form: str) -> dict[str, Any]:
    """The row of one whole file, as ingest and the Measures would make it."""
    return {
        "id": record_id(source, key.encode()),
        "kind": "image",
        "source": source,
        "key": key,
        "media": [
            {"role": "image", "uri": key, "offset": None, "length": None, "format": key.rpartition(".")[2]}
        ],
        "parents": [],
        "synthetic": False,
        "licence": "CC0-1.0",
        "text": f"a picture called {key}",
        "meta": json.dumps({"n": len(key)}),
        "width": width,
        "height": height,
        "format": form,
        "bytes": len(data),
        "bytes_sha": hashlib.sha256(data).digest(),
        "sharpness": 0.1 + len(data) % 97,
        "dup_group": len(data) % 5,
    }


@dataclass
class Pool:
    """A folder of files and the table that describes them."""

    root: Path
    rows: list[dict[str, Any]]

    def data(self, row: dict[str, Any]) -> bytes:
        medium = row["media"][0]
        data = (self.root / medium["uri"]).read_bytes()
        start = medium["offset"] or 0
        return data[start : start + (medium["length"] or len(data))]


@pytest.fixture
def blob_pool(tmp_path: Path) -> Callable[..., Pool]:
    """A pool of `n` incompressible files of about `size` bytes that call themselves JPEG."""

    def make(n: int, size: int = 3000) -> Pool:
        root = tmp_path / "pool"
        root.mkdir(exist_ok=True)
        rows = []
        for i in range(n):
            rng = np.random.default_rng(i)
            data = rng.bytes(size + int(rng.integers(0, size)))
            (root / f"{i}.jpg").write_bytes(data)
            shape = [(640, 480), (480, 640), (600, 600), (100, 90)][i % 4]
            rows.append(described("pool", f"{i}.jpg", data, *shape, "jpeg"))
        return Pool(root, rows)

    return make


@pytest.fixture
def image_pool(tmp_path: Path) -> Pool:
    """One real picture in each format, and a tar with members that Thresher does not know."""
    root = tmp_path / "images"
    root.mkdir()
    rows = []
    for i, form in enumerate(["jpeg", "png", "webp", "gif", "avif", "tiff", "bmp"]):
        data = encoded(photo(96 + i, 64, i), form)
        (root / f"p{i}.{form}").write_bytes(data)
        rows.append(described("images", f"p{i}.{form}", data, 96 + i, 64, form))
    rows[0]["text"] = None
    rows.append(_tarred(root))
    return Pool(root, rows)


def _tarred(root: Path) -> dict[str, Any]:
    image = encoded(photo(120, 80, 50), "jpeg")
    content = {
        "jpg": image,
        "npy": b"\x93NUMPY" + bytes(range(100)),
        "seg.png": b"mask",
        "JSON": b"[]",
        "x" * 200: b"long name",
    }
    buffer = io.BytesIO()
    media = []
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for suffix, data in content.items():
            info = tarfile.TarInfo(f"a/b.{suffix}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
            role = "image" if suffix == "jpg" else "extra"
            offset = buffer.tell() - -(-len(data) // 512) * 512
            media.append(
                {"role": role, "uri": "in.tar", "offset": offset, "length": len(data), "format": suffix}
            )
    (root / "in.tar").write_bytes(buffer.getvalue())
    row = described("images", "in.tar//a/b", image, 120, 80, "jpeg")
    return row | {"media": media}


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Any]:
    """Run the operator: `export(pool, "out", part_size=7, **params)` gives the summary."""

    def run(
        pool: Pool, name: str, part_size: int = 7, rows: list[dict[str, Any]] | None = None, **given: Any
    ) -> dict[str, Any]:
        import shutil

        identity = given.pop("identity", {"table": "images", "fingerprint": "f" * 8})
        more, seed = given.pop("more", {}), given.pop("seed", 7)
        scratch = tmp_path / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        roots = {pool.root.name: str(pool.root)}
        context = Context(SerialRunner(), scratch, seed, "export", roots)
        table = MemoryTable(pool.rows if rows is None else rows, part_size, more)
        params = ExportParams.model_validate(given)
        return ShardExport(params).export(table, context, str(tmp_path / name), identity)

    return run


@pytest.fixture
def tree() -> Callable[[Path], dict[str, str]]:
    """SHA-256 of every file under a folder."""

    def digest(folder: Path) -> dict[str, str]:
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    return digest


@pytest.fixture
def make_photo() -> Callable[..., Image.Image]:
    return photo


@pytest.fixture
def make_row() -> Callable[..., dict[str, Any]]:
    return described
