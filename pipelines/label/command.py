"""What `thresher label` does."""

import shlex
import signal
from typing import Any

from thresher.pipelines.calibrate import records
from thresher.pipelines.cli.text import counted
from thresher.pipelines.execute.pictures import Pictures
from thresher.pipelines.label.answers import Answers
from thresher.pipelines.label.captions import to_rate
from thresher.pipelines.label.queue import Queue
from thresher.pipelines.label.server import LabelServer
from thresher.pipelines.label.session import Session
from thresher.pipelines.view import RunView
from thresher.schemas import UsageError

MOST = 5000
"""Pictures that a session draws from, by a hash of their ids."""
_PLAIN = ("sharpness", "width")
"""Columns that every picture has which could be opened: the choice without vectors."""


def label(view: RunView, name: str, classes: list[str], on: list[str], table: str | None, port: int) -> None:
    """Serve the page until it is told to end."""
    columns = on or _default(view, table)
    table = records.table_of(view, columns, table)
    described = [records.described(view, table, column) for column in columns]
    answers = Answers(view.folder / "labels" / f"{name}.csv", classes)
    pool = records.sampled(view, table, columns[0], MOST, (), view.seed)
    found = records.gathered(view, table, columns, {*pool.ids, *answers.of})
    if not len(found):
        raise UsageError(f"no record of {table} has a value of {columns[0]!r}", str(view.folder))
    one_scale = len(columns) == 1 and described[0].vector
    queue = Queue(found, classes, one_scale, view.seed)
    fits = bool(on) or one_scale
    session = Session(queue, answers, classes, Pictures(view, table), fits)
    _listen(session, f"{name}: {view.name}", port, len(found), len(answers.of), classes)
    print(f"{counted(session.count(), 'label')} in {view.folder / 'labels' / f'{name}.csv'}")
    if fits:
        again = ["thresher", "calibrate", str(view.folder), "--head", name, "--on", ",".join(columns)]
        print(f"Next: {shlex.join([*again, '--positive', classes[-1]])}")
    else:
        print(f"Next: thresher calibrate {shlex.quote(str(view.folder))} COLUMN --labels that file")


def rate(view: RunView, name: str, classes: list[str], column: str, table: str | None, port: int) -> None:
    """Serve the page on which people rate a text of each record."""
    known = {c for t in view.tables() for c in view.columns(t)}
    table = records.table_of(view, [column if column in known else column.partition(".")[0]], table)
    found, shown = to_rate(view, table, column, MOST)
    file = view.folder / "labels" / f"{name}.csv"
    answers = Answers(file, classes, column)
    queue = Queue(found, classes, False, view.seed)
    session = Session(queue, answers, classes, Pictures(view, table), False, shown)
    _listen(session, f"{name}: {column}, {view.name}", port, len(found), len(answers.of), classes)
    print(f"{counted(session.count(), 'rating')} in {file}")
    again = ["thresher", "evaluate", "captions", str(view.folder), "--columns", column, "--labels", str(file)]
    print(f"Next: {shlex.join(again)}")


def _listen(
    session: Session, title: str, port: int, pictures: int, labelled: int, classes: list[str]
) -> None:
    """Serve a session to its end."""
    try:
        server = LabelServer(session, title, port)
    except OSError as error:
        session.close()
        raise UsageError(f"cannot listen: {error.strerror}", f"--port {port}", "Leave it out") from error
    told = f"{counted(pictures, 'picture')}, {labelled} labelled. Open {server.url}\n"
    _serve(server, f"{told}Keys: {_keys(classes)}, u undo, s skip, q done. Ctrl-C ends too.")
    session.close()


def _serve(server: LabelServer, told: str) -> None:
    """Tell where, and serve until `q`, SIGINT or SIGTERM; none of them is a failure."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        print(told, flush=True)
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        print()
    finally:
        signal.signal(signal.SIGTERM, previous)
        server.server_close()


def _default(view: RunView, table: str | None) -> list[str]:
    """The first vector of the table; else a column that every opened picture has."""
    for one in [table] if table in view.tables() and table else view.tables():
        columns = view.columns(one)
        found = [n for n, c in columns.items() if c.vector] or [n for n in _PLAIN if n in columns]
        if found:
            return found[:1]
    what = "the run has no column that tells which pictures can be shown"
    raise UsageError(what, str(view.folder), "Add `- quality` or `- embed` to the recipe, and run it")


def _keys(classes: list[str]) -> str:
    return ", ".join(f"{i} {name}" for i, name in enumerate(classes, 1))
