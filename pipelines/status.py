"""`thresher status`: how far a run is, from its files alone (so it works from another machine)."""

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thresher.pipelines.cli.text import columns, funnel_table
from thresher.pipelines.plan.rates import measured_rates
from thresher.pipelines.runview import open_run
from thresher.pipelines.store.catalog import Catalog
from thresher.pipelines.store.files import read_json
from thresher.pipelines.store.fragments import ColumnStore


def status_of(run: Path) -> Iterator[str]:
    """Lines for a terminal."""
    plan = read_json(run / "log" / "running.json")
    if plan is None:
        opened = open_run(run)
        yield f"{opened.name}: finished, {_driver(run)}"
        for table in opened.tables():
            yield funnel_table(table, opened.funnel(table))
        return
    yield f"{plan['recipe']['name']}: unfinished, {_driver(run)}"
    rates = measured_rates(run)
    for table, steps in plan["tables"].items():
        yield columns(list(_progress(run, table, steps, rates)), [False, True, True, False])


def _progress(run: Path, table: str, plan: dict[str, Any], rates: dict[str, float]) -> Iterator[list[str]]:
    rows = Catalog(run / "catalog" / table).rows
    store = ColumnStore(run / "columns" / table)
    yield [table, "parts", "of", "state"]
    if not rows:
        yield ["ingest", "0", "", "listing the sources"]
        return
    yield ["ingest", str(len(rows)), str(len(rows)), "done"]
    decided = {
        p.name.split("@")[0] for p in (run / "global" / table).glob("*@*") if (p / "facts.json").exists()
    }
    for step in plan["steps"]:
        label, fp = step["label"], step["fingerprint"]
        if step["kind"] == "measure":
            files = {p for f in store.passes if f.operators.get(step["operator"]) == fp for p in f.files}
            state = "done" if len(files) == len(rows) else "running or waiting"
            rate = next((r for name, r in rates.items() if label in name.split(" + ")), None)
            if rate:
                state += f", {1 / rate:.0f} records/s for each worker"
            yield [label, str(len(files)), str(len(rows)), state]
        else:
            yield [label, "", "", "decided before" if label in decided else "waiting"]


def _driver(run: Path) -> str:
    """Whether a driver holds the lock, and which."""
    path = run / "log" / "lock"
    try:
        with open(path) as file:
            owner = json.loads(file.read() or "{}")
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return (
                    f"running, process {owner.get('pid')} on {owner.get('host')} since {owner.get('started')}"
                )
    except (FileNotFoundError, ValueError):
        return "never started"
    return "not running"
