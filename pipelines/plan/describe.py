"""`thresher plan`: the graph, what is cached, what will run, rows, bytes, time."""

from typing import TYPE_CHECKING, Any

from thresher.operators.base import Measure
from thresher.pipelines.plan.estimate import estimate, planned
from thresher.pipelines.plan.rates import measured_rates

if TYPE_CHECKING:
    from thresher.pipelines.execute.run import Run


def describe(run: "Run") -> dict[str, Any]:
    """The plan as JSON-ready data; computes and writes nothing in the run directory."""
    rates = measured_rates(run.folder)
    tables = {}
    for table in run.rehearse():
        todo = planned(table)
        missing = {label: rows for name, rows in todo for label in name.split(" + ")}
        tables[table.plan.name] = {
            "records": sum(table.catalog.rows),
            "new_files": dict(table.computed).get("ingest", 0),
            "source_bytes": table.listed_bytes,
            "steps": [
                {
                    "step": s.label,
                    "operator": s.operator.name,
                    "implied": s.implied,
                    "state": "will run" if s.label in missing else "cached",
                    "rows": missing.get(s.label, 0),
                    "reads": sorted(set(s.reads.values())),
                    "views": sorted({v.kind for v in s.operator.views})
                    if isinstance(s.operator, Measure)
                    else [],
                }
                for s in table.plan.steps
            ],
            "passes": table.plan.stages,
            "seconds": round(estimate(run, table, rates), 1),
        }
    return {"run": str(run.folder), "rates": rates, "tables": tables}


def tell(described: dict[str, Any]) -> str:
    """The plan as text for a terminal."""
    from thresher.pipelines.cli.text import columns, size_text, time_text

    lines = [f"Run directory: {described['run']}"]
    for name, table in described["tables"].items():
        size = size_text(table["source_bytes"])
        lines.append(
            f"\n{name}: {table['records']:,} records known, {table['new_files']:,} new files, {size} in all"
        )
        rows = [["step", "operator", "state", "rows", "reads"]]
        for step in table["steps"]:
            operator = step["operator"] + (" (implied)" if step["implied"] else "")
            sources = ", ".join([*step["views"], *step["reads"]])
            rows.append([step["step"], operator, step["state"], f"{step['rows']:,}", sources])
        lines.append(columns(rows, [False, False, False, True, False]))
        passes = "; ".join(" + ".join(p) for p in table["passes"])
        lines.append(f"Files are opened once for each of these passes: {passes}" if passes else "No pass.")
        lines.append(f"Estimated time: {time_text(table['seconds'])}")
    lines.append("Nothing was run and nothing was written. Cost: no paid service is used.")
    return "\n".join(lines)
