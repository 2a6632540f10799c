"""Parquet that `datasets.load_dataset(FOLDER, "caption")` opens with images as its `Image` feature."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from thresher.pipelines.convert.kinds import KINDS
from thresher.pipelines.convert.layout import first_text
from thresher.pipelines.convert.source import Sample, Source
from thresher.pipelines.convert.tables import Table
from thresher.schemas.segments import texts_of

FILE_BYTES = 512_000_000

_STRING = {"dtype": "string", "_type": "Value"}
_IMAGE = {"_type": "Image"}
_NAMED = {"name": _STRING, "text": _STRING}
_SEGMENT = {
    **dict.fromkeys(("kind", "role", "turn", "drop"), _STRING),
    "loss": {"dtype": "bool", "_type": "Value"},
    "text": _STRING,
    "texts": [_NAMED],
    "image": {"dtype": "int32", "_type": "Value"},
    "frame_time": {"dtype": "float64", "_type": "Value"},
}
FEATURES: dict[str, dict[str, Any]] = {
    "caption": {"id": _STRING, "image": _IMAGE, "text": _STRING, "captions": [_NAMED]},
    "sequence": {"id": _STRING, "kind": _STRING, "images": [_IMAGE], "segments": [_SEGMENT]},
}
"""Config -> its columns as `datasets` describes them."""


class HuggingFace:
    """Images with captions in the config `caption`; all other samples, as segments, in `sequence`."""

    def __init__(self, folder: Path, home: Path, source: Source, units: int) -> None:
        self._folder = folder
        self._tables: dict[str, Table] = {}
        for name in FEATURES:
            rows, size = source.planned([kind for kind in KINDS if _config(kind) == name])
            files = -(-size // FILE_BYTES) or 1
            self._tables[name] = Table(folder / name, _schema(name), rows, size, files)

    def add(self, sample: Sample) -> str:
        """Write a row."""
        config = _config(sample.kind)
        self._tables[config].add(_caption(sample) if config == "caption" else _sequence(sample))
        return config

    def close(self) -> list[str]:
        """Finish the files, and write the card that names them."""
        card = "---\nconfigs:\n"
        for name, table in self._tables.items():
            table.close()
            if table.written:
                files = f"  data_files:\n  - split: train\n    path: {name}/*.parquet\n"
                card += f"- config_name: {name}\n{files}"
        (self._folder / "README.md").write_text(card + "---\n")
        return []


def _config(kind: str) -> str:
    return "caption" if kind in ("caption", "image") else "sequence"


def _caption(sample: Sample) -> dict[str, Any]:
    texts = texts_of(sample.segments[0]) if sample.kind == "caption" else {}
    image = sample.segments[-1]
    return {
        "id": sample.key,
        "image": {"bytes": sample.image(image), "path": f"{sample.key}{image['ref']}"},
        "text": next(iter(texts.values()), None),
        "captions": [{"name": name, "text": text} for name, text in texts.items()],
    }


def _sequence(sample: Sample) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    segments = []
    for s in sample.segments:
        row = {name: s[name] for name in ("kind", "role", "turn", "drop", "loss", "frame_time")}
        if s["kind"] == "image":
            row |= {"image": len(images), "texts": []}
            images.append({"bytes": sample.image(s), "path": f"{sample.key}{s['ref']}"})
        else:
            named = [{"name": name, "text": text} for name, text in texts_of(s).items()]
            row |= {"text": first_text(s), "texts": named}
        segments.append(row)
    return {"id": sample.key, "kind": sample.kind, "images": images, "segments": segments}


def _schema(config: str) -> pa.Schema:
    """The columns as Arrow types, with the description by which `datasets` knows an image."""
    features = FEATURES[config]
    described = json.dumps({"info": {"features": features}})
    return pa.schema({name: _arrow(f) for name, f in features.items()}, {"huggingface": described})


def _arrow(feature: Any) -> pa.DataType:
    if isinstance(feature, list):
        return pa.list_(_arrow(feature[0]))
    if feature == _IMAGE:
        return pa.struct({"bytes": pa.binary(), "path": pa.string()})
    if "_type" in feature:
        return pa.type_for_alias(feature["dtype"])
    return pa.struct({name: _arrow(one) for name, one in feature.items()})
