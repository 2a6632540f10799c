"""Typed datasets of Megatron-Energon: tars with `.nv-meta` beside them, a folder for each type of sample."""

import shutil
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.operators.export import energon
from thresher.pipelines.convert import energon_loader
from thresher.pipelines.convert.layout import write_json
from thresher.pipelines.convert.source import Sample, Source
from thresher.schemas.index import INDEX
from thresher.schemas.tar import END

DECODED = {"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"}
"""Extensions of our images that Energon (webdataset's decoder in it) makes tensors of."""
_LOADER = "sample_loader.py"
_TYPES = {
    "captioning": "CaptioningSample",
    "vqa": "VQASample",
    "text": "TextSample",
    "interleaved": "InterleavedSample",
}


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
    """One folder: tars named as the export's, and beside them what an export has for Energon."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name, self._index = folder, name, folder / "index.parquet"
        self._index.mkdir(parents=True)
        self._files: energon.Files = {}
        self._file: BinaryIO | None = None
        self.extensions = Counter[str]()

    def add(self, sample: Sample) -> None:
        shard = sample.row["shard"]
        if shard not in self._files:
            self._finish()
            self._file = open(self._folder / shard, "wb")  # noqa: SIM115
            self._rows: list[dict[str, Any]] = []
            self._sha256 = sha256()
            self._files[shard] = {}
        assert self._file
        row, start = sample.row, self._file.tell()
        moved = [at - row["offset"] + start for at in row["member_offsets"]]
        place = {"offset": start, "ordinal": len(self._rows), "member_offsets": moved, "split": "train"}
        self._rows.append(row | place)
        self._write(sample.data)
        self.extensions.update(s["ref"].lstrip(".") for s in sample.segments if s["kind"] == "image")

    def close(self, fingerprint: str) -> None:
        self._finish()
        energon.write(self._folder, f"{fingerprint}/{self._name}", self._files)
        shutil.rmtree(self._index)
        write_json(self._folder / energon.META / "dataset.yaml", self._described())  # JSON is YAML too

    def _described(self) -> dict[str, Any]:
        kind = {"sample_type": {"__module__": "megatron.energon", "__class__": _TYPES[self._name]}}
        text = "segments.json[0][ref]"
        if self._name == "captioning":
            return kind | {"field_map": {"image": ",".join(sorted(self.extensions)), "caption": text}}
        if self._name == "text":
            return kind | {"field_map": {"text": text}}
        loader = Path(energon_loader.__file__).read_text("utf-8")
        (self._folder / energon.META / _LOADER).write_text(loader, "utf-8")
        return kind | {"sample_loader": f"{_LOADER}:{self._name}", "part_filter": f"{_LOADER}:part_filter"}

    def _finish(self) -> None:
        """End the tar that is open, and write its index."""
        if self._file:
            self._write(END)
            self._file.close()
            tar = Path(self._file.name)
            pq.write_table(pa.Table.from_pylist(self._rows, INDEX), self._index / f"{tar.stem}.parquet")
            self._files[tar.name] = {"records": len(self._rows), "sha256": self._sha256.hexdigest()}

    def _write(self, data: bytes) -> None:
        assert self._file
        self._file.write(data)
        self._sha256.update(data)
