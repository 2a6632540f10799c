"""Rows of a plan: full, lossless, the same from anywhere."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.simulated import EDIT, HOW, LARGE, SMALL, T2I, WORDS, Simulated
from thresher.loader.plan.balance import balanced
from thresher.loader.plan.plan import Plan, Stage
from thresher.schemas import ThresherError

STAGE = Stage("one", 0, 16_384, 32, HOW)
SHARES = [0.6, 0.2, 0.2]


def mixed(n=100_000):
    return [Simulated("t2i", T2I, n), Simulated("edit", EDIT, n // 3), Simulated("text", WORDS, n)]


def tokens(plan, row):
    return sum(int(plan.realised(s.source, s.sample, s.slot).tokens.sum()) for s in row)


@pytest.mark.acceptance("T9")
@pytest.mark.parametrize(
    "sources, shares, how", [([Simulated("t2i", T2I, 10**6)], [1], SMALL), (mixed(), SHARES, HOW)]
)
def test_rows_are_full_and_lose_no_sample(sources, shares, how):
    plan = Plan(sources, shares, replace(STAGE, how=how))
    filled = rows = 0
    for w in range(4):
        window = plan.window(w)
        assert sorted(i for row in window.rows for i in row) == list(range(STAGE.window))
        sums = [int(window.lengths[row].sum()) for row in window.rows]
        assert max(sums) <= STAGE.row
        filled, rows = filled + sum(sums), rows + len(sums)
    assert filled / rows / STAGE.row >= 0.99


def test_a_row_is_as_long_as_planned_and_the_same_from_anywhere():
    plan, other = (Plan(mixed(), SHARES, STAGE) for _ in range(2))
    steps = [plan.step(t) for t in range(12)]
    assert other.step(11) == steps[11]
    for row in steps[3]:
        assert 0.8 * STAGE.row < tokens(plan, row) <= STAGE.row
    slots = Counter(slot.slot for step in steps for row in step for slot in row)
    assert max(slots.values()) == 1


@pytest.mark.acceptance("T6")
def test_a_late_step_is_found_without_those_before_it(tmp_path):
    plan = Plan(mixed(), SHARES, STAGE)
    plan.remember(tmp_path)
    steps = [plan.step(t) for t in range(40)]
    again = Plan(mixed(), SHARES, STAGE)
    again.remember(tmp_path)
    assert again.step(39) == steps[39]
    assert again.window.cache_info().misses <= 2
    torn = next(tmp_path.iterdir())
    torn.write_bytes(torn.read_bytes()[:21] + bytes(11))
    mended = Plan(mixed(), SHARES, STAGE)
    mended.remember(tmp_path)
    assert mended.step(39) == steps[39]


@pytest.mark.acceptance("T4")
def test_the_share_of_tokens_is_the_one_that_was_asked_for():
    plan = Plan(mixed(), SHARES, STAGE)
    got = np.zeros(3)
    for w in range(25):
        window = plan.window(w)
        got += np.bincount(window.source, window.lengths, minlength=3)
    assert np.abs(got / got.sum() - SHARES).max() < 0.005


@pytest.mark.acceptance("T27")
@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"row": 8_192},
        {"window": 2_048},
        {"how": replace(HOW, drop_text=0.2)},
        {"how": replace(HOW, variants={"text": 2.0})},
    ],
)
def test_any_change_changes_the_hash(change):
    plan = Plan(mixed(), SHARES, STAGE)
    assert plan.hash == Plan(mixed(), SHARES, STAGE).hash
    assert plan.hash != Plan(mixed(), SHARES, replace(STAGE, **change)).hash
    assert plan.hash != Plan(mixed(), [0.5, 0.3, 0.2], STAGE).hash


@pytest.mark.acceptance("T26")
def test_where_agrees_with_a_scan_of_the_whole_plan():
    sources = mixed(600)
    stage = replace(STAGE, rows=4, window=512, block=256)
    plan = Plan(sources, SHARES, stage)
    scanned: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for step in range(60):
        for r, row in enumerate(plan.step(step)):
            for place, slot in enumerate(row):
                scanned.setdefault((slot.source, slot.sample), []).append((step, r, place))
    again = Plan(sources, SHARES, stage)
    for source, sample in [(0, 0), (0, 599), (1, 7), (1, 199), (2, 300)]:
        found = [tuple(at) for _, *at in again.where(source, sample, 6) if at[0] < 60]
        assert sorted(found) == scanned[source, sample]


@pytest.mark.acceptance("T26")
def test_every_step_that_reads_a_sample_of_a_small_source_is_told():
    sources = [Simulated("t2i", T2I, 119), Simulated("text", WORDS, 40)]
    plan = Plan(sources, [0.7, 0.3], replace(STAGE, rows=2, window=256))
    read = {(s.source, s.sample, t) for t in range(30) for row in plan.step(t) for s in row}
    for source, sample in ((0, 5), (0, 118), (1, 7)):
        told = {step for _, step, *_ in plan.where(source, sample, plan.epochs(30)) if step < 30}
        assert told == {t for s, i, t in read if (s, i) == (source, sample)}


@pytest.mark.acceptance("T24")
def test_a_sample_longer_than_a_row_stops_the_plan_or_does_what_the_policy_says():
    sources = [Simulated("edit", EDIT, 3_000)]
    stage = replace(STAGE, row=8_192, how=LARGE)
    with pytest.raises(ThresherError, match=r"longer than a row of 8192 tokens.*edit 0{28}"):
        Plan(sources, [1], stage).step(0)
    totals = {}
    for policy in ("drop", "cut_at_segment", "next_bucket"):
        plan = Plan(sources, [1], replace(stage, how=replace(LARGE, long=policy)))
        window = plan.window(0)
        assert window.lengths.max() <= 8_192
        totals[policy] = (window.lengths > 0).sum()
    assert totals["next_bucket"] == stage.window > totals["drop"]


@pytest.mark.acceptance("T16")
def test_what_a_slot_becomes_does_not_change_with_rows_or_windows():
    plan, other = (
        Plan(mixed(), SHARES, replace(STAGE, window=w, rows=r)) for w, r in ((4_096, 32), (512, 7))
    )
    for row in plan.step(2):
        for source, sample, slot in ((s.source, s.sample, s.slot) for s in row):
            one, two = plan.realised(source, sample, slot), other.realised(source, sample, slot)
            assert all(np.array_equal(a, b) for a, b in zip(one[1:], two[1:], strict=True))


def test_ranks_get_equal_numbers_of_rows_and_nearly_equal_costs():
    plan = Plan(mixed(), SHARES, replace(STAGE, rows=32))
    costs = plan.costs(0, 1.0, 1e-4)
    for ranks in (1, 3, 8, 32, 40):
        parts = balanced(costs, ranks)
        assert sorted(i for part in parts for i in part) == list(range(32))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    imbalance = []
    for t in range(20):
        costs = plan.costs(t, 1.0, 1e-4)
        sums = [sum(costs[i] for i in part) for part in balanced(costs, 8)]
        imbalance.append(max(sums) / (sum(sums) / 8))
    assert np.mean(imbalance) <= 1.05
