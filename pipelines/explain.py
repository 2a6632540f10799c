"""One record's story, told from the run's files."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from string import hexdigits
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from thresher.operators.ingest.files import printable
from thresher.pipelines.captions.columns import record_of
from thresher.pipelines.captions.told import told
from thresher.pipelines.cli.text import counted
from thresher.pipelines.store.files import read_table
from thresher.pipelines.store.manifest import part_name
from thresher.pipelines.view import RunView
from thresher.schemas import Reason, UsageError
from thresher.schemas.decisions import ordinal
from thresher.schemas.document import CONFIGS
from thresher.schemas.errors import nearest
from thresher.schemas.ids import byte_rows
from thresher.schemas.sidecar import plain
from thresher.schemas.uris import split_fragment, unquote_path

EXPLAIN_SCHEMA: dict[str, Any] = json.loads((CONFIGS / "explain.schema.json").read_bytes())

PLACE = ["shard", "ordinal", "offset", "size", "bucket", "members"]
"""What an export's index says of where a record lies."""

HINTS = 100_000
"""Names among which the nearest to an unknown one is looked for."""


class Row(NamedTuple):
    """Where one version of a record stands."""

    table: str
    part: int
    offset: int
    name: str
    """`source/key`."""


def find(run: RunView, asked: str) -> list[Row]:
    """Every version of the one record that is meant by a start of its id, or by a file's name: the end
    of `source/key`, or of the path, at a `/`; as it is or, where no file is called so, as uris write it.
    Raises UsageError when none is meant (with the nearest) or several are (with their ids)."""
    asked = printable(os.fsencode(asked))
    name = os.path.abspath(asked) if asked.startswith(("./", "../")) else asked
    spelt = name, printable(unquote_path(name))
    prefix = asked.lower() if 0 < len(asked) <= 32 and not set(asked.lower()) - set(hexdigits) else None
    as_it_is: dict[str, list[Row]] = {}
    as_in_uris: dict[str, list[Row]] = {}
    near_ids: list[str] = []
    names: list[str] = []
    for table in run.tables():
        roots = run.plan(table)["roots"]
        for part in run.parts(table):
            rows = run.catalog(table).read(part, ["id", "source", "key"])
            source = rows["source"][0].as_py()  # a part never mixes sources
            ids = np.frombuffer(byte_rows(rows["id"]).tobytes().hex().encode(), "S32")
            hits, others = (_ends_with(rows["key"], {source, roots.get(source, source)}, s) for s in spelt)
            if prefix is not None:
                hits |= np.char.startswith(ids, prefix.encode())
                ordered = np.sort(ids)
                i = int(np.searchsorted(ordered, prefix.encode()))
                near_ids += [n.decode() for n in ordered[max(0, i - 1) : i + 1]]
            for i in np.flatnonzero(hits | others).tolist():
                row = Row(table, part, i, f"{source}/{rows['key'][i]}")
                (as_it_is if hits[i] else as_in_uris).setdefault(ids[i].decode(), []).append(row)
            if not (as_it_is or as_in_uris) and len(names) < HINTS:
                names += [os.path.basename(key) for key in rows["key"].to_pylist()]
    found = as_it_is or as_in_uris
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        some = "; ".join(f"{record} {rows[0].name}" for record, rows in sorted(found.items())[:8])
        what = f"{len(found)} records have ids or names like {asked!r}"
        raise UsageError(what, mend=f"Give more of an id or of a path. They are: {some}")
    if prefix is not None and near_ids:
        gap = {n: abs(int(n, 16) - int(prefix.ljust(32, "0"), 16)) for n in near_ids}
        mend = f"The nearest is {min(gap, key=lambda n: (gap[n], n))}"
    else:
        such = f"; a file's name here is {names[0]}" if names else ""
        by_id = f"An id is 32 hex digits; a start of it will do{such}"
        mend = nearest(os.path.basename(asked), names[:HINTS]) or by_id
    raise UsageError(f"no record has the id or the name {asked!r}", str(run.folder), mend)


