"""One record's story, told from the run's files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from thresher.pipelines.runview import OpenRun
from thresher.pipelines.store.files import read_table
from thresher.pipelines.store.manifest import part_name
from thresher.schemas import UsageError
from thresher.schemas.ids import id_halves
from thresher.schemas.sidecar import plain

EXPLAIN_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "thresher explain --json",
    "type": "object",
    "required": [
        "id",
        "table",
        "source",
        "key",
        "version",
        "status",
        "step",
        "reason",
        "message",
        "media",
        "columns",
        "decisions",
        "duplicates",
        "export",
    ],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "table": {"type": "string"},
        "source": {"type": "string"},
        "key": {"type": "string"},
        "version": {"type": "integer", "minimum": 0},
        "status": {"enum": ["kept", "dropped", "failed"]},
        "step": {"type": ["string", "null"]},
        "reason": {"type": ["string", "null"]},
        "message": {"type": ["string", "null"]},
        "media": {"type": "array", "items": {"type": "object"}},
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "value", "unit", "meaning", "backend", "revision", "step"],
            },
        },
        "decisions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["step", "kept", "reason", "column", "value", "bound", "keeper", "also"],
            },
        },
        "duplicates": {
            "type": "object",
            "required": ["keeper", "dropped"],
            "properties": {"keeper": {"type": ["object", "null"]}, "dropped": {"type": "array"}},
        },
        "export": {"type": ["object", "null"]},
    },
}


def find(run: OpenRun, prefix: str) -> tuple[str, int, int]:
    """(table, part, offset) of the newest record whose id starts with `prefix`.

    Raises UsageError when none does (with the nearest id) or several do.
    """
    prefix = prefix.lower().strip()
    if not prefix or len(prefix) > 32 or set(prefix) - set("0123456789abcdef"):
        raise UsageError(f"{prefix!r} is no id", mend="An id is 32 hex digits, or a unique start of them")
    low, high = prefix.ljust(32, "0"), prefix.ljust(32, "f")
    matches: dict[str, tuple[int, str, int, int]] = {}
    nearest: tuple[int, str] | None = None
    for table, part, ids, versions in _ids(run):
        first, second = id_halves(ids)
        inside = _between(first, second, low, high)
        for i in np.flatnonzero(inside).tolist():
            name = bytes(ids[i]).hex()
            matches[name] = max(matches.get(name, (-1, "", 0, 0)), (int(versions[i]), table, part, i))
        if not matches and len(first):
            gaps = np.abs(first.astype(np.float64) - float(int(low[:16], 16)))
            i = int(np.argmin(gaps))
            nearest = min(nearest or (1 << 70, ""), (int(gaps[i]), bytes(ids[i]).hex()))
    if len(matches) == 1:
        _, table, part, offset = next(iter(matches.values()))
        return table, part, offset
    if matches:
        some = ", ".join(sorted(matches)[:5])
        raise UsageError(
            f"{len(matches)} records start with {prefix}", mend=f"Give more digits. They are: {some}"
        )
    near = f"The nearest is {nearest[1]}" if nearest else "The run has no records"
    raise UsageError(f"no record's id starts with {prefix}", str(run.folder), near)


def explain(run: OpenRun, prefix: str) -> dict[str, Any]:
    """The record's story as JSON-ready data that fits `EXPLAIN_SCHEMA`."""
    table, part, offset = find(run, prefix)
    ledger = run.ledger(table, part).slice(offset, 1).to_pylist()[0]
    catalog = run.catalog(table).read(part).slice(offset, 1).to_pylist()[0]
    roots = run.plan(table)["roots"]
    media = [m | {"root": roots.get(catalog["source"], "")} for m in catalog["media"]]
    row = part << 24 | offset
    return {
        "id": ledger["id"].hex(),
        "table": table,
        "source": ledger["source"],
        "key": ledger["key"],
        "version": ledger["version"],
        "status": ledger["status"],
        "step": ledger["step"],
        "reason": ledger["reason"],
        "message": ledger["message"],
        "media": media,
        "columns": list(_columns(run, table, part, offset)),
        "decisions": list(_decisions(run, table, part, row)),
        "duplicates": _duplicates(run, table, ledger),
        "export": _export(run, table, ledger["id"]),
    }


def _ids(run: OpenRun) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    for table in run.tables():
        catalog = run.catalog(table)
        for part in run.parts(table):
            rows = catalog.read(part, ["id", "version"])
            data = b"".join(rows["id"].to_pylist())
            yield table, part, np.frombuffer(data, np.uint8).reshape(-1, 16), rows["version"].to_numpy()


def _between(first: np.ndarray, second: np.ndarray, low: str, high: str) -> np.ndarray:
    la, lb, ha, hb = (np.uint64(int(h, 16)) for h in (low[:16], low[16:], high[:16], high[16:]))
    above = (first > la) | ((first == la) & (second >= lb))
    below = (first < ha) | ((first == ha) & (second <= hb))
    return np.asarray(above & below)


