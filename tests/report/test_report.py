"""What the page is made of, and how it is written."""

import dataclasses
import os
from typing import Any

import pytest

from thresher.pipelines.report import render_report, write_report
from thresher.pipelines.report.page import TablePage
from thresher.pipelines.report.survey import DUPLICATE_GROUPS, KEPT_SAMPLES, Survey
from thresher.schemas import Column, ThresherError
from thresher.schemas.decisions import split_ordinal


@pytest.mark.parametrize("part_size", [1, 7, 1000])
def test_page_does_not_depend_on_the_parts(view, part_size):
    assert render_report(dataclasses.replace(view, part_size=part_size)) == render_report(view)


def test_page_does_not_depend_on_row_order(view):
    table = view.pools["images"]
    turned = dataclasses.replace(table, rows=table.rows[::-1])
    assert render_report(dataclasses.replace(view, pools={"images": turned})) == render_report(view)


def test_duplicate_groups_count_all_their_members(view):
    survey = Survey(view, "images")
    rows = view.pools["images"].rows
    for reason in ("duplicate_exact", "duplicate_near"):
        keepers = [keeper.tobytes() for keeper in survey.keepers[reason]]
        assert 0 < len(keepers) <= DUPLICATE_GROUPS
        for keeper in keepers:
            members = {r["id"] for r in rows if r.get("reason") == reason and r["keeper"] == keeper}
            assert survey.sizes[reason, keeper] == len(members)
            assert {pick.id for pick in survey.samples.get("member", reason, keeper)} <= members
            part, offset = split_ordinal(survey.places[keeper])
            assert rows[part * view.part_size + offset]["id"] == keeper


def test_neighbours_of_a_bound_are_the_nearest_values(view):
    page = TablePage(view, "images", "t0")
    edge = next(e for e in page.edges if e.bound.reason == "blurry")
    rows = view.pools["images"].rows
    for status, side in (("dropped", edge.dropped), ("kept", edge.kept)):
        known = [r for r in rows if r["status"] == status and (status == "kept" or r["reason"] == "blurry")]
        nearest = sorted(known, key=lambda r: (abs(r["sharpness"] - 40), r["id"]))
        assert [s.id for s in side] == [r["id"].hex() for r in nearest[: len(side)]]


def test_only_decoded_records_are_opened(view, monkeypatch):
    opened: list[str] = []
    opener = view.opener("images")
    read = opener.read
    monkeypatch.setattr(opener, "read", lambda source, m: opened.append(m.uri) or read(source, m))
    monkeypatch.setattr(type(view), "opener", lambda self, table: opener)
    render_report(view)
    assert opened and not [uri for uri in opened if uri.startswith("broken/")]


def test_vanished_file_shows_its_reason(view, tmp_path):
    page = TablePage(dataclasses.replace(view, root=tmp_path), "images", "t0")
    assert len(page.kept_samples) == KEPT_SAMPLES
    assert all("missing_source" in sample.why_not for sample in page.kept_samples)


def test_budget_never_overdrawn_and_every_gallery_served_first(view):
    page = TablePage(view, "images", "t0", 60_000)
    shown = [*page.kept_samples, *(s for g in page.dropped_galleries for s in g.samples)]
    shown += [s for e in page.edges for s in e.dropped + e.kept]
    shown += [s for d in page.duplicates for g in d.groups for s in [g.keeper, *g.members] if s]
    assert 0 < sum(len(s.url) for s in shown) <= 60_000
    assert all(gallery.samples[0].url for gallery in page.dropped_galleries)


def test_hashes_and_free_text_get_no_chart(view):
    page = TablePage(view, "images", "t0")
    assert not {"phash", "key", "id", "media"} & {c.column.name for c in page.judged + page.others}


def test_a_new_column_appears(view):
    table = view.pools["images"]
    plugin = Column("sepia", view.columns("images")["noise"].dtype, "share", "brownness", 0, 1, "plugin", "9")
    rows = [row | {"sepia": 0.5} for row in table.rows]
    grown = dataclasses.replace(table, rows=rows, columns=[*table.columns, plugin])
    page = TablePage(dataclasses.replace(view, pools={"images": grown}), "images", "t0")
    assert [c.known for c in page.others if c.column.name == "sepia"] == [len(rows)]


@pytest.mark.parametrize("status", ["kept", "dropped", "failed", "nothing"])
def test_a_pool_of_one_status_and_a_single_record(view, status):
    table = view.pools["images"]
    rows = [row for row in table.rows if row["status"] == status]
    for some in (rows, rows[:1]):
        alone = dataclasses.replace(table, rows=some)
        page = render_report(dataclasses.replace(view, pools={"images": table, "none <b>": alone}))
        assert "none &lt;b&gt;" in page and 'id="t1-funnel"' in page
        assert ("No record was kept" in page) == (status != "kept")
        assert ('id="t1-failed"' in page) == (status == "failed")


def test_write_replaces_the_page_in_one_step(view, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_report(view, path)
    old = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ThresherError, match="disk full"):
        write_report(dataclasses.replace(view, name="other"), path)
    assert path.read_bytes() == old and os.listdir(tmp_path) == ["report.html"]


def test_ledger_that_does_not_fit_is_refused(view, monkeypatch):
    values = type(view).values
    monkeypatch.setattr(type(view), "values", lambda self, *a: values(self, *a).slice(1))
    with pytest.raises(ThresherError, match="part 0: the ledger has 40 rows and the columns have 39"):
        render_report(view)
