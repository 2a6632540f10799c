"""What the chat models of a table used, from the run's own log."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from thresher.pipelines.report.captions.tables import Table
from thresher.pipelines.report.numbers import duration, number

SPENT = ("records", "requests", "memo_hits", "prompt_tokens", "completion_tokens", "request_s", "price")


def costs(entries: Iterable[Mapping[str, Any]]) -> Table | None:
    """A row for each step that asked a model, over all runs of the recipe; None if none did."""
    steps: dict[str, Counter[str]] = {}
    for entry in entries:
        if "requests" in entry:
            spent = steps.setdefault(str(entry["step"]), Counter())
            spent.update({name: entry[name] for name in SPENT if name in entry})
    if not steps:
        return None
    return Table(
        "Cost",
        "Over all runs of this recipe. A memo hit is an answer that was known and cost nothing.",
        ("step", "records", "requests", "memo hits", "tokens in", "tokens out", "request time", "price",
         "tokens a record", "price a record"),
        [[label, *_row(spent)] for label, spent in steps.items()],
    )  # fmt: skip


def _row(spent: Counter[str]) -> list[str]:
    records = spent["records"] or 1
    tokens = spent["prompt_tokens"] + spent["completion_tokens"]
    return [
        *(number(spent[name]) if name in spent else "–" for name in SPENT[:5]),
        duration(spent["request_s"]),
        number(spent["price"]) if "price" in spent else "–",
        number(tokens / records),
        number(spent["price"] / records) if "price" in spent else "–",
    ]
