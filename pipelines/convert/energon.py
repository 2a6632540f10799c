"""Typed datasets of Megatron-Energon: our tars with `.nv-meta` beside them, a folder for each type of sample.

The layout is that of `energon prepare` (https://github.com/NVIDIA/Megatron-Energon), which calls its tables
internal: the version that they were compared with is `VERSION`.
"""

import sqlite3
import struct
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from thresher.pipelines.convert import energon_loader
from thresher.pipelines.convert.layout import write_json
from thresher.pipelines.convert.source import Sample, Source
from thresher.schemas.tar import END

VERSION = "7.4.1"
DECODED = {"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"}
"""Extensions of our images that Energon (webdataset's decoder in it) makes tensors of."""
_LOADER = "sample_loader.py"
_TYPES = {
    "captioning": "CaptioningSample",
    "vqa": "VQASample",
    "text": "TextSample",
    "interleaved": "InterleavedSample",
}
_TABLES = """
CREATE TABLE samples (
    tar_file_id INTEGER NOT NULL, sample_key TEXT NOT NULL UNIQUE, sample_index INTEGER NOT NULL,
    byte_offset INTEGER, byte_size INTEGER);
CREATE TABLE sample_parts (
    tar_file_id INTEGER, sample_index INTEGER, part_name TEXT, content_byte_offset INTEGER,
    content_byte_size INTEGER);
"""
_INDICES = """
CREATE INDEX idx_samples_by_tar_and_idx ON samples(tar_file_id, sample_index);
CREATE INDEX idx_sample_parts_seq ON sample_parts(tar_file_id, sample_index, content_byte_offset);
CREATE INDEX idx_sample_parts_full
    ON sample_parts(tar_file_id, sample_index, part_name, content_byte_offset, content_byte_size);
"""


class Energon:
    """Images with captions to `captioning`, one question about one image to `vqa`, single texts to `text`.

    All else to `interleaved`. Records are copied as they lie in their tar.
    """

    def __init__(self, folder: Path, home: Path, source: Source, units: int) -> None:
        self._folder, self._fingerprint = folder, source.digest
        self._sets: dict[str, _Dataset] = {}

    def add(self, sample: Sample) -> str:
        """Copy the record into the dataset of its type."""
        name = _type(sample)
        if name not in self._sets:
            self._sets[name] = _Dataset(self._folder / name, name)
        self._sets[name].add(sample)
        return name

    def close(self) -> list[str]:
        """Finish the tars and what describes them."""
        for one in self._sets.values():
            one.close(self._fingerprint)
        return [
            f"{name}: {count} images are {extension}, which Energon hands on as bytes; `reencode` in the "
            "recipe's export makes them one format"
            for name, one in self._sets.items()
            for extension, count in sorted(one.extensions.items())
            if extension.rpartition(".")[2] not in DECODED
        ]


def _type(sample: Sample) -> str:
    head = sample.segments[0]
    if sample.kind == "caption" and head["ref"]:
        return "captioning"
    if sample.kind == "text" and len(sample.segments) == 1 and head["ref"]:
        return "text"
    parts = [(s["kind"], s["loss"]) for s in sample.segments]
    asked = [("image", False), ("text", False)]
    return "vqa" if parts in ([*asked, ("text", True)], [*asked[::-1], ("text", True)]) else "interleaved"


class _Dataset:
    """One folder: tars named as the export's, their `.tar.idx`, and `.nv-meta`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name, self._meta = folder, name, folder / ".nv-meta"
        self._meta.mkdir(parents=True)
        self._counts: dict[str, int] = {}
        self.extensions = Counter[str]()
        self._tar: BinaryIO | None = None
        self._starts: list[int] = []
        self._base = sqlite3.connect(self._meta / "index.sqlite")
        self._base.executescript(_TABLES)

    def add(self, sample: Sample) -> None:
        shard = sample.row["shard"]
        if shard not in self._counts:
            self._finish()
            self._tar = open(self._folder / shard, "wb")  # noqa: SIM115
            self._counts[shard] = 0
        assert self._tar
        start, number, ordinal = self._tar.tell(), len(self._counts) - 1, self._counts[shard]
        self._tar.write(sample.data)
        self._starts.append(start)
        record = (number, sample.key, ordinal, start, len(sample.data))
        self._base.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?)", record)
        self._base.executemany(
            "INSERT INTO sample_parts VALUES (?, ?, ?, ?, ?)", _parts(sample.row, number, ordinal, start)
        )
        self._counts[shard] += 1
        self.extensions.update(s["ref"].lstrip(".") for s in sample.segments if s["kind"] == "image")

    def close(self, fingerprint: str) -> None:
        self._finish()
        self._base.executescript(_INDICES)
        self._base.commit()
        self._base.close()
        shards = list(self._counts)
        # JSON is YAML too.
        write_json(self._meta / "dataset.yaml", self._described())
        write_json(self._meta / "split.yaml", {"split_parts": {"train": shards}, "exclude": []})
        write_json(self._meta / ".info.json", {"energon_version": VERSION, "shard_counts": self._counts})
        id_ = uuid.uuid5(uuid.NAMESPACE_OID, f"{fingerprint}/{self._name}")
        (self._meta / "index.uuid").write_text(str(id_))

    def _described(self) -> dict[str, Any]:
        kind = {"sample_type": {"__module__": "megatron.energon", "__class__": _TYPES[self._name]}}
        text = "segments.json[0][ref]"
        if self._name == "captioning":
            return kind | {"field_map": {"image": ",".join(sorted(self.extensions)), "caption": text}}
        if self._name == "text":
            return kind | {"field_map": {"text": text}}
        (self._meta / _LOADER).write_text(Path(energon_loader.__file__).read_text("utf-8"), "utf-8")
        return kind | {"sample_loader": f"{_LOADER}:{self._name}", "part_filter": f"{_LOADER}:part_filter"}

    def _finish(self) -> None:
        """End the tar that is open; its `.idx` holds where each record starts, and the last one's end."""
        if self._tar:
            ends = [*self._starts, self._tar.tell()]
            self._tar.write(END)
            self._tar.close()
            Path(f"{self._tar.name}.idx").write_bytes(struct.pack(f"<{len(ends)}Q", *ends))
            self._starts = []


def _parts(row: dict[str, Any], number: int, ordinal: int, start: int) -> Iterator[tuple[Any, ...]]:
    for name, offset, size in zip(row["members"], row["member_offsets"], row["member_sizes"], strict=True):
        yield number, ordinal, name.lstrip("."), offset - row["offset"] + start, size
