"""Rates that this run has measured, from its own log."""

import json
from pathlib import Path


def measured_rates(run: Path) -> dict[str, float]:
    """Step -> seconds for a record: worker seconds of passes, wall seconds of global steps."""
    rates: dict[str, float] = {}
    try:
        lines = (run / "metrics.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return rates
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the last line of a killed run
        if line.get("event") == "step" and line.get("rows", 0) > 0:
            spent = line["worker_seconds"] or line["seconds"]
            rates[line["step"]] = round(spent / line["rows"], 6)
    return rates
