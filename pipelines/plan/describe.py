"""`thresher plan`: the graph, what is cached, what will run, rows, bytes, time."""

from typing import TYPE_CHECKING, Any

from thresher.operators.base import Measure
from thresher.pipelines.cli.text import columns, counted, size_text, time_text
from thresher.pipelines.plan.doubts import doubts
from thresher.pipelines.plan.estimate import estimate, planned
from thresher.pipelines.plan.keys import missing_keys
from thresher.pipelines.plan.rates import measured_rates

if TYPE_CHECKING:
    from thresher.pipelines.execute.run import Run
    from thresher.pipelines.execute.table import TableRun
    from thresher.pipelines.plan.compile import StepPlan


def describe(run: "Run") -> dict[str, Any]:
    """The plan as JSON-ready data; computes and writes nothing in the run directory."""
    rates = measured_rates(run.folder)
    rehearsed = run.rehearse()
    tables = {table.plan.name: _table(run, table, rates) for table in rehearsed}
    doubted = [said for table in rehearsed for said in doubts(table.plan)]
    warnings = dict.fromkeys([*map(str, missing_keys(rehearsed)), *doubted])
    return {"run": str(run.folder), "rates": rates, "tables": tables, "warnings": [*warnings]}


def _table(run: "Run", table: "TableRun", rates: dict[str, float]) -> dict[str, Any]:
    missing = {label: rows for name, rows in planned(table) for label in name.split(" + ")}
    return {
        "records": sum(table.catalog.rows),
        "new_files": dict(table.computed).get("ingest", 0),
        "source_bytes": table.listed_bytes,
        "steps": [_step(step, missing.get(step.label)) for step in table.plan.steps],
        "passes": table.plan.stages,
        "seconds": round(estimate(run, table, rates), 1),
    }


def _step(step: "StepPlan", missing: int | None) -> dict[str, Any]:
    views = step.operator.views if isinstance(step.operator, Measure) else ()
    return {
        "step": step.label,
        "operator": step.operator.name,
        "implied": step.implied,
        "state": "cached" if missing is None else "will run",
        "rows": missing or 0,
        "reads": sorted(set(step.reads.values())),
        "views": sorted({v.kind for v in views}),
        "endpoint": getattr(step.operator.params, "endpoint", None),
    }


def tell(described: dict[str, Any]) -> str:
    """The plan as text for a terminal."""
    lines = [f"Run directory: {described['run']}"]
    for name, table in described["tables"].items():
        files = f"{counted(table['records'], 'record')} known, {counted(table['new_files'], 'new file')}"
        lines.append(f"\n{name}: {files}, {size_text(table['source_bytes'])} in all")
        rows = [["step", "operator", "state", "rows", "reads"]]
        for step in table["steps"]:
            operator = step["operator"] + (" (implied)" if step["implied"] else "")
            reads = ", ".join([*step["views"], *step["reads"]])
            rows.append([step["step"], operator, step["state"], f"{step['rows']:,}", reads])
        lines.append(columns(rows, right=[3]))
        running = {step["step"] for step in table["steps"] if step["state"] == "will run"}
        passes = "; ".join(" + ".join(p) for p in table["passes"] if running & set(p))
        if passes:
            lines.append(f"Files are opened once for each of these passes: {passes}")
        lines.append(f"Estimated time: {time_text(table['seconds'])}" if running else "Everything is cached.")
    lines += [f"Warning: {said}" for said in described["warnings"]]
    done = "Only the sample was asked about." if "asked" in described else "Nothing was run or written."
    lines.append(f"{done} Cost: {_cost(described)}.")
    return "\n".join(lines)


def _cost(described: dict[str, Any]) -> str:
    """What is asked of whom outside."""
    asked: dict[str, int] = {}
    for step in (step for table in described["tables"].values() for step in table["steps"]):
        if step["endpoint"] and step["rows"]:
            asked[step["endpoint"]] = asked.get(step["endpoint"], 0) + step["rows"]
    told = ", ".join(f"at least {counted(rows, 'request')} to {place}" for place, rows in asked.items())
    return told or "no paid service is used"
