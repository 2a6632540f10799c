"""A run to the values of its page."""

import json
from typing import Any

from thresher.pipelines.report.charts import bars, draw
from thresher.pipelines.report.describe import Describer
from thresher.pipelines.report.numbers import number
from thresher.pipelines.report.page import (
    ColumnCard,
    DuplicateGroup,
    Duplicates,
    Edge,
    Gallery,
    Picture,
    Sample,
    TablePage,
)
from thresher.pipelines.report.samples import Pick
from thresher.pipelines.report.survey import Survey
from thresher.pipelines.report.thumbnails import Budget
from thresher.pipelines.view import RunView, StepCount
from thresher.schemas.reasons import DROPPED, FAILED

MOST_GALLERIES = 40
"""Reasons with a gallery, for dropped and for failed; the step table names the others."""

MOST_PROBLEMS = 50
LONGEST_FACT = 600
MEANINGS = {str(reason): text for reason, text in (DROPPED | FAILED).items()}


def collect(view: RunView, table: str, anchor: str, budget: Budget) -> TablePage:
    """Everything that the page shows of one table, pictures included."""
    return _Collector(view, table, anchor).page(budget)


class _Collector:
    """Turns a survey into the page; remembers which row became which sample."""

    def __init__(self, view: RunView, table: str, anchor: str) -> None:
        self.view, self.table, self.anchor = view, table, anchor
        self.survey = Survey(view, table)
        self.funnel = view.funnel(table)
        self.counts = _reason_counts(self.funnel)
        duplicates = self.survey.duplicates
        groups = [g for reason in duplicates.reasons() for g in duplicates.groups(reason)]
        rows = [p.row for picks in self.survey.samples.groups.values() for p in picks]
        rows += [p.row for g in groups for p in g.members]
        rows += [g.keeper_row for g in groups if g.keeper_row is not None]
        self.describer = Describer(view, table, rows, {b.column for b in self.survey.numeric_bounds()})
        self.shown: list[tuple[int, int, Sample]] = []
        """(place in its gallery, row, sample): the order in which pictures are made."""

    def page(self, budget: Budget) -> TablePage:
        cards = self._cards()
        problems = self.view.problems(self.table)
        page = TablePage(
            name=self.table,
            anchor=self.anchor,
            funnel=self.funnel,
            entered=self.funnel[0].entered,
            kept=self.funnel[-1].kept,
            dropped=sum(step.dropped for step in self.funnel),
            failed=sum(step.failed for step in self.funnel),
            judged=[card for card in cards if card.bounds],
            others=[card for card in cards if not card.bounds and card.known],
            edges=self._edges(),
            kept_samples=self._samples(self.survey.samples.get("kept")),
            dropped_galleries=self._galleries("dropped"),
            failed_galleries=self._galleries("failed"),
            duplicates=self._duplicates(),
            facts=self._facts(),
            problems=[_flat(problem) for problem in problems[:MOST_PROBLEMS]],
            problems_total=len(problems),
            not_shown=sum(max(0, len(self._reasons(s)) - MOST_GALLERIES) for s in ("dropped", "failed")),
        )
        self._illustrate(budget)
        return page

    def _facts(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """What the steps found out; the bounds stand in the charts already."""
        found = self.view.facts(self.table).items()
        flat = [(label, _flat({k: v for k, v in facts.items() if k != "bounds"})) for label, facts in found]
        return [(label, facts) for label, facts in flat if facts]

    def _cards(self) -> list[ColumnCard]:
        described = self.view.columns(self.table)
        order = list(dict.fromkeys(b.column for b in self.survey.bounds))
        order += [name for name in described if name not in order]
        cards = []
        for name in order:
            card = ColumnCard(described[name], [b for b in self.survey.bounds if b.column == name])
            if name in self.survey.sketches:
                card.known = self.survey.sketches[name].count
                histogram = self.survey.histograms[name]
                card.chart = draw(histogram, card.bounds) if histogram else None
            elif name in self.survey.values:
                counts = self.survey.values[name] or {}
                card.known, card.bars = sum(map(sum, counts.values())), bars(counts)
            cards.append(card)
        return cards

    def _edges(self) -> list[Edge]:
        edges = []
        for index, bound in enumerate(self.survey.bounds):
            sides = [
                self._samples(self.survey.samples.get(f"{side} near", index), bound.column)
                for side in ("dropped", "kept")
            ]
            if any(sides):
                edges.append(Edge(bound, *sides))
        return edges

    def _reasons(self, status: str) -> list[str]:
        """Reasons with this status, most frequent first."""
        found = [str(what) for kind, what in self.survey.samples.groups if kind == status]
        return sorted(found, key=lambda reason: (-self.counts.get(reason, 0), reason))

    def _galleries(self, status: str) -> list[Gallery]:
        return [
            Gallery(
                anchor=f"{self.anchor}-{status}-{place}",
                title=reason,
                meaning=MEANINGS.get(reason, "a reason of this recipe"),
                total=self.counts.get(reason, 0),
                samples=self._samples(self.survey.samples.get(status, reason)),
            )
            for place, reason in enumerate(self._reasons(status)[:MOST_GALLERIES])
        ]

    def _duplicates(self) -> list[Duplicates]:
        found = []
        for reason in self.survey.duplicates.reasons():
            groups = []
            for place, group in enumerate(self.survey.duplicates.groups(reason)):
                keeper = None if group.keeper_row is None else self._sample(place, group.keeper_row)
                members = [self._sample(place + i, p.row) for i, p in enumerate(group.members)]
                groups.append(DuplicateGroup(keeper, members, group.size))
            found.append(Duplicates(reason, MEANINGS.get(reason, ""), self.counts.get(reason, 0), groups))
        return found

    def _samples(self, picks: list[Pick], measured: str = "") -> list[Sample]:
        return [self._sample(place, pick.row, measured) for place, pick in enumerate(picks)]

    def _sample(self, place: int, row: int, measured: str = "") -> Sample:
        sample = self.describer.sample(row, measured)
        self.shown.append((place, row, sample))
        return sample

    def _illustrate(self, budget: Budget) -> None:
        """The first of every gallery first, so that a spent budget leaves no gallery bare."""
        opener = self.view.opener(self.table)
        made: dict[int, Picture] = {}
        for _, row, sample in sorted(self.shown, key=lambda shown: shown[0]):
            if row not in made and not budget.spent:
                made[row] = self.describer.picture(row, opener)
            sample.picture = budget.take(made.get(row))
        opener.close()


def _reason_counts(funnel: list[StepCount]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for step in funnel:
        for reason, n in step.reasons.items():
            counts[reason] = counts.get(reason, 0) + n
    return counts


def _flat(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and short texts of a JSON-ready mapping, without what is empty."""
    return [(str(name), _text(value)) for name, value in found.items() if value not in ([], {}, "", None)]


def _text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_FACT else text[:LONGEST_FACT] + " …"
