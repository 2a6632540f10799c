"""Quotas: exactly min(n, group), the best first, and no other group touched by growth."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from thresher.operators.base import Context
from thresher.operators.select import Select, SelectParams, quota

Build = Callable[..., Any]
MakeContext = Callable[[], Context]


def skewed(rng: np.random.Generator, rows: int) -> list[str]:
    """1,000 sources, from one row to a tenth of all."""
    share = 1 / np.arange(1, 1001)
    chosen = rng.choice(1000, rows - 1000, p=share / share.sum())
    return [f"source-{i}" for i in (*range(1000), *chosen)]


def decide(table: Any, context: Context, *at_most: dict[str, Any]) -> dict[bytes, dict[str, Any]]:
    operator = Select(SelectParams(at_most=list(at_most)))
    operator.check(table.columns)
    found = {}
    for part, decisions in operator.decide(table, context):
        ids = table.read(part, ["id"])["id"].to_pylist()
        found.update(zip(ids, decisions.drop_columns("row").to_pylist(), strict=True))
    return found


@pytest.mark.acceptance("DA27")
@pytest.mark.parametrize("partitions", [1, 8])
def test_ten_for_each_of_a_thousand_sources(
    partitions: int,
    table_of: Build,
    context: MakeContext,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if partitions > 1:
        monkeypatch.setattr(quota, "ROWS_A_PARTITION", 20_000 // partitions)
    source = skewed(rng, 20_000)
    score = pa.array(np.round(rng.normal(size=20_000), 2), pa.float32(), mask=rng.random(20_000) < 0.1)
    table = table_of(700, source=source, score=score)
    found = decide(table, context(), {"per": "source", "n": 10, "by": "-score"})

    groups: dict[str, list[Any]] = {}
    for row in table.rows.to_pylist():
        groups.setdefault(row["source"], []).append((row["score"] is None, -(row["score"] or 0), row["id"]))
    assert len(groups) == 1000
    for rows in groups.values():
        for rank, (_, _, key) in enumerate(sorted(rows), 1):
            decision = found[key]
            assert decision["kept"] == (rank <= 10)
            if rank > 10:
                assert decision == {
                    "kept": False,
                    "reason": "quota",
                    "column": "source",
                    "value": str(rank),
                    "bound": "10",
                    "keeper": None,
                    "also": ["quota"],
                }


@pytest.mark.acceptance("DA27")
def test_growth_touches_only_the_sources_that_grew(
    table_of: Build, context: MakeContext, rng: np.random.Generator
) -> None:
    source, score = skewed(rng, 20_000), rng.normal(size=20_000).astype(np.float32)
    grown = [f"source-{i}" for i in (3, 3, 500, 999)] * 20
    before = table_of(700, source=source, score=score)
    after = table_of(700, source=source + grown, score=np.r_[score, np.full(80, 9, np.float32)])
    rule = {"per": "source", "n": 10, "by": "-score"}
    old, new = decide(before, context(), rule), decide(after, context(), rule)
    changed = {
        name for key, name in zip(before.rows["id"].to_pylist(), source, strict=True) if old[key] != new[key]
    }
    assert changed == {"source-3", "source-500", "source-999"}


def test_quotas_apply_in_order_and_a_null_belongs_to_no_group(table_of: Build, context: MakeContext) -> None:
    table = table_of(
        2,
        source=["a", "a", "a", "b", None, None, None],
        kind=["x", "y", "y", "y", "y", "x", "x"],
        score=pa.array([1, 2, 3, 4, 5, 6, 7], pa.int64()),
    )
    found = decide(
        table,
        context(),
        {"per": "source", "n": 2, "by": "score"},
        {"per": "kind", "n": 2, "by": "-score"},
    )
    by_score = [found[key] for key in table.rows["id"].to_pylist()]
    assert [row["column"] if not row["kept"] else "" for row in by_score] == [
        "kind",
        "kind",
        "source",
        "",
        "",
        "",
        "",
    ]
    assert [row["value"] for row in by_score[:3]] == ["3", "3", "3"]
    assert Counter(row["kept"] for row in by_score) == {True: 4, False: 3}


def test_without_an_order_the_pick_is_by_id(table_of: Build, context: MakeContext) -> None:
    table = table_of(3, source=["a"] * 20)
    found = decide(table, context(), {"per": "source", "n": 4})
    assert sorted(key for key, row in found.items() if row["kept"]) == sorted(found)[:4]
