"""Ingest: files, tar shards, Parquet rows and lines of JSON become records. Makes records from nothing but
addresses.

`resolve` finds the source, `list_source` lists its files, `scan` turns some of them into catalog rows.
"""

from collections.abc import Callable

import pyarrow as pa

from thresher.operators.ingest.cells import scan_table
from thresher.operators.ingest.documents import scan_documents
from thresher.operators.ingest.files import Root
from thresher.operators.ingest.folder import scan_file
from thresher.operators.ingest.listing import Listing, describe, list_source
from thresher.operators.ingest.problems import Problems
from thresher.operators.ingest.rows import Rows, Unit
from thresher.operators.ingest.shards import scan_shard
from thresher.operators.ingest.source import IngestParams, Source, resolve
from thresher.operators.ingest.units import UNITS
from thresher.schemas import Reason

__all__ = [
    "UNITS",
    "IngestParams",
    "Listing",
    "Problems",
    "Source",
    "describe",
    "fail",
    "list_source",
    "resolve",
    "scan",
]


def scan(source: Source, units: pa.Table, spool: str, alive: Callable[[], None] = lambda: None) -> pa.Table:
    """Rows of `catalog_schema` of the source's records, version 0, for some units of the listing.

    A pure function of the files: records of a folder in the order of `units`, of a tar by offset,
    of Parquet and documents by row. `spool` is the folder where compressed archives are inflated; `alive`
    is called whenever something has been read. Whatever cannot be entered is a row with `reason` and
    `message`. Raises OSError only if the spool cannot be written.
    """
    root, rows = Root(source.root), Rows(source, alive)
    for unit in _entries(units):
        if source.kind == "folder":
            scan_file(root, unit, rows)
        elif source.kind == "shards":
            scan_shard(root, source.name, unit, spool, rows)
        elif source.kind == "documents":
            scan_documents(root, source, unit, rows)
        else:
            scan_table(root, source, unit, rows)
    return rows.table()


def fail(source: Source, units: pa.Table, reason: Reason, message: str) -> pa.Table:
    """A failed row for each unit, whose scan did not end."""
    rows = Rows(source)
    for unit in _entries(units):
        rows.fail(unit, unit.path, reason, f"{unit.uri}: {message}")
    return rows.table()


def _entries(units: pa.Table) -> list[Unit]:
    return [Unit(**row) for row in units.to_pylist()]
