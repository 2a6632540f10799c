"""What `thresher evaluate captions` does, and what it prints."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thresher.pipelines.calibrate.records import table_of
from thresher.pipelines.calibrate.statistics import Estimate
from thresher.pipelines.captions.columns import Row, caption_columns, has_all, record_of, sampled
from thresher.pipelines.cli.text import columns as aligned
from thresher.pipelines.cli.text import counted
from thresher.pipelines.evaluate.measures import (
    PRECISION,
    Ratios,
    meaning,
    merged,
    ordered,
    ratios,
)
from thresher.pipelines.evaluate.paired import FEW, Outcome, outcome
from thresher.pipelines.evaluate.ratings import Rating, rated, read_ratings
from thresher.pipelines.evaluate.texts import Scored, Source, parsed_on, source_of
from thresher.pipelines.execute.progress import show
from thresher.pipelines.view import RunView
from thresher.schemas import UsageError

MOST = 2000
"""Records that are scored, by a hash of their ids."""


class Result(NamedTuple):
    """What was found."""

    table: str
    columns: list[str]
    records: int
    known: int
    outcomes: list[Outcome]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        told = self._asdict() | {"outcomes": [o.as_json() for o in self.outcomes]}
        return told | {"meanings": {o.measure: meaning(o.measure)[0] for o in self.outcomes}}


def evaluate(
    view: RunView, names: Sequence[str], on: Sequence[str], labels: Sequence[Path], table: str | None
) -> Result:
    """Score one column, or two on the same records. Raises UsageError where there is nothing to score."""
    table = _table(view, names, table)
    places = parsed_on(on)
    sources = [source_of(view, table, name, places) for name in names]
    ratings = read_ratings(labels, view, table)
    rows, known = _rows(view, table, sources)
    if not rows:
        what = f"no record has a value in {' and '.join(names)}"
        raise UsageError(what, str(view.folder), "Name columns that the same records have")
    scored = _scored(view, table, sources, rows)
    with show(f"evaluate {table}", len(rows) * len(names)) as step:
        columns = [
            _measured(rows, one, source, ratings, step.advance)
            for source, one in zip(sources, scored, strict=True)
        ]
    ids = np.array([int.from_bytes(row.id[:8], "big") for row in rows], np.uint64)
    shared = set.intersection(*({name for row in held for name in row} for held in columns))
    outcomes = [outcome(name, columns, ids, view.seed) for name in ordered(shared) if _both(name, columns)]
    notes = [*_notes(sources, scored, columns, ratings)]
    return Result(table, [*names], len(rows), known, outcomes, notes)


def _table(view: RunView, names: Sequence[str], table: str | None) -> str:
    """The table with those columns; `caption.en.dense` may be of a record without being a column."""
    known = {c for t in view.tables() for c in view.columns(t)}
    captioners = sorted({c for t in view.tables() for c in caption_columns(view, t)})
    known_are = f"Captions are in {', '.join(captioners)}" if captioners else ""
    return table_of(view, [n if n in known else n.partition(".")[0] for n in names], table, known_are)


def _rows(view: RunView, table: str, sources: Sequence[Source]) -> tuple[list[Row], int]:
    described = view.columns(table)
    needed = [s.record or s.name for s in sources]
    similar = [name for name in described if name.endswith("clip_score")]
    also = [*caption_columns(view, table), *similar]
    return sampled(view, table, needed, also, has_all, MOST, view.seed)


def _scored(
    view: RunView, table: str, sources: Sequence[Source], rows: Sequence[Row]
) -> list[list[Scored | None]]:
    """For each column, each record. A plain text is judged by the facts of the record's first captions."""
    plain = any(not source.record for source in sources)
    captions = caption_columns(view, table)[:1] if plain else []
    known = [record_of(row.values[name]) for name in captions for row in rows] or [None] * len(rows)
    return [[s.scored(row.values, k) for row, k in zip(rows, known, strict=True)] for s in sources]


