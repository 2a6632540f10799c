"""The report: one self-contained page for each run, which opens from disk and asks nobody for anything.

The page is a pure function of the run: no time, host or path enters it.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from thresher.pipelines.report import numbers
from thresher.pipelines.report.page import BUDGET, TablePage
from thresher.pipelines.store.files import write_bytes
from thresher.pipelines.view import RunView

__all__ = ["render_report", "write_report"]


def write_report(view: RunView, path: Path) -> None:
    """Write the page of a run to `path`, in one step: a reader sees the old page or the new one."""
    write_bytes(path, render_report(view).encode())


def render_report(view: RunView) -> str:
    """The page of a run as HTML. Every text of the run is escaped."""
    names = view.tables()
    pages = [TablePage(view, name, f"t{i}", BUDGET // len(names)) for i, name in enumerate(names)]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(numbers, name) for name in ("number", "quantity", "duration")}
    environment.globals |= {"percent": numbers.percent}
    return environment.get_template("page.html").render(name=view.name, tables=pages)
