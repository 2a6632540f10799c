"""Planted against found, with ledgers made by hand."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.pipelines.demo import Comparison, Truth, compare, read_truth
from thresher.schemas.decisions import LEDGER
from thresher.schemas.ids import record_id

Rows = dict[bytes, dict[str, Any]]

MUST_BE_FOUND = (
    "exact copy",
    "equal pixels",
    "near-black",
    "blurred",
    "tiny",
    "letterboxed",
    "collage",
    "broken file",
    "odd but good file",
)


def row(entry: Truth, status: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
    empty = dict.fromkeys(LEDGER.names)
    named = {"id": entry.id, "version": 0, "source": entry.source, "key": entry.key}
    return {**empty, **named, "status": status, "reason": reason, **more}


def perfect(entries: list[Truth], survivor: int = 0) -> Rows:
    """What a run without fault writes; `survivor` picks the member of each family that stays."""
    families: dict[str, list[Truth]] = defaultdict(list)
    for entry in entries:
        families[entry.family].append(entry)
    rows: Rows = {}
    for family in families.values():
        if len(family) > 1:
            stays = family[survivor % len(family)]
            reason = next(m.reasons[0] for m in family if m.reasons)
            for member in family:
                gone = row(member, "dropped", reason, keeper=stays.id)
                rows[member.id] = row(member, "kept") if member is stays else gone
        elif family[0].status != "absent":
            only = family[0]
            rows[only.id] = row(only, only.status, only.reasons[0] if only.reasons else None)
    return rows


@pytest.fixture(scope="module")
def truth(pool: Path) -> Path:
    return pool / "truth.json"


@pytest.fixture(scope="module")
def entries(truth: Path) -> list[Truth]:
    return read_truth(truth)


def compared(truth: Path, rows: Rows) -> Comparison:
    return compare(truth, pa.Table.from_pylist(list(rows.values()), LEDGER))


def of_kind(entries: list[Truth], kind: str) -> list[Truth]:
    return [entry for entry in entries if entry.kind == kind]


@pytest.mark.parametrize("survivor", [0, 1, 2])
def test_a_perfect_run_is_ok_whoever_survives(truth: Path, entries: list[Truth], survivor: int) -> None:
    result = compared(truth, perfect(entries, survivor))
    assert result.ok, result
    assert all(k.found == k.planted for k in result.kinds)
    assert sum(k.planted for k in result.kinds) == len(entries)


def test_an_empty_ledger_is_not_ok(truth: Path) -> None:
    assert not compared(truth, {}).ok


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_planted_thing_missed_is_not_ok(truth: Path, entries: list[Truth], data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(MUST_BE_FOUND))
    missed = data.draw(st.sampled_from(of_kind(entries, kind)))
    rows = perfect(entries)
    wrong = row(missed, "failed", "killed_worker") if missed.status == "kept" else row(missed, "kept")
    result = compared(truth, {**rows, missed.id: wrong})
    assert not result.ok
    assert [f"{missed.source}:{missed.key}" in problem for problem in result.problems] == [True]


@pytest.mark.parametrize(("misses", "ok"), [(1, True), (2, False)])
def test_one_near_miss_is_allowed(truth: Path, entries: list[Truth], misses: int, ok: bool) -> None:
    near = [of_kind(entries, "re-encode")[0], of_kind(entries, "resize")[0]][:misses]
    rows = perfect(entries) | {entry.id: row(entry, "kept") for entry in near}
    result = compared(truth, rows)
    assert result.ok == ok
    assert sum(len(k.missed) for k in result.kinds) == misses


def test_mild_changes_are_counted_not_required(truth: Path, entries: list[Truth]) -> None:
    kinds = ("mild crop", "brightness", "watermark")
    free = [entry for kind in kinds for entry in of_kind(entries, kind)]
    result = compared(truth, perfect(entries) | {entry.id: row(entry, "kept") for entry in free})
    assert result.ok
    assert [k.found for k in result.kinds if k.kind in kinds] == [0, 0, 0]


@pytest.mark.parametrize("kind", ["photo", "flip", "shard member", "odd but good file"])
def test_nothing_distinct_may_be_dropped_as_a_duplicate(truth: Path, entries: list[Truth], kind: str) -> None:
    single, keeper = of_kind(entries, kind)[-1], of_kind(entries, "photo")[0]
    for reason in ("duplicate_exact", "duplicate_near", "duplicate_semantic"):
        gone = row(single, "dropped", reason, keeper=keeper.id)
        result = compared(truth, perfect(entries) | {single.id: gone})
        assert not result.ok and result.wrong_duplicates == [f"{single.source}:{single.key}"]


def test_a_copy_of_the_wrong_picture_is_not_found(truth: Path, entries: list[Truth]) -> None:
    copy = of_kind(entries, "exact copy")[0]
    stranger = next(e for e in of_kind(entries, "photo") if e.family != copy.family)
    gone = row(copy, "dropped", "duplicate_exact", keeper=stranger.id)
    result = compared(truth, perfect(entries) | {copy.id: gone})
    assert len(result.wrong_duplicates) == 1 and not result.ok


def test_a_photo_dropped_by_a_bound_is_shown_but_no_duplicate(truth: Path, entries: list[Truth]) -> None:
    photo = next(e for e in of_kind(entries, "photo") if not any(m.group == e.family for m in entries))
    result = compared(truth, perfect(entries) | {photo.id: row(photo, "dropped", "blurry")})
    assert result.ok and f"images:{photo.key}: dropped as blurry" in str(result)


def test_every_reason_that_held_counts(truth: Path, entries: list[Truth]) -> None:
    black = of_kind(entries, "near-black")[0]
    gone = row(black, "dropped", "blurry", also=["blurry", "black"])
    assert compared(truth, perfect(entries) | {black.id: gone}).ok


def test_what_must_not_enter_is_noticed(truth: Path, entries: list[Truth]) -> None:
    inside = Truth("images", "broken/loop/cmyk.jpg", "", "kept")
    result = compared(truth, perfect(entries) | {inside.id: row(inside, "kept")})
    assert result.problems == ["not an entry: images:broken/loop: kept"]
    hidden = next(e for e in entries if e.key.endswith(".hidden.jpg"))
    assert not compared(truth, perfect(entries) | {hidden.id: row(hidden, "kept")}).ok


def test_a_broken_archive_may_be_named_by_offset(truth: Path, entries: list[Truth]) -> None:
    rows = perfect(entries)
    archive = next(e for e in entries if e.reasons == ("truncated_container",))
    found = rows.pop(archive.id)
    key = f"{archive.key}#4096"
    rows[b""] = {**found, "id": record_id(archive.source, key.encode()), "key": key}
    assert compared(truth, rows).ok


def test_the_newest_version_counts(truth: Path, entries: list[Truth]) -> None:
    copy = of_kind(entries, "exact copy")[0]
    rows = perfect(entries)
    rows[copy.id]["version"] = 1
    old = row(copy, "dropped", "superseded", version=0)
    assert compared(truth, {b"old": old, **rows}).ok
    assert compared(truth, {**rows, b"old": old}).ok


def test_the_table_is_safe_to_print(truth: Path) -> None:
    text = str(compared(truth, {}))
    assert "re-encode" in text and "distinct pictures or flips dropped as duplicates: 0" in text
    assert all(char.isprintable() or char == "\n" for char in text)
    assert max(map(len, text.splitlines())) <= 140
