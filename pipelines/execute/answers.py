"""How many answers of models have come, from the journals in the memo: those of all processes."""

import time
from pathlib import Path

from thresher.operators.base import Operator
from thresher.operators.models.chat.measure import ChatMeasure
from thresher.operators.models.chat.memo import ENTRY
from thresher.pipelines.cli.text import counted

LONG_S = 10.0
"""A silence that is worth a word."""


def asks_a_model(operator: Operator) -> bool:
    """Whether answers are to be expected of a step, here or of a server."""
    return isinstance(operator, ChatMeasure) and bool(operator.params.endpoint or operator.params.local)


class Answers:
    """Those that come from now on."""

    def __init__(self, memo: Path) -> None:
        self._memo, self._before, self._began = memo, 0, time.time()
        self._before = self._now()[0]

    def __call__(self) -> str:
        """Such as `22 answers, none for 40 s`: requests may hang, or none be under way."""
        count, last = self._now()
        silent = time.time() - max(last, self._began)
        said = f", none for {silent:.0f} s" if silent >= LONG_S else ""
        return counted(count, "answer") + said

    def _now(self) -> tuple[int, float]:
        """(answers, when the last one came)."""
        journals = [file.stat() for file in self._memo.glob("*.idx")]
        count = sum(journal.st_size // ENTRY.itemsize for journal in journals) - self._before
        return count, max((journal.st_mtime for journal in journals), default=0.0)
