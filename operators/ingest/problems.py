"""What a listing met and could not enter: bounded in memory, in an order of its own."""

import bisect
import re
from collections import Counter
from typing import Any

from thresher.operators.ingest.files import extension
from thresher.schemas.uris import quote_path

SHOWN = 1000
"""Paths named for each reason; the rest is only counted."""

_PLAIN = re.compile(r"[a-z0-9_]{1,10}")


class Problems:
    """Problems by reason, and files of other kinds counted by extension."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._shown: dict[str, list[tuple[str, str]]] = {}
        self._others: Counter[str] = Counter()

    def add(self, reason: str, path: bytes, message: str) -> None:
        """One path that is not entered."""
        self._counts[reason] += 1
        shown = self._shown.setdefault(reason, [])
        bisect.insort(shown, (quote_path(path), message))
        del shown[SHOWN:]

    def other(self, name: bytes, count: int = 1) -> None:
        """A file whose extension is none that the source takes."""
        suffix = extension(name)
        if suffix and not _PLAIN.fullmatch(suffix):
            suffix = "(odd)"
        self._others[suffix or "(none)"] += count

    def rows(self) -> list[dict[str, Any]]:
        """`path`, `reason`, `message`, `count`: the smallest paths of each reason, then the rest as one."""
        found = []
        for reason, shown in sorted(self._shown.items()):
            found += [_row(path, reason, message, 1) for path, message in shown]
            if rest := self._counts[reason] - len(shown):
                found.append(_row("", reason, f"and {rest:,} more", rest))
        for suffix, count in sorted(self._others.items()):
            dotted = suffix if suffix.startswith("(") else "." + suffix
            message = f"{count:,} files with extension {dotted} are not entered"
            found.append(_row(f"*{dotted}", "other_extension", message, count))
        return found


def _row(path: str, reason: str, message: str, count: int) -> dict[str, Any]:
    return {"path": path, "reason": reason, "message": message, "count": count}
