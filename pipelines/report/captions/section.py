"""What the section shows: cards of sampled records, failed texts, disagreements, tables."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from thresher.operators.captions.draw.share import READS, Tally
from thresher.operators.captions.record import CaptionRecord, Text
from thresher.operators.captions.taxonomy import LANGS, WRITTEN
from thresher.pipelines.captions.columns import Row, caption_columns, has_any, record_of, sampled
from thresher.pipelines.captions.disagreement import Aspect, aspects, disagreement
from thresher.pipelines.report.captions.cards import Card, TextCard, card, cut, text_card
from thresher.pipelines.report.captions.costs import costs
from thresher.pipelines.report.captions.sharing import drawn, sharing, undrawn
from thresher.pipelines.report.captions.tables import Captioned, Table, tables
from thresher.pipelines.report.describe import Sample
from thresher.pipelines.view import RunView
from thresher.schemas import Column

MOST = 2000
"""Records that the tables count: a share is known to 2 percentage points (95 %)."""
CARDS, FAILED, OF_ONE_CHECK, WORST = 12, 12, 3, 8
BUDGET = 3_000_000
"""Characters of captions in one table's section."""
Show = Callable[[int, int], Sample]
"""Place in its gallery, row -> the sample, with its picture to come."""


class FailedText(NamedTuple):
    """A text that may not be used."""

    sample: Sample
    text: TextCard


class Apart(NamedTuple):
    """A record on which two captioners differ."""

    sample: Sample
    first: str
    second: str
    score: float
    aspects: list[Aspect]


class Captions(NamedTuple):
    """One caption column."""

    column: Column
    known: int
    counted: int
    unreadable: int
    cards: list[Card]
    failed: list[FailedText]
    tables: list[Table]
    langs: Sequence[str]
    levels: Sequence[str]
    start: tuple[str, str]
    """Language and level that are shown first."""


class CaptionsSection(NamedTuple):
    """All caption columns of a table."""

    columns: list[Captions]
    apart: list[Apart]
    tables: list[Table]
    """Those that are of the whole table."""


class Found:
    """The caption columns of a table, read once; then the page says how its samples look."""

    def __init__(self, view: RunView, table: str) -> None:
        self._view, self._table = view, table
        described = view.columns(table)
        self.names = caption_columns(view, table)
        self._bucket = next((name for name in described if name.startswith("bucket_")), "")
        also = [name for name in ("source", self._bucket) if name in described]
        self._rows, self._known = (
            sampled(view, table, self.names, also, has_any, MOST) if self.names else ([], 0)
        )
        read = {name: [(row, record_of(row.values[name])) for row in self._rows] for name in self.names}
        self._records = {name: [(row, r) for row, r in held if r is not None] for name, held in read.items()}
        self._apart = self._differing()

    @property
    def shown(self) -> set[int]:
        """Rows that the section shows."""
        held = self._records.values()
        cards = [row for records in held for row, _ in records[:CARDS]]
        failed = [row for name in self.names for row, _, _ in self._failed(name)]
        return {row.ordinal for row in [*cards, *failed, *(a[1] for a in self._apart)]}

    def section(self, show: Show) -> CaptionsSection | None:
        """All of it; None where the table has no captions."""
        if not self.names:
            return None
        columns = [self._column(name, show) for name in self.names]
        apart = [
            Apart(show(i, row.ordinal), first, second, -score, [_cut(a) for a in found])
            for i, (score, row, first, second, found) in enumerate(self._apart)
        ]
        whole = [*sharing(self._drawn())] if self._draws else []
        if (spent := costs(self._view.models(self._table))) is not None:
            whole.append(spent)
        return CaptionsSection(columns, apart, whole)

    @property
    def _draws(self) -> bool:
        return {*READS} <= {*self._view.columns(self._table)}

    def _drawn(self) -> dict[str, Tally]:
        """Of a sample of its own: people's text is also drawn where there is no caption record."""
        bucket = [self._bucket] if self._bucket else []
        found = sampled(
            self._view, self._table, ["caption.drawn_synthetic"], [*READS, *bucket], has_any, MOST
        )
        return drawn([row.values for row in found.rows], self._bucket)

    def _column(self, name: str, show: Show) -> Captions:
        held, left, cards = self._records[name], BUDGET // len(self.names), list[Card]()
        for place, (row, record) in enumerate(held[:CARDS]):
            made = card(show(place, row.ordinal), record)
            left -= made.size
            if left < 0 and cards:
                break
            cards.append(made)
        failed = [
            FailedText(show(i, row.ordinal), text_card(text, record))
            for i, (row, record, text) in enumerate(self._failed(name))
        ]
        counted = [
            Captioned(str(row.values.get("source", "")), self._place(row), record) for row, record in held
        ]
        told = [*tables(counted), *([] if self._draws else self._undrawn(name))]
        texts = {(t.lang, t.level) for c in cards for t in c.texts}
        langs = [lang for lang in LANGS if any(lang == key[0] for key in texts)]
        levels = [level for level in ("raw", *WRITTEN) if any(level == key[1] for key in texts)]
        asked = sum(row.values[name] is not None for row in self._rows)
        column = self._view.columns(self._table)[name]
        start = langs[0] if langs else "en", _first_level(levels)
        return Captions(
            column, self._known, asked, asked - len(held), cards, failed, told, langs, levels, start
        )

    def _failed(self, name: str) -> list[tuple[Row, CaptionRecord, Text]]:
        """Failed texts: at most three for each check, so that a frequent one hides no other."""
        per_check = Counter[str]()
        found: list[tuple[Row, CaptionRecord, Text]] = []
        for row, record in self._records[name]:
            for text in record.texts:
                check = next(iter(text.fails), "")
                if text.status == "fail" and per_check[check] < OF_ONE_CHECK and len(found) < FAILED:
                    per_check[check] += 1
                    found.append((row, record, text))
        return found

    def _differing(self) -> list[tuple[float, Row, str, str, list[Aspect]]]:
        """The records on which two captioners differ most, worst first; equal ones by rank."""
        found = []
        for first, second in combinations(self.names, 2):
            others = {row.ordinal: record for row, record in self._records[second]}
            for row, record in self._records[first]:
                if row.ordinal in others and (held := aspects(record, others[row.ordinal])):
                    found.append((-disagreement(held), row, first, second, held))
        return sorted((f for f in found if f[0] < 0), key=lambda f: (f[0], f[1].rank))[:WORST]

    def _undrawn(self, name: str) -> Iterator[Table]:
        return sharing(undrawn((self._place(row), record.passed()) for row, record in self._records[name]))

    def _place(self, row: Row) -> str:
        held = row.values.get(self._bucket)
        return "" if held is None else str(held)


def _first_level(levels: Sequence[str]) -> str:
    """`short` is what a person reads first."""
    return "short" if "short" in levels else (levels[-1] if levels else "short")


def _cut(aspect: Aspect) -> Aspect:
    first, second = ([cut(word, 80) for word in words[:30]] for words in (aspect.first, aspect.second))
    return aspect._replace(first=first, second=second)
