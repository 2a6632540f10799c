"""What a run directory holds that its recipe no longer refers to."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thresher.pipelines.store.files import read_json
from thresher.pipelines.view import RunView


@dataclass(frozen=True)
class Garbage:
    """One folder that may go."""

    path: Path
    what: str
    bytes: int


def find_garbage(run: RunView, exports: bool = False) -> list[Garbage]:
    """Passes, decisions, ledgers and exports that the last plan does not use.

    `exports`: also those in a folder of `export.to`, which other runs may share.
    """
    found = (Garbage(path, what, _size(path)) for path, what in _unused(run))
    return [g for g in found if exports or g.path.is_relative_to(run.folder)]


def remove(garbage: list[Garbage]) -> None:
    """Delete what was found."""
    for item in garbage:
        shutil.rmtree(item.path)


def _unused(run: RunView) -> Iterator[tuple[Path, str]]:
    for table in run.tables():
        plan = run.plan(table)
        wanted = {s["fingerprint"] for s in plan["steps"]}
        for folder in _folders(run.folder / "columns" / table):
            operators = read_json(folder / "pass.json") or {}
            if not wanted & set(operators.values()):
                yield folder, "columns of " + " + ".join(operators)
        used = {Path(d).name for d in plan["decisions"].values()}
        for folder in _folders(run.folder / "global" / table):
            if folder.name not in used:
                yield folder, "decisions of " + folder.name.split("@")[0]
        yield from ((folder, "an earlier export") for folder in run.exports(table)[1:])
    ledgers = {str(run.plan(t).get("ledger")) for t in run.tables()}
    for folder in _folders(run.folder / "ledger"):
        if f"ledger/{folder.name}" not in ledgers:
            yield folder, "an earlier ledger"


def _folders(parent: Path) -> list[Path]:
    if not parent.exists():
        return []
    return sorted(p for p in parent.iterdir() if p.is_dir() and not p.is_symlink())


def _size(path: Path) -> int:
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
