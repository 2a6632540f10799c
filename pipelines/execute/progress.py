"""What a user sees while a run works: a bar for each step, or plain lines when not a terminal."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from thresher.pipelines.cli.text import counted

LINE_EVERY_S = 5.0
QUIET_S = 30.0
"""After so long without records that are done, a line says what is known."""


class Step:
    """One step's progress: the records `done`, and in `worker_s` the seconds that workers spent.

    This one shows nothing.
    """

    def __init__(self) -> None:
        self.done = self.worker_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        return None

    def advance(self, records: float, seconds: float = 0.0) -> None:
        """Count records that are done."""
        self.done += records
        self.worker_s += seconds


def show(title: str, total: int, quiet: bool = False, known: Callable[[], str] | None = None) -> Step:
    """A step that shows itself as a bar on a terminal, as lines elsewhere; `quiet` shows nothing.

    `known` says what is known before records are done: these come in parts, which may take hours.
    """
    if quiet:
        return Step()
    return _Bar(title, total, known) if sys.stderr.isatty() else _Lines(title, total, known)


class _Lines(Step):
    def __init__(self, title: str, total: int, known: Callable[[], str] | None) -> None:
        super().__init__()
        self._title, self._total, self._known = title, total, known
        self._started = self._shown = time.monotonic()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if self._known:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def _watch(self) -> None:
        while not self._ended.wait(max(0.0, self._shown + QUIET_S - time.monotonic())):
            if self._known and time.monotonic() - self._shown >= QUIET_S:
                self._shown = time.monotonic()
                self._say(f"{self.done:.0f} of {self._total}, {self._known()}")

    def _say(self, what: str) -> None:
        print(f"{self._title}: {what}", file=sys.stderr, flush=True)

    def advance(self, records: float, seconds: float = 0.0) -> None:
        super().advance(records, seconds)
        now = time.monotonic()
        if now - self._shown >= LINE_EVERY_S:
            self._shown = now
            rate = self.done / (now - self._started)
            left = (self._total - self.done) / rate if rate else 0
            speed = f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"
            self._say(f"{self.done:.0f} of {self._total}, {speed}/s, {left:.0f} s left")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        took = time.monotonic() - self._started
        part = "" if kind is None else f"{self.done:.0f} of "
        self._say(f"{part}{counted(self._total, 'record')}, {took:.1f} s")


class _Known(ProgressColumn):
    max_refresh = 1.0

    def __init__(self, known: Callable[[], str]) -> None:
        super().__init__()
        self._known = known

    def render(self, task: Task) -> Text:
        return Text(self._known())


class _Bar(Step):
    def __init__(self, title: str, total: int, known: Callable[[], str] | None) -> None:
        super().__init__()
        tempo = [TaskProgressColumn(show_speed=True), TimeElapsedColumn(), TimeRemainingColumn()]
        self._progress = Progress(
            TextColumn("{task.description}" if known else "{task.description:<32}"),
            BarColumn(),
            MofNCompleteColumn(),
            *([TimeElapsedColumn(), _Known(known)] if known else tempo),  # 80 columns hold no more
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(title, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def advance(self, records: float, seconds: float = 0.0) -> None:
        super().advance(records, seconds)
        self._progress.advance(self._task, records)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._progress.update(self._task, completed=self._progress.tasks[0].total)
        self._progress.stop()