def _ends_with(keys: pa.ChunkedArray, bases: set[str], name: str) -> np.ndarray:
    """True where `name` is `base/key` or its end, at a `/`."""
    hits = np.zeros(len(keys), np.bool_)
    for base in bases if name else ():
        whole = pc.binary_join_element_wise(f"/{base.rstrip('/')}", keys, "/")
        hits |= pc.ends_with(whole, "/" + name.lstrip("/")).to_numpy()
    return hits


def explain(run: RunView, asked: str) -> dict[str, Any]:
    """The record's story as JSON-ready data that fits `EXPLAIN_SCHEMA`: of the version that counts."""
    rows = {r: run.ledger(r.table, r.part).slice(r.offset, 1).to_pylist()[0] for r in find(run, asked)}
    live = (row for row, ledger in rows.items() if ledger["reason"] != Reason.SUPERSEDED)
    here = next(live, next(iter(rows)))
    table, part, offset, _ = here
    ledger = rows.pop(here)
    catalog = run.catalog(table).read(part).slice(offset, 1).to_pylist()[0]
    root = run.plan(table)["roots"].get(catalog["source"], "")
    current, *earlier = [_exported(folder, ledger["id"]) for folder in run.exports(table)] or [None]
    return {
        "id": ledger["id"].hex(),
        "table": table,
        **{
            name: ledger[name] for name in ("source", "key", "version", "status", "step", "reason", "message")
        },
        "media": [medium | {"root": root} for medium in catalog["media"]],
        "columns": list(_columns(run, table, part, offset)),
        "decisions": list(_decisions(run, table, part, ordinal(part, offset))),
        "duplicates": _duplicates(run, table, ledger),
        "other_versions": [
            {name: other[name] for name in ("version", "status", "reason")}
            for row, other in rows.items()
            if row.table == table
        ],
        "export": current,
        "earlier_exports": [place for place in earlier if place],
    }


def _columns(run: RunView, table: str, part: int, offset: int) -> Iterator[dict[str, Any]]:
    reader = run.reader(table)
    labels = {c: s["label"] for s in run.plan(table)["steps"] for c in s["writes"]}
    own = [name for name in ("form", "text", "items", "meta") if name in reader.columns]
    names = [*reader.writers, *own]
    values = reader.read_all(part, names).slice(offset, 1)
    for name in names:
        value = values[name][0].as_py()
        if value is None:
            continue
        column = reader.columns[name]
        yield {
            "name": name,
            "value": plain(value, column.dtype),
            "unit": column.unit,
            "meaning": column.meaning,
            "backend": column.backend,
            "revision": column.revision,
            "step": labels.get(name, "ingest"),
        }


def _decisions(run: RunView, table: str, part: int, row: int) -> Iterator[dict[str, Any]]:
    for label, folder in run.decisions(table).items():
        path = folder / part_name(part)
        if not path.exists():
            continue
        decided = read_table(path, ["row", "kept", "reason", "column", "value", "bound", "keeper", "also"])
        for found in decided.filter(pc.equal(decided["row"], pa.scalar(row, pa.uint64()))).to_pylist():
            keeper = found["keeper"]
            del found["row"]
            yield {"step": label} | found | {"keeper": keeper.hex() if keeper else None}


def _duplicates(run: RunView, table: str, ledger: dict[str, Any]) -> dict[str, Any]:
    """The keeper of a dropped duplicate, and the duplicates that were dropped for this record."""
    dropped = []
    keeper = None
    for part in run.parts(table):
        rows = run.ledger(table, part)
        mine = pc.equal(rows["keeper"], pa.scalar(ledger["id"], pa.binary(16)))
        dropped += [_other(r, r) for r in rows.filter(mine).to_pylist()]
        if ledger["keeper"]:
            own = pc.equal(rows["id"], pa.scalar(ledger["keeper"], pa.binary(16)))
            keeper = next((_other(r, ledger) for r in rows.filter(own).to_pylist()), keeper)
    return {"keeper": keeper, "dropped": sorted(dropped, key=lambda d: d["id"])}


