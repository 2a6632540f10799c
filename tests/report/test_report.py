"""What the page is made of, and how it is written."""

import dataclasses
import os
from typing import Any

import pytest

from thresher.pipelines.report import render_report, write_report
from thresher.pipelines.report.data import collect
from thresher.pipelines.report.page import Picture
from thresher.pipelines.report.survey import DUPLICATE_GROUPS, KEPT_SAMPLES, Survey
from thresher.pipelines.report.thumbnails import Budget
from thresher.schemas import Column, ThresherError


@pytest.mark.parametrize("part_size", [1, 7, 1000])
def test_page_does_not_depend_on_the_parts(pool, part_size):
    assert render_report(dataclasses.replace(pool, part_size=part_size)) == render_report(pool)


def test_page_does_not_depend_on_row_order(pool):
    table = pool.pools["images"]
    turned = dataclasses.replace(table, rows=table.rows[::-1])
    assert render_report(dataclasses.replace(pool, pools={"images": turned})) == render_report(pool)


def test_duplicate_groups_count_all_their_members(pool):
    survey = Survey(pool, "images")
    rows = pool.pools["images"].rows
    for reason in ("duplicate_exact", "duplicate_near"):
        groups = survey.duplicates.groups(reason)
        assert 0 < len(groups) <= DUPLICATE_GROUPS
        for group in groups:
            dropped = [r for r in rows if r.get("reason") == reason and r["keeper"] == group.keeper]
            assert group.size == len(dropped)
            assert rows[group.keeper_row % (1 << 24) + pool.part_size * (group.keeper_row >> 24)]["id"] == (
                group.keeper
            )


def test_neighbours_of_a_bound_are_the_nearest_values(pool):
    page = collect(pool, "images", "t0", Budget())
    edge = next(e for e in page.edges if e.bound.reason == "blurry")
    rows = pool.pools["images"].rows
    for status, side in (("dropped", edge.dropped), ("kept", edge.kept)):
        known = [r for r in rows if r["status"] == status and (status == "kept" or r["reason"] == "blurry")]
        nearest = sorted(known, key=lambda r: (abs(r["sharpness"] - 40), r["id"]))
        assert [s.id for s in side] == [r["id"].hex() for r in nearest[: len(side)]]


def test_only_decoded_records_are_opened(pool, monkeypatch):
    opened: list[str] = []
    opener = pool.opener("images")
    read = opener.read
    monkeypatch.setattr(opener, "read", lambda source, m: opened.append(m.uri) or read(source, m))
    monkeypatch.setattr(type(pool), "opener", lambda self, table: opener)
    render_report(pool)
    assert opened and not [uri for uri in opened if uri.startswith("broken/")]


def test_vanished_file_shows_its_reason(pool, tmp_path):
    page = collect(dataclasses.replace(pool, root=tmp_path), "images", "t0", Budget())
    assert len(page.kept_samples) == KEPT_SAMPLES
    assert all("missing_source" in sample.picture.why_not for sample in page.kept_samples)


def test_budget_never_overdrawn_and_every_gallery_served_first(pool):
    page = collect(pool, "images", "t0", Budget(60_000))
    shown = [*page.kept_samples, *(s for g in page.dropped_galleries for s in g.samples)]
    shown += [s for e in page.edges for s in e.dropped + e.kept]
    shown += [s for d in page.duplicates for g in d.groups for s in [g.keeper, *g.members] if s]
    assert 0 < sum(len(s.picture.url) for s in shown) <= 60_000
    assert all(gallery.samples[0].picture.url for gallery in page.dropped_galleries)


def test_budget_stops_for_good():
    budget = Budget(10)
    assert budget.take(Picture("12345")).url == "12345"
    assert not budget.take(Picture("1234567")).url
    assert not budget.take(Picture("1")).url


def test_hashes_and_free_text_get_no_chart(pool):
    page = collect(pool, "images", "t0", Budget())
    assert not {"phash", "key", "id", "media"} & {c.column.name for c in page.judged + page.others}


def test_a_new_column_appears(pool):
    table = pool.pools["images"]
    plugin = Column("sepia", pool.columns("images")["noise"].dtype, "share", "brownness", 0, 1, "plugin", "9")
    rows = [row | {"sepia": 0.5} for row in table.rows]
    grown = dataclasses.replace(table, rows=rows, columns=[*table.columns, plugin])
    page = collect(dataclasses.replace(pool, pools={"images": grown}), "images", "t0", Budget())
    assert [c.known for c in page.others if c.column.name == "sepia"] == [len(rows)]


def test_empty_and_several_tables(pool):
    table = pool.pools["images"]
    empty = dataclasses.replace(table, rows=[])
    page = render_report(dataclasses.replace(pool, pools={"images": table, "none <b>": empty}))
    assert "none &lt;b&gt;" in page and 'id="t1-funnel"' in page and "No record was kept" in page


def test_write_replaces_the_page_in_one_step(pool, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_report(pool, path)
    old = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(dataclasses.replace(pool, name="other"), path)
    assert path.read_bytes() == old and os.listdir(tmp_path) == ["report.html"]


def test_ledger_that_does_not_fit_is_refused(pool, monkeypatch):
    values = type(pool).values
    monkeypatch.setattr(type(pool), "values", lambda self, *a: values(self, *a).slice(1))
    with pytest.raises(ThresherError, match="part 0: the ledger has 40 rows and the columns have 39"):
        render_report(pool)
