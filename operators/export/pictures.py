"""What becomes of the images of a record: their members, and the bytes that they are made from."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from thresher.operators.export.images import EXTENSIONS, Target

Picture = dict[str, Any]
"""The fields of `PICTURE`."""

PICTURE = pa.struct(
    [
        pa.field("name", pa.string(), metadata={"meaning": "of the member, without the key"}),
        pa.field("width", pa.int32(), metadata={"meaning": "of the exported image"}),
        pa.field("height", pa.int32()),
        pa.field("encode", pa.bool_(), metadata={"meaning": "false: original bytes"}),
        pa.field("sha", pa.binary(32), metadata={"meaning": "of the bytes in the source"}),
    ]
)


def image_pictures(table: pa.Table, goals: Sequence[Target]) -> list[Picture]:
    """The picture (`PICTURE`) of each record."""
    shas = table["bytes_sha"].to_pylist()
    return [
        {
            "name": f".{goal.extension}",
            "width": goal.width,
            "height": goal.height,
            "encode": goal.encode is not None,
            "sha": sha,
        }
        for goal, sha in zip(goals, shas, strict=True)
    ]


def document_pictures(table: pa.Table) -> list[list[Picture]]:
    """The pictures of each document: its original files, as `.0.jpg`, `.1.png`, ..."""
    columns = (table[name].to_pylist() for name in ("formats", "widths", "heights", "image_shas"))
    return [
        [
            {
                "name": f".{place}.{EXTENSIONS.get(form, form)}",
                "width": width,
                "height": height,
                "encode": False,
                "sha": sha,
            }
            for place, (form, width, height, sha) in enumerate(zip(*held, strict=True))
        ]
        for held in zip(*columns, strict=True)
    ]