def _columns(run: OpenRun, table: str, part: int, offset: int) -> Iterator[dict[str, Any]]:
    reader = run.reader(table)
    labels = {c: s["label"] for s in run.plan(table)["steps"] for c in s["writes"]}
    names = [*reader.writers, "text", "meta"]
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


def _decisions(run: OpenRun, table: str, part: int, row: int) -> Iterator[dict[str, Any]]:
    for label, folder in run.decisions(table).items():
        path = folder / part_name(part)
        if not path.exists():
            continue
        decided = read_table(path, ["row", "kept", "reason", "column", "value", "bound", "keeper", "also"])
        for found in decided.filter(pc.equal(decided["row"], pa.scalar(row, pa.uint64()))).to_pylist():
            keeper = found["keeper"]
            del found["row"]
            yield {"step": label} | found | {"keeper": keeper.hex() if keeper else None}


def _duplicates(run: OpenRun, table: str, ledger: dict[str, Any]) -> dict[str, Any]:
    """The keeper of a dropped duplicate, and the duplicates that were dropped for this record."""
    dropped = []
    keeper = None
    for part in run.parts(table):
        rows = run.ledger(table, part)
        mine = rows.filter(
            pc.fill_null(pc.equal(rows["keeper"], pa.scalar(ledger["id"], pa.binary(16))), False)
        )
        dropped += [_other(r, _distance(r)) for r in mine.to_pylist()]
        if ledger["keeper"]:
            own = rows.filter(pc.equal(rows["id"], pa.scalar(ledger["keeper"], pa.binary(16))))
            keeper = next((_other(r, _distance(ledger)) for r in own.to_pylist()), keeper)
    return {"keeper": keeper, "dropped": sorted(dropped, key=lambda d: d["id"])}


def _distance(row: dict[str, Any]) -> str:
    """Bits to the keeper; the value of an exact duplicate is its checksum."""
    return str(row["value"]) if row["reason"] == "duplicate_near" else "0"


def _other(row: dict[str, Any], distance: str | None) -> dict[str, Any]:
    return {"id": row["id"].hex(), "key": row["key"], "status": row["status"], "distance": distance}


def _export(run: OpenRun, table: str, record: bytes) -> dict[str, Any] | None:
    folder = run.plan(table).get("export")
    if not folder:
        return None
    for path in sorted((Path(folder) / "index.parquet").glob("*.parquet")):
        columns = ["id", "shard", "ordinal", "offset", "size", "bucket", "members"]
        rows = pq.read_table(path, columns=columns, filters=[("id", "==", record)])
        for row in rows.to_pylist():
            return {k: v for k, v in row.items() if k != "id"} | {"folder": folder}
    return None


def tell(story: dict[str, Any]) -> str:
    """The story as text for a terminal."""
    lines = [f"{story['id']}  {story['table']}: {story['source']} / {story['key']!r}"]
    lines.append(_verdict(story))
    for medium in story["media"]:
        span = "" if medium["offset"] is None else f", bytes {medium['offset']} + {medium['length']}"
        lines.append(f"  {medium['role']}: {medium['root'].rstrip('/')}/{medium['uri']}{span}")
    lines += ["", "Decisions"] + [_decision(d) for d in story["decisions"]]
    both = story["duplicates"]
    if both["keeper"]:
        k = both["keeper"]
        lines += ["", f"Its keeper: {k['id']} {k['key']!r} ({k['status']}), distance {k['distance'] or 0}"]
    if both["dropped"]:
        lines += ["", f"Kept instead of {len(both['dropped'])} duplicates"]
        lines += [f"  {d['id']} {d['key']!r}, distance {d['distance'] or 0}" for d in both["dropped"]]
    if story["export"]:
        e = story["export"]
        lines += ["", f"Exported to {e['folder']}/{e['shard']}, sample {e['ordinal']} at byte {e['offset']}"]
    lines += ["", "Columns"]
    for c in story["columns"]:
        value = str(c["value"])
        shown = value if len(value) <= 60 else value[:57] + "..."
        lines.append(f"  {c['name']:<18} {shown:<24} {c['unit']:<10} {c['backend']} {c['revision']}")
    return "\n".join(lines)


def _verdict(story: dict[str, Any]) -> str:
    if story["status"] == "kept":
        return "kept"
    detail = f" ({story['message']})" if story["message"] else ""
    return f"{story['status']} at {story['step']}: {story['reason']}{detail}"


def _decision(decision: dict[str, Any]) -> str:
    if decision["kept"]:
        return f"  {decision['step']:<20} kept"
    also = [r for r in decision["also"] or [] if r != decision["reason"]]
    more = f"; also {', '.join(also)}" if also else ""
    return (
        f"  {decision['step']:<20} dropped: {decision['reason']}, {decision['column']} = "
        f"{decision['value']}, bound {decision['bound']}{more}"
    )
