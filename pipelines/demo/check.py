"""Planted against found: compares a run's ledger with the truth file of a demo pool."""

from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from thresher.pipelines.demo import truth as t
from thresher.pipelines.demo.truth import Truth, read_truth

DUPLICATE = "duplicate_"
COLUMNS = ("id", "version", "source", "key", "status", "reason", "keeper", "also")

ALLOWED_NEAR_MISSES = 1
"""Of all re-encodes and resizes together."""

NEAR = (t.REENCODE, t.RESIZE)
REQUIRED = (
    t.EXACT_COPY,
    t.PIXEL_COPY,
    t.BLACK,
    t.BLURRED,
    t.TINY,
    t.LETTERBOXED,
    t.COLLAGE,
    t.BROKEN,
    t.ODD,
    t.UNLISTED,
)
"""Every one of these must be found. Mild crops, brightness and watermarks are only counted."""

OUTCOMES = {
    t.PHOTO: "kept, or a copy of it",
    t.FLIP: "kept",
    t.ODD: "kept",
    t.MEMBER: "kept",
    t.BROKEN: "reason named",
    t.UNLISTED: "left out",
}
"""What `found` means; for all other kinds: dropped."""


@dataclass
class KindCount:
    """One line of the table."""

    kind: str
    planted: int = 0
    found: int = 0
    missed: list[str] = field(default_factory=list)
    """`source:key: what happened instead`."""


@dataclass(frozen=True)
class Comparison:
    """Planted against found for one run over one demo pool."""

    kinds: list[KindCount]
    wrong_duplicates: list[str]
    """Photographs, flips or anything else, dropped as a duplicate of a picture that is not theirs."""

    @property
    def problems(self) -> list[str]:
        """Why the run did not find what it must; empty when all is well."""
        near = [f"{k.kind}: {m}" for k in self.kinds if k.kind in NEAR for m in k.missed]
        problems = near if len(near) > ALLOWED_NEAR_MISSES else []
        problems += [f"{k.kind}: {m}" for k in self.kinds if k.kind in REQUIRED for m in k.missed]
        return problems + [f"wrongly a duplicate: {name}" for name in self.wrong_duplicates]

    @property
    def ok(self) -> bool:
        """Whether every planted exact copy, re-encode, resize, broken and unwanted file was found (one
        near miss allowed) and nothing distinct was dropped as a duplicate."""
        return not self.problems

    def __str__(self) -> str:
        lines = [f"{'planted':<20}{'number':>8}{'found':>8}{'rate':>8}  found means"]
        for k in self.kinds:
            rate = f"{k.found / k.planted:.0%}"
            meaning = OUTCOMES.get(k.kind, "dropped")
            lines.append(f"{k.kind:<20}{k.planted:>8}{k.found:>8}{rate:>8}  {meaning}")
            lines += [f"    missed: {_printable(m)}" for m in k.missed]
        lines.append(f"distinct pictures or flips dropped as duplicates: {len(self.wrong_duplicates)}")
        lines += [f"    {_printable(name)}" for name in self.wrong_duplicates]
        return "\n".join(lines)


def compare(truth_path: Path, ledger: pa.Table) -> Comparison:
    """Compare the truth file of a demo pool with a run's ledger.

    `ledger`: rows as `schemas.decisions.LEDGER`, all parts together. Records are matched by id, so
    the recipe must name the sources `images` and `shards`. Of several versions the newest counts.
    Raises UsageError when there is no truth file.
    """
    entries = read_truth(truth_path)
    rows = _newest(ledger)
    families: dict[str, list[Truth]] = defaultdict(list)
    for entry in entries:
        families[entry.family].append(entry)
    kinds = {entry.kind: KindCount(entry.kind) for entry in entries}
    wrong = []
    for family in families.values():
        ids = {member.id for member in family}
        spared = _survivor(family, rows)
        for entry in family:
            row = rows.get(entry.id)
            if row and str(row["reason"]).startswith(DUPLICATE) and row["keeper"] not in ids:
                wrong.append(_address(entry))
            fault = _fault(entry, rows, ids, spared)
            kinds[entry.kind].planted += 1
            if fault:
                kinds[entry.kind].missed.append(f"{_address(entry)}: {fault}")
            else:
                kinds[entry.kind].found += 1
    return Comparison(list(kinds.values()), wrong)


Rows = dict[bytes, dict[str, Any]]


def _newest(ledger: pa.Table) -> Rows:
    ordered = ledger.select([*COLUMNS]).sort_by("version")
    return {row["id"]: row for row in ordered.to_pylist()}


def _survivor(family: list[Truth], rows: Rows) -> Truth | None:
    """The first member that no other member replaced; every family may keep one."""
    ids = {member.id for member in family}
    for member in family:
        row = rows.get(member.id)
        if row and row["status"] != "failed" and not _replaced(row, ids, _duplicate_reasons(family)):
            return member
    return None


def _duplicate_reasons(family: list[Truth]) -> set[str]:
    return {reason for member in family for reason in member.reasons}


def _replaced(row: dict[str, Any], ids: set[bytes], reasons: Container[str]) -> bool:
    """Dropped as a duplicate, for an expected reason, of a member of its own family."""
    return row["reason"] in reasons and row["keeper"] in ids


def _fault(entry: Truth, rows: Rows, ids: set[bytes], spared: Truth | None) -> str | None:
    """What happened instead of what should have, or None when all is as planted."""
    row = rows.get(entry.id)
    if entry.status == "absent":
        return _fault_of_absent(entry, rows)
    if entry.reasons == ("truncated_container",):
        row = row or _container(entry, rows)
    if row is None:
        return "no record"
    happened = _happened(row)
    if entry.group:
        return None if entry is spared or _replaced(row, ids, entry.reasons) else happened
    if entry.status == "kept":
        copied = len(ids) > 1 and row["keeper"] in ids
        return None if row["status"] == "kept" or copied else happened
    named = {row["reason"], *(row["also"] or ())}
    return None if row["status"] == entry.status and named & set(entry.reasons) else happened


def _fault_of_absent(entry: Truth, rows: Rows) -> str | None:
    for row in rows.values():
        key = str(row["key"])
        inside = key == entry.key or key.startswith(entry.key + "/")
        if row["source"] == entry.source and inside:
            refused = row["status"] == "failed" and row["reason"] in entry.reasons
            if not refused:
                return _happened(row)
    return None


def _container(entry: Truth, rows: Rows) -> dict[str, Any] | None:
    """The row of a broken archive: its key is the archive's, or one inside it."""
    for row in rows.values():
        inside = row["source"] == entry.source and str(row["key"]).startswith(entry.key)
        if inside and row["reason"] in entry.reasons:
            return row
    return None


def _happened(row: dict[str, Any]) -> str:
    return f"{row['status']} as {row['reason']}" if row["reason"] else str(row["status"])


def _address(entry: Truth) -> str:
    return f"{entry.source}:{entry.key}"


def _printable(text: str) -> str:
    """Without control characters, which a terminal would obey; long names cut."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown if len(shown) <= 120 else f"{shown[:60]}...{shown[-57:]}"
