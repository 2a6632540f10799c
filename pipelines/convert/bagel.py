"""What BAGEL's three readers open (https://github.com/ByteDance-Seed/Bagel, folder `data`).

`t2i`: a Parquet file is the unit that ranks and workers share. `edit`: the row group is, of the files that
a JSON names. `vlm`: the line is. What does not divide by ranks x workers is never read.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from thresher.pipelines.convert.conversation import conversation, images_of
from thresher.pipelines.convert.layout import Lines, Pictures, nowhere, variants, write_json
from thresher.pipelines.convert.source import Sample, Source
from thresher.pipelines.convert.tables import Table

T2I = pa.schema([("image", pa.binary()), ("captions", pa.string()), ("id", pa.string())])
EDIT = pa.schema(
    [
        ("image_list", pa.list_(pa.binary())),
        ("instruction_list", pa.list_(pa.list_(pa.string()))),
        ("id", pa.string()),
    ]
)
PARTS = {"t2i": ("image", "caption"), "edit": ("edit", "chain"), "vlm": ("text", "dialogue")}
"""Part -> the kinds of samples that it takes."""


class Bagel:
    """Images with captions to `t2i`, edits and chains to `edit`, dialogues, descriptions and texts to `vlm`.

    `units`: ranks x workers of the training; `home`: the folder's path when it is done.
    """

    def __init__(self, folder: Path, home: Path, source: Source, units: int) -> None:
        t2i, edit = (source.planned(PARTS[part]) for part in ("t2i", "edit"))
        self._folder, self._home, self._units = folder, home, units
        self._t2i = Table(folder / "t2i", T2I, *t2i, units)
        self._edit = Table(folder / "edit", EDIT, *edit, units)
        self._vlm = Lines(folder / "vlm" / "conversations.jsonl")
        self._pictures = Pictures(folder / "vlm" / "images")

    def add(self, sample: Sample) -> str:
        """Write `sample` into its part."""
        part = next((part for part, kinds in PARTS.items() if sample.kind in kinds), None)
        if part == "t2i":
            self._t2i.add(t2i_row(sample))
        elif part == "edit":
            self._edit.add(edit_row(sample))
        elif part == "vlm":
            turns = conversation(sample.segments)
            images = [self._pictures.write(sample, segment) for segment in images_of(sample.segments)]
            # Without the key `image` the reader takes a line as text alone.
            self._vlm.add(
                {"id": sample.key} | ({"image": images} if images else {}) | {"conversations": turns}
            )
        else:
            raise nowhere("bagel")
        return part

    def close(self) -> list[str]:
        """Finish the files; write the JSON that names edit files, and what to put into `dataset_info.py`."""
        self._t2i.close()
        self._edit.close()
        self._vlm.close()
        info: dict[str, Any] = {}
        if self._t2i.written:
            info["t2i_pretrain"] = {"thresher": self._about("t2i", self._t2i)}
        if self._edit.written:
            # The reader looks files up by the very path that it makes of `data_dir`, and passes over others.
            counts = self._edit.row_groups.items()
            named = {f"{self._home}/edit/{name}": {"num_row_groups": n} for name, n in counts}
            write_json(self._folder / "edit.json", named)
            about = self._about("edit", self._edit) | {"parquet_info_path": f"{self._home}/edit.json"}
            info["unified_edit"] = {"thresher": about}
        if self._vlm.count:
            home = f"{self._home}/vlm"
            paths = {"data_dir": f"{home}/images", "jsonl_path": f"{home}/conversations.jsonl"}
            info["vlm_sft"] = {"thresher": paths | {"num_total_samples": self._vlm.count}}
        write_json(self._folder / "dataset_info.json", info)
        return [
            f"{part}: {table.written} records make {len(table.row_groups)} files, not {self._units}; in a "
            "training with more ranks x workers than files, those without one wait for ever"
            for part, table in (("t2i", self._t2i), ("edit", self._edit))
            if 0 < len(table.row_groups) < self._units
        ]

    def _about(self, part: str, table: Table) -> dict[str, Any]:
        return {
            "data_dir": f"{self._home}/{part}",
            "num_files": len(table.row_groups),
            "num_total_samples": table.written,
        }


def t2i_row(sample: Sample) -> dict[str, Any]:
    """The image, and its captions by name as JSON text; the reader draws one."""
    captions = variants(sample.segments[0]) if sample.kind == "caption" else {}
    return {"image": sample.image(sample.segments[-1]), "captions": json.dumps(captions), "id": sample.key}


def edit_row(sample: Sample) -> dict[str, Any]:
    """All images in order, and between each two the ways to say the instruction."""
    images = [sample.image(s) for s in sample.segments[::2]]
    said = [list(variants(s).values()) for s in sample.segments[1::2]]
    return {"image_list": images, "instruction_list": said, "id": sample.key}
