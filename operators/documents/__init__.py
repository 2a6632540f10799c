"""The Measure `documents`: what a document holds, its length, its images, and a hash of all of it."""

import hashlib
from collections.abc import Sequence
from itertools import groupby

import pyarrow as pa

from thresher.operators.base import Batch, Measure, Values, View
from thresher.operators.registry import operator
from thresher.operators.views import Checked
from thresher.operators.views.containers import FORMATS
from thresher.schemas import Column
from thresher.schemas.records import Item
from thresher.schemas.sidecar import dumps

_I4 = pa.int32()
_IMAGES = View("images")


@operator("documents")
class Documents(Measure):
    """Length, turns and images of texts and conversations; every image is decoded once."""

    kinds = ("interleaved",)
    views = (_IMAGES,)
    cost = "13 us for a text of 2,000 characters; one decode for each image"

    def writes(self) -> list[Column]:
        return [
            Column("n_chars", _I4, "characters", "of all its texts, in NFC", 0),
            Column("n_turns", _I4, "count", "changes of speaker and one; 0 in a plain text", 0),
            Column("n_images", _I4, "count", "images, each counted once", 0),
            Column("widths", pa.list_(_I4), "px", "of each image, after the EXIF orientation", 1),
            Column("heights", pa.list_(_I4), "px", "of each image, after the EXIF orientation", 1),
            Column(
                "formats", pa.list_(pa.string()), "name", "file format of each, by content", values=FORMATS
            ),
            Column("image_shas", pa.list_(pa.binary(32)), "SHA-256", "of the file of each image"),
            Column("bytes", pa.int64(), "bytes", "of its texts in UTF-8 and the files of its images", 1),
            Column("bytes_sha", pa.binary(32), "SHA-256", "of its texts, turns and image files in order"),
        ]

    def measure(self, batch: Batch) -> Values:
        found = zip(batch.records, batch.view(_IMAGES), strict=True)
        rows = [_measured(record.items, images) for record, images in found]
        return Values({column.name: [row[column.name] for row in rows] for column in self.writes()})


def _measured(items: Sequence[Item], images: Sequence[Checked]) -> dict[str, object]:
    texts = [item for item in items if item.text is not None]
    headers = [image.header for image in images]
    said = [(i.kind, i.turn, i.text if i.image is None else images[i.image].sha.hex()) for i in items]
    return {
        "n_chars": sum(len(item.text or "") for item in texts),
        "n_turns": sum(turn != "none" for turn, _ in groupby(item.turn for item in items)),
        "n_images": len(images),
        "widths": [header.width for header in headers],
        "heights": [header.height for header in headers],
        "formats": [header.format for header in headers],
        "image_shas": [image.sha for image in images],
        "bytes": sum(len((item.text or "").encode()) for item in texts) + sum(h.n_bytes for h in headers),
        "bytes_sha": hashlib.sha256(dumps(said).encode()).digest(),
    }