def _other(row: dict[str, Any], duplicate: dict[str, Any]) -> dict[str, Any]:
    """The other one of a pair. A near duplicate's value is its bits; an exact one's is its checksum."""
    distance = str(duplicate["value"]) if duplicate["reason"] == Reason.DUPLICATE_NEAR else "0"
    return {"id": row["id"].hex(), "key": row["key"], "status": row["status"], "distance": distance}


def _exported(folder: Path, record: bytes) -> dict[str, Any] | None:
    for path in sorted((folder / "index.parquet").glob("*.parquet")):
        for row in pq.read_table(path, columns=PLACE, filters=[("id", "==", record)]).to_pylist():
            return {"folder": str(folder)} | row
    return None


def tell(story: dict[str, Any]) -> str:
    """The story as text for a terminal."""
    lines = [f"{story['id']}  {story['table']}: {story['source']} / {story['key']!r}"]
    detail = f" ({story['message']})" if story["message"] else ""
    ended = f"{story['status']} at {story['step']}: {story['reason']}{detail}"
    lines.append("kept" if story["status"] == "kept" else ended)
    for medium in story["media"]:
        span = "" if medium["offset"] is None else f", bytes {medium['offset']} + {medium['length']}"
        lines.append(f"  {medium['role']}: {_path(medium)}{span}")
    lines += [
        f"  version {v['version']} of the file: {v['status']}, {v['reason']}" for v in story["other_versions"]
    ]
    decisions = [_decision(d) for d in story["decisions"]]
    if story["status"] == "failed":
        decisions.append(f"  {story['step']:<20} failed: {story['reason']}")
    if decisions:
        lines += ["", "Decisions", *decisions]
    both = story["duplicates"]
    if both["keeper"]:
        k = both["keeper"]
        lines += ["", f"Its keeper: {k['id']} {k['key']!r} ({k['status']}), distance {k['distance']}"]
    if both["dropped"]:
        lines += ["", f"Kept instead of {counted(len(both['dropped']), 'duplicate')}"]
        lines += [f"  {d['id']} {d['key']!r}, distance {d['distance']}" for d in both["dropped"]]
    if story["export"] or story["earlier_exports"]:
        lines.append("")
    if story["export"]:
        still = "" if story["status"] == "kept" else "Dropped, but `placement: append` keeps old shards. "
        lines.append(f"{still}Exported to {_place(story['export'])}")
    lines += [f"In an earlier export, until `thresher gc`: {_place(e)}" for e in story["earlier_exports"]]
    if story["columns"]:
        lines += ["", "Columns"]
    captions = {c["name"]: r for c in story["columns"] if (r := record_of(str(c["value"]))) is not None}
    for c in story["columns"]:
        value = "told below" if c["name"] in captions else str(c["value"])
        shown = value if len(value) <= 60 else value[:57] + "..."
        lines.append(f"  {c['name']:<18} {shown:<24} {c['unit']:<10} {c['backend']} {c['revision']}")
    for name, record in captions.items():
        lines += ["", f"Captions in {name}", *(f"  {line}" for line in told(record))]
    return "\n".join(lines)


def _path(medium: dict[str, Any]) -> str:
    """The real path; where it holds control characters or is not UTF-8, as Python writes bytes."""
    uri, fragment = split_fragment(medium["uri"])
    raw = os.fsencode(medium["root"].rstrip("/")) + b"/" + unquote_path(uri)
    path = os.fsdecode(raw)
    return (path if path.isprintable() else repr(raw)) + (f"#{fragment}" if fragment else "")


def _place(place: dict[str, Any]) -> str:
    return f"{place['folder']}/{place['shard']}, sample {place['ordinal']} at byte {place['offset']}"


def _decision(decision: dict[str, Any]) -> str:
    also = [r for r in decision["also"] or [] if r != decision["reason"]]
    if decision["kept"]:
        anyway = f" anyway, though {', '.join(also)} held" if also else ""
        return f"  {decision['step']:<20} kept{anyway}"
    more = f"; also {', '.join(also)}" if also else ""
    return (
        f"  {decision['step']:<20} dropped: {decision['reason']}, {decision['column']} = "
        f"{decision['value']}, bound {decision['bound']}{more}"
    )
