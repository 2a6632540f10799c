"""A folder of texts and conversations as public sets have them, good rows and bad ones."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from thresher.operators.ingest import IngestParams, list_source, resolve, scan
from thresher.schemas.records import catalog_schema, validate

IMAGES = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))

RECIPE = """
thresher: 1
name: docs
seed: 1
tables:
  docs:
    ingest: {documents: {files: data, images: pictures}, name: mix, licence: CC0-1.0}
    steps:
      - documents
      - select:
          drop: {custom.short: "form == 'text' and n_chars < 40"}
    export: {shard_size: 10KB}
"""


def picture(seed: int, form: str = "JPEG") -> bytes:
    """A real image of 60 x (40 + seed) px."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40 + seed, 60, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form)
    return out.getvalue()


def asked(question: str, answer: str, **more: Any) -> dict[str, Any]:
    """A row of LLaVA."""
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"conversations": turns} | more


def lines(*rows: Any) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


@pytest.fixture
def scanned(tmp_path: Path) -> Callable[..., dict[str, dict[str, Any]]]:
    """Write files into `data` (name -> bytes), scan them; the rows by what follows `#` in their key."""

    def run(files: dict[str, bytes], **params: Any) -> dict[str, dict[str, Any]]:
        (tmp_path / "data").mkdir(exist_ok=True)
        for name, data in files.items():
            (tmp_path / "data" / name).write_bytes(data)
        source = resolve(IngestParams(documents={"files": "data"} | params), tmp_path)
        table = scan(source, list_source(source).units.sort_by("uri"), str(tmp_path))
        assert table.schema.equals(catalog_schema("interleaved")) and validate(table, "interleaved") == []
        return {row["key"].partition("#")[2] or row["key"]: row for row in table.to_pylist()}

    return run


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """54 rows: 40 texts (one of two characters, one empty, one torn), 9 LLaVA rows (three with images that
    cannot be had), 4 of chat with images inside Parquet, and a text-only conversation."""
    (tmp_path / "data").mkdir()
    (tmp_path / "pictures").mkdir()
    for i in range(4):
        (tmp_path / f"pictures/{i}.jpg").write_bytes(picture(i))
    (tmp_path / "pictures/cut.jpg").write_bytes(picture(9)[:900])
    texts = [{"text": f"Text {i}: " + "word " * (8 + i), "url": f"http://x/{i}"} for i in range(37)]
    with gzip.open(tmp_path / "data/texts.jsonl.gz", "wb") as file:
        file.write(lines({"text": "hi"}, *texts, {"text": " \n"}, b'{"text": "torn'))
    told = [asked("<image>\nWhat?", f"Number {i}", id=f"c{i}", image=f"{i}.jpg") for i in range(4)]
    told += [
        asked("<image> or <image>?", "The first", id="two", image=["0.jpg", "1.jpg"]),
        asked("Hello", "Good day", id="words"),
        *(asked("<image>\nWhat?", "x", id=p, image=p) for p in ("none.jpg", "cut.jpg", "../../etc/x.jpg")),
    ]
    (tmp_path / "data/llava.json").write_text(json.dumps(told, indent=1))
    chat = [
        [{"role": "user", "content": "<image>Name it"}, {"role": "assistant", "content": f"Chat {i}"}]
        for i in range(4)
    ]
    cells = [[{"bytes": picture(20 + i, "PNG"), "path": None}] for i in range(4)]
    pq.write_table(
        pa.table({"messages": chat, "images": pa.array(cells, IMAGES)}), tmp_path / "data/c.parquet"
    )
    said = [{"role": "system", "content": "Be kind."}, *chat[0][1:]]
    (tmp_path / "data/share.jsonl").write_bytes(lines({"messages": said}))
    (tmp_path / "docs.yaml").write_text(RECIPE)
    return tmp_path
