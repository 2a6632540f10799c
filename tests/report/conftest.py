"""A run of real small images, told as `RunView` tells it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from thresher.operators.views.opener import Opener
from thresher.pipelines.view import Bound, StepCount
from thresher.schemas import Column
from thresher.schemas.decisions import LEDGER
from thresher.schemas.ids import record_id
from thresher.schemas.records import MEDIA
from thresher.schemas.uris import quote_path

# "/" makes it a file `script>.jpg` in a folder `<script>alert(1)<`
SCRIPT_NAME = "<script>alert(1)</script>.jpg"
QUOTE_NAME = "\"quote' & amp.jpg"

COLUMNS = [
    Column("id", pa.binary(16), "-", "the record"),
    Column("key", pa.string(), "-", "path below the root"),
    Column("media", pa.list_(MEDIA), "-", "where the bytes are"),
    Column("bytes", pa.int64(), "bytes", "size of the file", 0),
    Column("width", pa.int32(), "px", "width, upright", 1),
    Column("height", pa.int32(), "px", "height, upright", 1),
    Column("short_side", pa.int32(), "px", "the shorter of width and height", 1),
    Column("sharpness", pa.float32(), "levels²", "variance of the Laplacian of luma at 256 px", 0),
    Column("noise", pa.float32(), "levels", "standard deviation of noise in luma", 0),
    Column("clip_high", pa.float32(), "-", "share of clipped highlights", 0, 1),
    Column("text_area", pa.float32(), "-", "share <b>covered</b> by text", 0, 1, "rapidocr & co", "3.10.0"),
    Column("format", pa.string(), "-", "what the content is"),
    Column("is_gray", pa.bool_(), "-", "no colour"),
    Column("phash", pa.uint64(), "-", "64-bit perceptual hash"),
    Column("near_d256", pa.int16(), "bits", "distance to the keeper", 0, 256),
]

BOUNDS = [
    Bound("technical", "too_small", "short_side", "<", 96, "short_side < 96px"),
    Bound("technical", "blurry", "sharpness", "<", 40, "sharpness < 40"),
    Bound(
        "technical",
        "noisy",
        "noise",
        ">",
        7.25,
        "noise > quantile(noise, 0.99) and width > 1",
        calibrate=True,
    ),
    Bound("technical", "over_exposed", "clip_high", ">", 0.2, "clip_high > 20%"),
    Bound("technical", "keep_anyway", "text_area", ">", 0.2, "text_area > 20%"),
    Bound("dedupe.near", "duplicate_near", "near_d256", "<=", 32, "max_distance: 32"),
]
STEPS = {
    "ingest": "ingest",
    "quality": "quality",
    "dedupe.exact": "dedupe.exact",
    "dedupe.near": "dedupe.near",
    "technical": "select",
    "export": "export",
}


@dataclass
class FakeTable:
    """Rows as dictionaries: ledger fields and column values together."""

    rows: list[dict[str, Any]]
    columns: list[Column] = field(default_factory=lambda: COLUMNS)
    bounds: list[Bound] = field(default_factory=lambda: BOUNDS)


@dataclass
class FakeView:
    """A run in memory, cut into parts of `part_size` rows."""

    root: Path
    pools: dict[str, FakeTable]
    name: str = "photos <i>2026</i>"
    part_size: int = 40

    def tables(self) -> list[str]:
        return list(self.pools)

    def funnel(self, table: str) -> list[StepCount]:
        rows = self.pools[table].rows
        live, steps = len(rows), []
        for label, operator in STEPS.items():
            ended = [r for r in rows if r["step"] == label and r["status"] != "kept"]
            dropped = sum(r["status"] == "dropped" for r in ended)
            failed = len(ended) - dropped
            counted = Counter(r["reason"] for r in ended)
            reasons = dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
            kept = live - dropped - failed
            steps.append(StepCount(label, operator, live, kept, dropped, failed, reasons, 12.5))
            live = kept
        return steps

    def bounds(self, table: str) -> list[Bound]:
        return self.pools[table].bounds

    def facts(self, table: str) -> dict[str, dict[str, Any]]:
        counted = [{"source": name, "n": 200, "share": 0.3, "dropped": name < "b"} for name in ("<a>", "b")]
        noise = {"quantile(noise, 0.99)": 7.25, "nulls_seen": {"noise": 2}}
        return {"technical": noise, "dedupe.exact": {}, "balance.sources": {"sources": counted}}

    def columns(self, table: str) -> Mapping[str, Column]:
        return {c.name: c for c in self.pools[table].columns}

    def parts(self, table: str) -> Sequence[int]:
        return range(-(-len(self.pools[table].rows) // self.part_size))

    def _part(self, table: str, part: int) -> list[dict[str, Any]]:
        return self.pools[table].rows[part * self.part_size : (part + 1) * self.part_size]

    def ledger(self, table: str, part: int) -> pa.Table:
        rows = [{name: row.get(name) for name in LEDGER.names} for row in self._part(table, part)]
        return pa.Table.from_pylist(rows, LEDGER)

    def values(self, table: str, part: int, columns: Sequence[str]) -> pa.Table:
        types = {c.name: c.dtype for c in self.pools[table].columns}
        rows = self._part(table, part)
        return pa.table({name: pa.array([row.get(name) for row in rows], types[name]) for name in columns})

    def opener(self, table: str) -> Opener:
        return Opener({"pool": str(self.root)})

    def fwd(self, table: str) -> dict[str, Any] | None:
        bands = [{"band": "2 px", "fwd": 0.5, "null": 0.01, "moved": True}]
        bands.append({"band": "2 to 4 px", "fwd": 0.01, "null": 0.01, "moved": False})
        far = {"name": "<i>far</i>", "pictures": 900, "n": 200, "fwd": 0.5, "null": 0.01, "excess": 0.49}
        few = {"name": "few", "pictures": 3, "lacks": "needs 192 pictures"}
        told = {"sources": [far | {"bands": bands, "unopened": 2}, few | {"unopened": 0}], "by": "source"}
        return told | {"reference": "camera_exif", "pictures": 400, "meaning": "Of sets.", "earlier": True}

    def problems(self, table: str) -> list[dict[str, Any]]:
        return [
            {"path": ".hidden/<b>x</b>.jpg", "message": "hidden"},
            {"path": "loop", "message": "link loop"},
        ]


def picture(seed: int, width: int, height: int, blur: float = 0.0) -> np.ndarray:
    """A colourful scene of gradients and discs, uint8 (h, w, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    a, b = rng.uniform(60, 255, (2, 3))
    image = (a * (1 - y[..., None]) + b * y[..., None] * (0.6 + 0.4 * x[..., None])).astype(np.uint8)
    for _ in range(6):
        centre = int(rng.integers(width)), int(rng.integers(height))
        radius = int(rng.integers(8, max(9, min(width, height) // 3)))
        cv2.circle(image, centre, radius, rng.integers(0, 255, 3).tolist(), -1, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), blur) if blur else image


def entry(root: Path, key: str, data: bytes | None, **values: Any) -> dict[str, Any]:
    """A row whose file lies under `root`; no file if `data` is None."""
    if data is not None:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)
    medium = {"role": "image", "uri": quote_path(key.encode()), "offset": None, "length": None, "format": ""}
    row = {"id": record_id("pool", key.encode()), "version": 0, "source": "pool", "key": key}
    row |= {"status": "kept", "step": "export", "media": [medium], "bytes": len(data or b"")}
    return row | values


def dropped(reason: str, step: str, column: str, value: Any, bound: str, **more: Any) -> dict[str, Any]:
    """The ledger fields of a drop."""
    found = {"status": "dropped", "reason": reason, "step": step, "column": column}
    return found | {"value": str(value), "bound": bound, "also": [reason], **more}


def judged(row: dict[str, Any]) -> dict[str, Any]:
    """What the select step `technical` says of a row."""
    if row["short_side"] < 96:
        return dropped("too_small", "technical", "short_side", row["short_side"], "short_side < 96")
    if row["sharpness"] < 40:
        return dropped("blurry", "technical", "sharpness", row["sharpness"], "sharpness < 40")
    if row["noise"] > 7.25:
        return dropped("noisy", "technical", "noise", row["noise"], "noise > 7.25")
    return {}


def make_rows(root: Path, count: int = 90) -> list[dict[str, Any]]:
    """Kept, small, blurry and noisy records, duplicates, failures and names that look like code."""
    rng = np.random.default_rng(7)
    rows = []
    for i in range(count):
        width, height = [(240, 160), (160, 240), (200, 200), (320, 120), (90, 80)][i % 5]
        blurry = i % 11 == 3
        data = cv2.imencode(".jpg", picture(i, width, height, 6.0 if blurry else 0))[1].tobytes()
        values = {
            "width": width,
            "height": height,
            "short_side": min(width, height),
            "sharpness": float(np.float32(rng.uniform(2, 39) if blurry else rng.lognormal(6.3, 1))),
            "noise": float(np.float32(rng.gamma(3, 1.1))),
            "clip_high": float(np.float32(rng.beta(0.6, 14))) if i % 4 else 0.0,
            "text_area": float(np.float32(rng.beta(0.5, 9))),
            "format": ["jpeg", "jpeg", "png", "webp"][i % 4],
            "is_gray": i % 9 == 0,
            "phash": int(rng.integers(1 << 63)),
        }
        key = {0: SCRIPT_NAME, 1: QUOTE_NAME}.get(i, f"holiday/2019/img_{i:04d}.jpg")
        row = entry(root, key, data, **values)
        rows.append(row | judged(row))
    keepers = [row for row in rows if row["status"] == "kept"]
    for i, keeper in enumerate(keepers[:5]):
        data = (root / keeper["key"]).read_bytes()
        copied = {c.name: keeper.get(c.name) for c in COLUMNS[4:-1]}
        exact = dropped(
            "duplicate_exact", "dedupe.exact", "bytes_sha", "a5" * 32, "equal", keeper=keeper["id"]
        )
        rows.append(entry(root, f"copies/copy_{i}.jpg", data, **copied, **exact))
        for j in range(1 + i):
            small = cv2.imencode(".jpg", cv2.imdecode(np.frombuffer(data, np.uint8), 1), [1, 60 - 9 * j])[1]
            near = dropped("duplicate_near", "dedupe.near", "near_d256", 2 + 5 * j, "32", keeper=keeper["id"])
            rows.append(
                entry(root, f"resaved/{i}_{j}.jpg", small.tobytes(), near_d256=2 + 5 * j, **(copied | near))
            )
    failures = [
        ("corrupt", b"\xff\xd8\xff\xe0 broken", "JPEG marker <b>0x12</b> missing"),
        ("truncated", b"\xff\xd8\xff", "ends after 3 of 5120 bytes"),
        ("empty_file", b"", "zero bytes"),
    ]
    for i in range(9):
        reason, data, message = failures[i % 3]
        ended = {"status": "failed", "step": "quality", "reason": reason, "message": message}
        rows.append(entry(root, f"broken/{i}.jpg", data, **ended))
    return sorted(rows, key=lambda row: row["id"])


@pytest.fixture(scope="session")
def view(tmp_path_factory: pytest.TempPathFactory) -> FakeView:
    """A run of about 120 real images."""
    root = tmp_path_factory.mktemp("pool")
    return FakeView(root, {"images": FakeTable(make_rows(root))})


@pytest.fixture(scope="session")
def wide_view(tmp_path_factory: pytest.TempPathFactory) -> FakeView:
    """A run with 120 reasons and pictures that compress badly."""
    root = tmp_path_factory.mktemp("wide")
    rng = np.random.default_rng(3)
    noise = [
        cv2.imencode(".png", rng.integers(0, 255, (230, 230, 3), np.uint8))[1].tobytes() for _ in range(40)
    ]
    rows = []
    for i in range(2400):
        reason = f"custom.reason_{i % 120}"
        values = {"width": 230, "height": 230, "short_side": 230, "sharpness": float(i), "noise": 1.0}
        ended = {} if i % 11 == 0 else dropped(reason, "technical", "sharpness", i, "sharpness < 40")
        rows.append(entry(root, f"{i:05d}{'x' * 180}.png", noise[i % 40], **values, **ended))
    return FakeView(root, {"images": FakeTable(rows)}, part_size=256)
