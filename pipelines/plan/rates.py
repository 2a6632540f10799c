"""Rates that this run has measured, from its own log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def measured_rates(run: Path) -> dict[str, float]:
    """Step -> seconds for a record: worker seconds of passes, wall seconds of global steps."""
    return {line["step"]: round(_spent(line) / line["rows"], 6) for line in _steps(run) if line["rows"] > 0}


def pass_rate(run: Path) -> float | None:
    """Worker seconds for a record in the last pass that took more than one; None if there was none."""
    for line in reversed(list(_steps(run))):
        if line["worker_seconds"] > 1 and line["rows"]:
            return float(line["worker_seconds"] / line["rows"])
    return None


def step_seconds(run: Path) -> dict[str, float]:
    """Label -> seconds of its last run; a pass counts for the first of its steps."""
    return {line["step"].split(" + ")[0]: _spent(line) for line in _steps(run)}


def _spent(line: dict[str, Any]) -> float:
    return float(line["worker_seconds"] or line["seconds"])


def _steps(run: Path) -> Iterator[dict[str, Any]]:
    return logged(run, "step")


def logged(run: Path, event: str) -> Iterator[dict[str, Any]]:
    """The lines of `metrics.jsonl` of one kind, in order."""
    try:
        lines = (run / "metrics.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue  # the last line of a killed run
        if line.get("event") == event:
            yield line
