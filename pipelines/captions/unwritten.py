"""What a run says of records that have no text."""

from collections import Counter
from collections.abc import Sequence

import pyarrow.compute as pc

from thresher.operators.base import Params
from thresher.operators.export.params import ExportParams
from thresher.pipelines.store.reader import RunTable
from thresher.pipelines.view import StepCount

FAILED = ".failed_check"


def unwritten(table: RunTable, export: Params | None) -> list[str]:
    """A sentence for each captioner that left live records without any text that passed, and one for samples
    that are exported without `.txt` though the recipe names their text."""
    captioners = [name.removesuffix(FAILED) for name in table.columns if name.endswith(FAILED)]
    failed = {f"{of}{FAILED}": Counter[str]() for of in captioners if f"{of}.checks.length" in table.columns}
    text = export.text_column(table.columns) if isinstance(export, ExportParams) else "text"
    asked = text != "text"  # the sidecar's is there or not: nobody failed to write it
    without = records = 0
    if failed or asked:
        for part in table.parts:
            rows = table.read(part, [*failed, text])
            records += len(rows)
            without += pc.sum(pc.equal(pc.fill_null(rows[text], ""), "")).as_py()
            for name, checks in failed.items():
                checks.update(rows[name].drop_null().to_pylist())
    told = [
        f"{name.removesuffix(FAILED)}: {checks.total()} of {records} records have no text that passed "
        f"(most failed: {min(checks, key=lambda check: (-checks[check], check))})"
        for name, checks in failed.items()
        if checks
    ]
    if asked and without:
        told.append(f"export: {without} of {records} samples have no .txt: they have no {text}")
    return told


def nothing_left(funnel: Sequence[StepCount]) -> list[str]:
    """A sentence where the last records that there were all failed at one step."""
    return [
        f"nothing is left: all {step.entered} records failed at {step.label} ({', '.join(step.reasons)})"
        for step in funnel
        if step.entered and step.failed == step.entered
    ]
