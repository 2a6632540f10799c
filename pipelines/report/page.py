"""What the page shows of one table, as plain values: the template reads nothing else."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from thresher.pipelines.report.captions import Found
from thresher.pipelines.report.charts import Bar, Chart, bars, draw
from thresher.pipelines.report.describe import Describer, Sample
from thresher.pipelines.report.numbers import number
from thresher.pipelines.report.samples import Pick
from thresher.pipelines.report.survey import Survey
from thresher.pipelines.view import Bound, RunView
from thresher.schemas import Column
from thresher.schemas.reasons import DROPPED, FAILED

BUDGET = 12_000_000
"""Characters of all pictures in one page."""
LEFT_OUT = "", "left out to keep the page small"

MOST_GALLERIES = 40
"""Reasons with a gallery, for dropped and for failed; the step table names the others."""
MOST_PROBLEMS = 50
LONGEST_FACT = 600
MOST_ROWS = 100
MEANINGS = {str(reason): text for reason, text in (DROPPED | FAILED).items()}


class Gallery(NamedTuple):
    """Samples of one reason."""

    reason: str
    meaning: str
    total: int
    samples: list[Sample]


class DuplicateGroup(NamedTuple):
    """A keeper (None: in another table) beside a few of the `size` records that were dropped for it."""

    keeper: Sample | None
    members: list[Sample]
    size: int


class Duplicates(NamedTuple):
    """Groups of one reason."""

    reason: str
    meaning: str
    total: int
    groups: list[DuplicateGroup]


class Edge(NamedTuple):
    """The records nearest to one bound; where no kept record has a value, the keepers stand instead."""

    bound: Bound
    dropped: list[Sample]
    kept: list[Sample]
    keepers: list[Sample]


@dataclass
class ColumnCard:
    """One column: its chart, its bounds and where it comes from."""

    column: Column
    bounds: list[Bound]
    known: int = 0
    """Records with a value."""
    chart: Chart | None = None
    bars: list[Bar] = field(default_factory=list)


class TablePage:
    """Everything about one table, pictures included."""

    def __init__(self, view: RunView, table: str, anchor: str, budget: int = BUDGET) -> None:
        self.name, self.anchor = table, anchor
        self.funnel = view.funnel(table)
        self.entered, self.kept = self.funnel[0].entered, self.funnel[-1].kept
        self.dropped = sum(step.dropped for step in self.funnel)
        self.failed = sum(step.failed for step in self.funnel)
        self._counts = sum((Counter(step.reasons) for step in self.funnel), Counter[str]())
        captions = Found(view, table)
        survey = self._survey = Survey(view, table, captions.names)
        rows = [p.row for picks in survey.samples.groups.values() for p in picks]
        shown = {b.column for b in survey.bounds if b.column in survey.sketches}
        self._describer = Describer(view, table, [*rows, *captions.shown, *survey.places.values()], shown)
        self._shown: list[tuple[int, int, Sample]] = []
        """(place in its gallery, row, sample): the order in which pictures are made."""

        cards = self._cards(view)
        self.judged = [card for card in cards if card.bounds]
        self.others = [card for card in cards if not card.bounds and card.known]
        self.edges = [edge for i, bound in enumerate(survey.bounds) if (edge := self._edge(i, bound))]
        self.kept_samples = self._samples(survey.samples.get("kept"))
        self.dropped_galleries, self.failed_galleries = self._galleries("dropped"), self._galleries("failed")
        self.not_shown = sum(max(0, len(self._reasons(s)) - MOST_GALLERIES) for s in ("dropped", "failed"))
        """Reasons that have no gallery because the page is full."""
        self.duplicates = self._duplicates()
        self.fwd = view.fwd(table)
        self.captions = captions.section(self._sample)
        facts = view.facts(table)
        self.facts = {label: flat for label, found in facts.items() if (flat := _flat(found))}
        self.fact_tables = [t for label, found in facts.items() for t in _tables(label, found)]
        problems = view.problems(table)
        self.problems, self.problems_total = problems[:MOST_PROBLEMS], len(problems)
        self._illustrate(view, budget)

    def _cards(self, view: RunView) -> list[ColumnCard]:
        """Columns with a bound first, in the order of the bounds."""
        survey, described = self._survey, view.columns(self.name)
        cards = []
        for name in dict.fromkeys([*(b.column for b in survey.bounds), *described]):
            card = ColumnCard(described[name], [b for b in survey.bounds if b.column == name])
            if name in survey.sketches:
                card.known, histogram = survey.sketches[name].count, survey.histograms[name]
                card.chart = draw(histogram, card.bounds, card.column.unit) if histogram else None
            elif name in survey.values:
                counts = survey.values[name] or {}
                card.known, card.bars = sum(map(sum, counts.values())), bars(counts)
            cards.append(card)
        return cards

    def _edge(self, index: int, bound: Bound) -> Edge | None:
        dropped, kept = (self._survey.samples.get(f"{side} near", index) for side in ("dropped", "kept"))
        if not dropped and not kept:
            return None
        places = [self._survey.places[p.keeper] for p in dropped if p.keeper in self._survey.places]
        keepers = [] if kept else [self._sample(i, row) for i, row in enumerate(places)]
        return Edge(bound, self._samples(dropped, bound), self._samples(kept, bound), keepers)

    def _reasons(self, status: str) -> list[str]:
        """Reasons with this status, most frequent first."""
        found = [str(group[1]) for group in self._survey.samples.groups if group[0] == status]
        return sorted(found, key=lambda reason: (-self._counts[reason], reason))

    def _galleries(self, status: str) -> list[Gallery]:
        return [
            Gallery(
                reason,
                MEANINGS.get(reason, "a reason of this recipe"),
                self._counts[reason],
                self._samples(self._survey.samples.get(status, reason)),
            )
            for reason in self._reasons(status)[:MOST_GALLERIES]
        ]

    def _duplicates(self) -> list[Duplicates]:
        survey, found = self._survey, []
        for reason, keepers in sorted(survey.keepers.items()):
            groups = []
            for place, keeper in enumerate(ids.tobytes() for ids in keepers):
                row = survey.places.get(keeper)
                first = None if row is None else self._sample(place, row)
                picks = survey.samples.get("member", reason, keeper)
                members = [self._sample(place + i, p.row) for i, p in enumerate(picks)]
                groups.append(DuplicateGroup(first, members, survey.sizes[reason, keeper]))
            found.append(Duplicates(reason, MEANINGS.get(reason, ""), self._counts[reason], groups))
        return found

    def _samples(self, picks: list[Pick], beside: Bound | None = None) -> list[Sample]:
        return [self._sample(place, pick.row, beside) for place, pick in enumerate(picks)]

    def _sample(self, place: int, row: int, beside: Bound | None = None) -> Sample:
        sample = self._describer.sample(row, beside)
        self._shown.append((place, row, sample))
        return sample

    def _illustrate(self, view: RunView, left: int) -> None:
        """The first of every gallery first, so that a spent budget leaves no gallery bare."""
        opener = view.opener(self.name)
        made: dict[int, tuple[str, str]] = {}
        for _, row, sample in sorted(self._shown, key=lambda shown: shown[0]):
            if row not in made and left >= 0:
                made[row] = self._describer.picture(row, opener)
            left -= len(made.get(row, LEFT_OUT)[0])
            sample.url, sample.why_not = made[row] if left >= 0 else LEFT_OUT
        opener.close()


class FactTable(NamedTuple):
    """Rows that a step counted, such as the sources of `balance.sources`."""

    title: str
    names: list[str]
    rows: list[list[str]]
    more: int
    """Rows that are left out."""


def _is_table(value: Any) -> bool:
    """Whether it is a list of rows of plain values."""
    rows = value if isinstance(value, list) else []
    return bool(rows) and all(isinstance(row, dict) and not _nested(row) for row in rows)


def _nested(row: dict[str, Any]) -> bool:
    return any(isinstance(value, dict | list) for value in row.values())


def _tables(label: str, found: dict[str, Any]) -> Iterator[FactTable]:
    for name, rows in found.items():
        if _is_table(rows) and name != "bounds":
            names = list(rows[0])
            cells = [[_cell(row.get(n)) for n in names] for row in rows[:MOST_ROWS]]
            yield FactTable(f"{label}: {name}", names, cells, max(0, len(rows) - MOST_ROWS))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else str("" if value is None else value)


def _flat(found: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """What a step found out, as names and short texts; the bounds stand in the charts."""
    flat: list[tuple[str, str]] = []
    for name, value in found.items():
        title = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, dict):
            flat += _flat(value, f"{title}: ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat.append((title, number(value)))
        elif value not in ([], "", None) and name != "bounds" and not _is_table(value):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            flat.append((title, text if len(text) <= LONGEST_FACT else text[:LONGEST_FACT] + " …"))
    return flat