def _measured(
    rows: Sequence[Row],
    scored: Sequence[Scored | None],
    source: Source,
    ratings: Sequence[Rating],
    advance: Callable[[int], None],
) -> list[Ratios]:
    said = rated(ratings, source.name, {row.id: one for row, one in zip(rows, scored, strict=True)})
    return merged(ratios(scored, advance), [said.get(row.id, {}) for row in rows])


def _both(name: str, columns: Sequence[Sequence[Ratios]]) -> bool:
    return any(all(name in row for row in rows) for rows in zip(*columns, strict=True))


def _notes(
    sources: Sequence[Source],
    scored: Sequence[Sequence[Scored | None]],
    columns: Sequence[Sequence[Ratios]],
    ratings: Sequence[Rating],
) -> Iterator[str]:
    for source, held, found in zip(sources, scored, columns, strict=True):
        if not any(one and one.texts for one in held):
            yield f"{source.name}: no record has a text there."
        if not any(PRECISION in row for row in found):
            claims = any(one and one.made for one in held)
            what = "no verdict on its claims" if claims else "no claims"
            yield f"{source.name}: {what}. To have them verified, run the step `caption.check` first."
        if ratings and not any("rating" in row for row in found):
            yield f"{source.name}: no rating of these records."


def tell(result: Result) -> Iterator[str]:
    """The table, and what it means."""
    two = len(result.columns) == 2
    names = ["", *result.columns, *(["difference", "95 %", "win", "tie", "loss"] if two else ["95 %"]), "N"]
    rows = [[*names, "better"] if two else names]
    rows += [_row(o, result.columns) for o in result.outcomes]
    yield aligned(rows, range(1, len(names)))
    sample = f" of {result.known:,}, by a hash of their ids" if result.known > result.records else ""
    yield f"{counted(result.records, 'record')} of {result.table}{sample}."
    yield from result.notes
    if two:
        yield f"Win, tie, loss: shares of the records where {result.columns[1]} is higher, equal, lower."
        yield from verdict(result)


def verdict(result: Result) -> Iterator[str]:
    """Which column is better in what, or that the data do not tell."""
    for place, name in enumerate(result.columns):
        higher = [o for o in result.outcomes if o.higher == place]
        better = [_by(o) for o in higher if meaning(o.measure)[1]]
        if better:
            yield f"{name} is better in {', '.join(better)}."
        if more := [_by(o) for o in higher if not meaning(o.measure)[1]]:
            yield f"{name} has more {', '.join(more)}; that is neither better nor worse."
    if same := [o.measure for o in result.outcomes if o.tied == 1]:
        yield f"They are equal on every record in {', '.join(same)}."
    if unsure := [o.measure for o in result.outcomes if o.higher is None and o.tied < 1]:
        few = f" ({result.records} records, fewer than {FEW})" if result.records < FEW else ""
        yield f"The data do not tell which is better in {', '.join(unsure)}{few}."


def _by(found: Outcome) -> str:
    assert found.difference is not None
    low, high = sorted((abs(found.difference.low), abs(found.difference.high)))
    return f"{found.measure} (by {abs(found.difference.value):.3g}, {low:.3g} to {high:.3g})"


def _row(found: Outcome, names: Sequence[str]) -> list[str]:
    values = [f"{v.value:.3f}" for v in found.values]
    if found.difference is None:
        return [found.measure, *values, _span(found.values[0]), f"{found.records:,}"]
    shares = [f"{100 * share:.0f}%" for share in (found.won, found.tied, found.lost)]
    higher = found.higher if meaning(found.measure)[1] else None
    better = "" if higher is None else names[higher]
    told = [f"{found.difference.value:+.3f}", _span(found.difference)]
    return [found.measure, *values, *told, *shares, f"{found.records:,}", better]


def _span(estimate: Estimate) -> str:
    return f"{estimate.low:.3f} to {estimate.high:.3f}"
