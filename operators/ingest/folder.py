"""Scan a folder: one record for each image file. No image is opened here, only its sidecars."""

from collections.abc import Iterable

from thresher.operators.ingest.files import Root, extension, printable
from thresher.operators.ingest.rows import Rows, Unit
from thresher.operators.ingest.sidecars import MAX_SIDECAR_BYTES, Sidecars
from thresher.operators.ingest.units import sidecars_of
from thresher.schemas import Media


def scan_files(root: Root, units: Iterable[Unit], rows: Rows) -> None:
    """Enter each image file with the text and JSON that share its stem."""
    for unit in units:
        medium = Media("image", unit.uri, None, None, extension(unit.path))
        found = _read_sidecars(root, unit)
        rows.add(unit, unit.path, [medium], size=unit.size, **found.fields())


def _read_sidecars(root: Root, unit: Unit) -> Sidecars:
    found = Sidecars()
    stem = unit.path.rpartition(b".")[0]
    for suffix in sidecars_of(unit.etag):
        path = stem + suffix
        name = printable(path.rpartition(b"/")[2])
        try:
            raw = root.read(path, MAX_SIDECAR_BYTES + 1)
        except OSError as error:
            found.leave(name, f"cannot be read: {error.strerror or error}")
        else:
            found.offer(printable(suffix[1:]).lower(), name, raw)
    return found
