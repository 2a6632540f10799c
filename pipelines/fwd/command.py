"""What `thresher fwd` does, and what it prints."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from thresher.operators.aigc.fwd import LEAST
from thresher.operators.select.checker import typecheck
from thresher.operators.select.expression import Expr, PredicateError, column_names, located, quantiles_in
from thresher.operators.select.parser import parse
from thresher.pipelines.calibrate.records import table_of
from thresher.pipelines.cli.text import columns as aligned
from thresher.pipelines.execute.pictures import Pictures
from thresher.pipelines.execute.progress import show
from thresher.pipelines.fwd.compare import compared, ranked
from thresher.pipelines.fwd.sample import MATCHED, candidates
from thresher.pipelines.store.files import write_json
from thresher.pipelines.view import RunView
from thresher.schemas import UsageError

CAMERAS = "camera_exif and aigc_tier is null"
_STEPS = dict.fromkeys(MATCHED, "quality") | dict.fromkeys(("camera_exif", "aigc_tier"), "aigc")
MEANING = (
    "FWD tells how far a set of pictures lies from the reference; the null, how far two halves of the "
    "reference lie from each other at the same N. It is no verdict, and says nothing of any one picture: "
    "other cameras, subjects and processing move a set too."
)


def fwd(view: RunView, table: str | None, by: str, reference: str, most: int) -> dict[str, Any]:
    """Compare every source, and store what was found in the run."""
    if most < LEAST:
        raise UsageError(f"{most} pictures are too few to compare sets by", "--most", f"Give {LEAST} or more")
    with located("--reference"):
        expr = parse(reference)
    table = _table(view, [*MATCHED, by, *column_names(expr)], table)
    _check(view, table, by, expr)
    found = candidates(view, table, by, expr, most)
    if not found.cameras:
        mend = "Say what yours is: --reference PREDICATE, such as \"source == 'photos'\""
        raise UsageError("no picture fits the reference", f"--reference {reference!r}", mend)
    draws = list(found.draws())
    total = sum(len(draw.triples) for draw in draws if not draw.lacks)
    with Pictures(view, table) as pictures, show(f"fwd {table}", total, quiet=not total) as step:
        sources = [compared(view, table, draw, pictures, step) for draw in draws]
    result = {
        "ledger": view.plan(table)["ledger"],
        "by": by,
        "reference": reference,
        "pictures": found.cameras.total(),
        "least": LEAST,
        "most": most,
        "seed": view.seed,
        "sources": ranked(sources),
        "meaning": MEANING,
    }
    file = view.folder / "fwd" / f"{table}.json"
    if any("lacks" not in told for told in sources) or not file.exists():  # a failed look takes nothing away
        write_json(file, result)
    return result | {"table": table}


def _table(view: RunView, needed: Sequence[str], table: str | None) -> str:
    """The table to look at, which has the columns. Raises UsageError with the step that writes one."""
    known = {c for t in view.tables() for c in view.columns(t)}
    if step := next((_STEPS[c] for c in needed if c in _STEPS and c not in known), None):
        absent = ", ".join(repr(c) for c in dict.fromkeys(needed) if _STEPS.get(c) == step and c not in known)
        mend = f"Add the step `{step}` to the recipe and run it again"
        raise UsageError(f"the run has no column {absent}", str(view.folder), mend)
    return table_of(view, needed, table)


def _check(view: RunView, table: str, by: str, reference: Expr) -> None:
    columns = view.columns(table)
    if not pa.types.is_string(columns[by].dtype):
        what = f"the column {by!r} holds no names, but {columns[by].dtype}"
        raise UsageError(what, "--by", "Name a column of texts, such as source or generator")
    with located("--reference"):
        typecheck(reference, columns)
        if quantiles_in(reference):
            raise PredicateError("a quantile depends on the whole table; name a number", reference.at)


def tell(result: Mapping[str, Any]) -> Iterator[str]:
    """The table of sources, and what it means."""
    rows = [[result["by"], "pictures", "N", "FWD", "null", "FWD - null", "bands that moved"]]
    for told in result["sources"]:
        start = [told["name"], f"{told['pictures']:,}"]
        if "lacks" in told:
            rows.append([*start, "", "", "", "", told["lacks"]])
            continue
        numbers = [f"{told[name]:.4f}" for name in ("fwd", "null", "excess")]
        moved = ", ".join(band["band"] for band in told["bands"] if band["moved"]) or "none"
        rows.append([*start, f"{told['n']:,}", *numbers, moved])
    yield aligned(rows, range(1, 6))
    if unopened := sum(told["unopened"] for told in result["sources"]):
        yield f"{unopened} drawn pictures could not be opened; each took its match with it."
    yield f"Reference: {result['pictures']:,} pictures with `{result['reference']}`, those of others."
    yield MEANING
