"""Scan a folder: one record for each image file. No image is opened here, only its sidecars."""

from thresher.operators.ingest.files import Root, extension, printable
from thresher.operators.ingest.rows import Rows, Unit
from thresher.operators.ingest.sidecars import MAX_SIDECAR_BYTES, Sidecars
from thresher.operators.ingest.units import sidecars_of
from thresher.schemas import Media


def scan_file(root: Root, unit: Unit, rows: Rows) -> None:
    """Enter one image file with the text and JSON that share its stem."""
    found = Sidecars()
    stem = unit.path.rpartition(b".")[0]
    for suffix in sidecars_of(unit.etag):
        name = printable(stem.rpartition(b"/")[2] + suffix)
        try:
            with root.open(stem + suffix) as file:
                raw = file.read(MAX_SIDECAR_BYTES + 1)
        except OSError as error:
            found.notes.append(f"{name} cannot be read: {error.strerror or error}")
        else:
            found.offer(printable(suffix[1:]).lower(), name, raw)
    medium = Media("image", unit.uri, None, None, extension(unit.path))
    rows.add(unit, unit.path, [medium], size=unit.size, **found.fields())
