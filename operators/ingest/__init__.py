"""Ingest: files, tar shards and Parquet rows become records. Makes records from nothing but addresses.

`resolve` finds the source, `list_source` lists its files, `scan` turns some of them into catalog rows.
"""

import pyarrow as pa

from thresher.operators.ingest.cells import scan_table
from thresher.operators.ingest.files import Root
from thresher.operators.ingest.folder import scan_files
from thresher.operators.ingest.listing import Listing, list_source
from thresher.operators.ingest.rows import Rows, Unit
from thresher.operators.ingest.shards import scan_shard
from thresher.operators.ingest.source import IngestParams, Source, resolve
from thresher.operators.ingest.units import UNITS

__all__ = ["UNITS", "IngestParams", "Listing", "Source", "list_source", "resolve", "scan"]


def scan(source: Source, units: pa.Table, spool: str) -> pa.Table:
    """Rows of `catalog_schema("image")`, version 0, for some units of the listing.

    A pure function of the files: records of a folder in the order of `units`, of a tar by offset,
    of a Parquet file by row. `spool` is the folder where compressed archives are inflated. Whatever
    cannot be entered is a row with `reason` and `message`. Raises OSError only if the spool cannot be
    written.
    """
    root, rows = Root(source.root), Rows(source)
    columns = [units.column(name).to_pylist() for name in Unit._fields]
    entries = [Unit(*values) for values in zip(*columns, strict=True)]
    if source.kind == "folder":
        scan_files(root, entries, rows)
    for unit in entries if source.kind != "folder" else []:
        if source.kind == "shards":
            scan_shard(root, source.name, unit, spool, rows)
        else:
            scan_table(root, source, unit, rows)
    return rows.table()
