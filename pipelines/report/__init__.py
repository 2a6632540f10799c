"""The report: one self-contained page for each run, which opens from disk and asks nobody for anything.

The page is a pure function of the run: no time, host or path enters it.
"""

import os
import tempfile
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from thresher.pipelines.report import numbers
from thresher.pipelines.report.data import collect
from thresher.pipelines.report.thumbnails import BUDGET, Budget
from thresher.pipelines.view import RunView

__all__ = ["render_report", "write_report"]


def write_report(view: RunView, path: Path) -> None:
    """Write the page of a run to `path`, in one step: a reader sees the old page or the new one."""
    page = render_report(view)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide the page from colleagues
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def render_report(view: RunView) -> str:
    """The page of a run as HTML. Every text of the run is escaped."""
    names = view.tables()
    pages = [collect(view, name, f"t{i}", Budget(BUDGET // len(names))) for i, name in enumerate(names)]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": numbers.number, "duration": numbers.duration}
    environment.globals |= {"percent": numbers.percent}
    return environment.get_template("page.html").render(name=view.name, tables=pages)
