"""Opening a run directory to read it."""

from pathlib import Path

from thresher.pipelines.store.files import read_json
from thresher.pipelines.view import RunView
from thresher.schemas import UsageError


def open_run(folder: Path) -> RunView:
    """Open a run directory. Raises UsageError if it is none."""
    plan = read_json(folder / "plan.json")
    if plan is None:
        raise UsageError(
            "this is no run directory: it has no plan.json",
            str(folder),
            "Give the directory that `thresher run` printed, such as runs/NAME",
        )
    return RunView(folder.resolve(), plan)
