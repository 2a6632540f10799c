"""The select step on live tables: reasons, values, bounds, counts, and what must not matter."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.operators import registry
from thresher.operators.base import Context, Operator
from thresher.schemas import Column, FieldError
from thresher.schemas.decisions import DECISION

Build = Callable[..., Any]
MakeContext = Callable[[], Context]

COLUMNS = [
    Column("short_side", pa.int32(), "px", "", 1),
    Column("sharpness", pa.float32(), "levels^2", "", 0),
    Column("text_area", pa.float32(), "share", "", 0, 1),
    Column("source", pa.string(), "", ""),
    Column("near_flags", pa.list_(pa.string()), "words", "", values=("mirror", "low_info")),
]


def select(**params: Any) -> Operator:
    cls = registry.get("select")
    return cls(cls.params_model(**params))


def decide(operator: Any, table: Any, context: Context) -> pa.Table:
    """All decisions, with the id of each row instead of its place."""
    pieces = []
    for part, decisions in operator.decide(table, context):
        assert decisions.schema.equals(DECISION)
        rows = table.read(part, ["id"])
        assert decisions["row"].equals(rows["row"])
        pieces.append(decisions.drop_columns("row").add_column(0, "id", rows["id"]))
    return pa.concat_tables(pieces).sort_by("id")


def a_pool(n: int, rng: np.random.Generator) -> dict[str, Any]:
    return {
        "short_side": pa.array(rng.integers(300, 900, n), pa.int32()),
        "sharpness": pa.array(rng.gamma(2, 50, n), pa.float32(), mask=rng.random(n) < 0.05),
        "text_area": pa.array(rng.random(n), pa.float32(), mask=rng.random(n) < 0.1),
        "source": pa.array(rng.choice(["web", "scan", "tiny"], n, p=[0.8, 0.19, 0.01])),
    }


@pytest.mark.acceptance("I1")
def test_a_short_side_of_511_drops_and_512_stays(table_of: Build, context: MakeContext) -> None:
    table = table_of(
        2, COLUMNS, id=[b"%016d" % i for i in range(3)], short_side=pa.array([511, 512, 513], pa.int32())
    )
    operator = select(drop={"too_small": "short_side < 512px"})
    operator.check(table.columns)
    low, *rest = decide(operator, table, context()).to_pylist()
    assert low | {"id": None} == {
        "id": None,
        "kept": False,
        "reason": "too_small",
        "column": "short_side",
        "value": "511",
        "bound": "< 512",
        "keeper": None,
        "also": ["too_small"],
    }
    assert [row["kept"] for row in rest] == [True, True]
    assert all(row["reason"] is row["value"] is row["bound"] is None for row in rest)


@pytest.fixture
def one_row(table_of: Build, context: MakeContext) -> Callable[..., dict[str, Any]]:
    """The decision on one record with the given columns."""

    def decided(params: dict[str, Any], **columns: Any) -> dict[str, Any]:
        types = {c.name: c.dtype for c in COLUMNS}
        table = table_of(1, COLUMNS, **{k: pa.array([v], types.get(k)) for k, v in columns.items()})
        (row,) = decide(select(**params), table, context()).to_pylist()
        return {k: row[k] for k in ("kept", "reason", "column", "value", "bound", "also")}

    return decided


def test_the_first_reason_names_the_drop_and_all_are_kept(one_row: Callable[..., dict[str, Any]]) -> None:
    drop = {"blurry": "sharpness < 40", "too_small": "short_side < 512px", "noisy": "sharpness > 900"}
    row = one_row({"drop": drop}, short_side=300, sharpness=0.7)
    assert (row["reason"], row["value"], row["bound"]) == ("blurry", "0.7", "< 40")
    assert row["also"] == ["blurry", "too_small"]


@pytest.mark.parametrize(
    ("predicate", "column", "value", "bound"),
    [
        ("512px > short_side", "short_side", "300", "< 512"),
        ("short_side < 0.5 * 1023", "short_side", "300", "< 511.5"),
        ("text_area > 30%", "text_area", "0.4", "> 0.3"),
        ("sharpness > 1000 or text_area > 0.3", "text_area", "0.4", "> 0.3"),
        ("sharpness < 40 and text_area > 30%", "sharpness", "0.7", "sharpness < 40 and text_area > 30%"),
        ("short_side between 1 and 400", "short_side", "300", "between 1 and 400"),
        ("short_side not between 1 and 40", "short_side", "300", "not between 1 and 40"),
        ("source in ('web', 'x')", "source", "web", "in ('web', 'x')"),
        ("source like 'w%'", "source", "web", "like 'w%'"),
        ("source == 'web'", "source", "web", "== 'web'"),
        ("source is not null", "source", "web", "is not null"),
        ("short_side / 2 < 200", "short_side", "300", "short_side / 2 < 200"),
        ("sharpness <= quantile(sharpness, 1%)", "sharpness", "0.7", "<= 0.7"),
        ("sharpness <= quantile(sharpness, 1%, by=source)", "sharpness", "0.7", "<= 0.7"),
        ("sharpness + 1 > quantile(sharpness, 0.5)", "sharpness", "0.7", "sharpness + 1 > 0.7"),
        ("short_side  in\n(1,  300)", "short_side", "300", "in (1, 300)"),
        ("not (source in ('a'))", "source", "web", "not (source in ('a'))"),
        ("'mirror' in near_flags", "near_flags", "low_info mirror", "'mirror' in near_flags"),
        ("near_flags is not null", "near_flags", "low_info mirror", "is not null"),
    ],
)
def test_column_value_and_bound(
    one_row: Callable[..., dict[str, Any]], predicate: str, column: str, value: str, bound: str
) -> None:
    row = one_row(
        {"drop": {"custom.x": predicate}},
        short_side=300,
        sharpness=0.7,
        text_area=0.4,
        source="web",
        near_flags=["low_info", "mirror"],
    )
    assert (row["column"], row["value"], row["bound"]) == (column, value, bound)


def test_keep_anyway_overrides_drops_but_no_quota(table_of: Build, context: MakeContext) -> None:
    sharpness = pa.array([10, 20, 30, 500], pa.float32())
    table = table_of(3, COLUMNS, sharpness=sharpness, source=["a", "a", "a", "a"])
    params = {"drop": {"blurry": "sharpness < 40"}, "keep_anyway": "sharpness between 20 and 30"}
    used = context()
    rows = decide(select(**params), table, used).to_pylist()
    assert sum(row["kept"] for row in rows) == 3
    assert sorted(row["also"] for row in rows) == [[], ["blurry"], ["blurry"], ["blurry"]]
    assert used.facts["kept_anyway"] == 2
    capped = decide(select(**params, at_most={"per": "source", "n": 1, "by": "sharpness"}), table, context())
    assert sum(capped["kept"].to_pylist()) == 1
    assert ["blurry", "quota"] in capped["also"].to_pylist()


def test_a_null_makes_a_predicate_false_and_is_counted(table_of: Build, context: MakeContext) -> None:
    table = table_of(
        2,
        COLUMNS,
        sharpness=pa.array([None, 1, None], pa.float32()),
        text_area=pa.array([0.5, None, None], pa.float32()),
        source=["web", "web", "scan"],
    )
    used = context()
    operator = select(
        drop={"blurry": "sharpness < 40", "text_dense": "not text_area < 20%", "logo": "source == 'x'"},
        where=[{"where": {"source": "web"}, "drop": {"noisy": "sharpness > 900"}}],
        keep_anyway="text_area > 90%",
    )
    rows = decide(operator, table, used)
    assert sorted(map(str, rows["reason"].to_pylist())) == ["None", "blurry", "text_dense"]
    assert used.facts["nulls_seen"] == {"blurry": 2, "keep_anyway": 2, "noisy": 1, "text_dense": 2}


def test_blocks_hold_for_their_records_only(table_of: Build, context: MakeContext) -> None:
    table = table_of(
        2, COLUMNS, short_side=pa.array([600, 600, 600, 100], pa.int32()), source=["web", "it's", None, "web"]
    )
    operator = select(
        drop={"too_small": "short_side < 512px"},
        where=[
            {"where": {"source": ["web"]}, "drop": {"custom.web": "short_side < 700px"}},
            {"where": {"source": "it's"}, "drop": {"too_small": "short_side < 700px"}},
        ],
    )
    operator.check(table.columns)
    rows = decide(operator, table, context()).to_pylist()
    found = sorted((str(row["reason"]), row["bound"] or "", row["also"]) for row in rows)
    assert found == [
        ("None", "", []),
        ("custom.web", "< 700", ["custom.web"]),
        ("too_small", "< 512", ["too_small", "custom.web"]),
        ("too_small", "< 700", ["too_small"]),
    ]


def test_facts_hold_every_bound_with_its_value(
    table_of: Build, context: MakeContext, rng: np.random.Generator
) -> None:
    table = table_of(100, COLUMNS, **a_pool(1000, rng))
    used = context()
    operator = select(
        drop={"too_small": "short_side < 512px", "blurry": "sharpness < quantile(sharpness, 1%)"},
        keep_anyway="text_area > 99%",
    )
    decide(operator, table, used)
    expected = np.sort(table.rows["sharpness"].drop_null().to_numpy())[
        int(np.ceil(0.01 * (1000 - table.rows["sharpness"].null_count))) - 1
    ]
    assert used.facts["bounds"] == [
        {
            "reason": "too_small",
            "column": "short_side",
            "operator": "<",
            "value": 512.0,
            "expression": "short_side < 512px",
            "calibrate": False,
        },
        {
            "reason": "blurry",
            "column": "sharpness",
            "operator": "<",
            "value": float(str(expected)),
            "expression": "sharpness < quantile(sharpness, 1%)",
            "calibrate": True,
        },
        {
            "reason": "keep_anyway",
            "column": "text_area",
            "operator": ">",
            "value": 0.99,
            "expression": "text_area > 99%",
            "calibrate": False,
        },
    ]


PARAMS: dict[str, Any] = {
    "drop": {
        "too_small": "short_side < 350px",
        "blurry": "sharpness < quantile(sharpness, 5%, by=source) or text_area > quantile(text_area, 0.95)",
    },
    "where": [{"where": {"source": "web"}, "drop": {"text_dense": "text_area > 85%"}}],
    "keep_anyway": "text_area between 10% and 12%",
    "at_most": [{"per": "source", "n": 300, "by": "-sharpness"}, {"per": "short_side", "n": 2}],
}


def test_score_only_keeps_all_and_counts_what_would_go(
    table_of: Build, context: MakeContext, rng: np.random.Generator
) -> None:
    table = table_of(100, COLUMNS, **a_pool(2000, rng))
    real, scored = context(), context()
    dropped = decide(select(**PARAMS), table, real)
    kept = decide(select(**PARAMS, score_only=True), table, scored)
    assert all(kept["kept"].to_pylist())
    assert kept["reason"].null_count == kept["value"].null_count == len(kept)
    counts = {reason: n for reason, n in _counts(dropped["reason"]) if reason}
    assert scored.facts["would_drop"] == counts
    assert kept["also"].equals(dropped["also"])


def _counts(column: pa.ChunkedArray) -> Iterator[tuple[Any, int]]:
    for found in column.value_counts().to_pylist():
        yield found["values"], found["counts"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), part_size=st.integers(7, 1200))
def test_parts_and_order_do_not_matter(
    seed: int, part_size: int, table_of: Build, context: MakeContext
) -> None:
    rng = np.random.default_rng(seed)
    pool = a_pool(1000, rng)
    whole = table_of(1000, COLUMNS, **pool)
    shuffled = whole.rows.take(pa.array(rng.permutation(1000)))
    cut = table_of(
        part_size, COLUMNS, **{name: shuffled[name].combine_chunks() for name in shuffled.column_names}
    )
    first, second = context(), context()
    assert decide(select(**PARAMS), whole, first).equals(decide(select(**PARAMS), cut, second))
    assert first.facts == second.facts


def test_an_empty_table_and_an_empty_select(table_of: Build, context: MakeContext) -> None:
    empty = {c.name: pa.array([], c.dtype) for c in COLUMNS}
    assert list(select(**PARAMS).decide(table_of(10, COLUMNS, **empty), context())) == []
    rows = decide(select(), table_of(2, COLUMNS, source=["a", "b", "c"]), context())
    assert rows["kept"].to_pylist() == [True] * 3


def test_needs_names_each_column_once() -> None:
    assert select(**PARAMS).needs() == ("short_side", "sharpness", "source", "text_area")


@pytest.mark.acceptance("C10")
@pytest.mark.parametrize(
    ("params", "path", "message"),
    [
        ({"drop": {"to_small": "short_side < 5"}}, ("drop", "to_small"), "Did you mean 'too_small'?"),
        ({"drop": {"corrupt": "short_side < 5"}}, ("drop", "corrupt"), "custom.corrupt"),
        ({"drop": {"blurry": "sharpnes < 5"}}, ("drop", "blurry"), "Did you mean 'sharpness'?"),
        ({"drop": {"blurry": "sharpness < 5px"}}, ("drop", "blurry"), "`5px` is in px"),
        ({"drop": {"blurry": "sharpness <"}}, ("drop", "blurry"), "the text ends"),
        ({"keep_anyway": "source > 3"}, ("keep_anyway",), "`source` is a string"),
        (
            {"where": [{"where": {"sorce": "a"}, "drop": {"blurry": "sharpness < 1"}}]},
            ("where", 0, "where"),
            "Did you mean 'source'?",
        ),
        (
            {"where": [{"where": {"source": "a"}, "drop": {"blurry": "sharpness < -1"}}]},
            ("where", 0, "drop", "blurry"),
            "outside the range",
        ),
        (
            {"where": {"where": {"near_flags": "mirror"}, "drop": {"blurry": "sharpness < 1"}}},
            ("where", 0, "where"),
            "Write `'mirror' in near_flags`",
        ),
        ({"at_most": {"per": "near_flags", "n": 3}}, ("at_most", 0, "per"), "holds no categories"),
        ({"at_most": {"per": "sorce", "n": 3}}, ("at_most", 0, "per"), "Did you mean 'source'?"),
        (
            {"at_most": [{"per": "source", "n": 3, "by": "-sharpnes"}]},
            ("at_most", 0, "by"),
            "at character 2 of `-▸sharpnes◂`",
        ),
        ({"at_most": {"per": "source", "n": 3, "by": "source"}}, ("at_most", 0, "by"), "is no number"),
    ],
)
def test_faults_lead_to_their_place(
    params: dict[str, Any], path: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(FieldError) as error:
        select(**params).check({c.name: c for c in COLUMNS})
    assert error.value.path == path
    assert message in str(error.value)
