"""A conversion from start to end: into a folder that appears when it is whole."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from thresher.pipelines.convert.bagel import Bagel
from thresher.pipelines.convert.emu import Emu
from thresher.pipelines.convert.energon import Energon
from thresher.pipelines.convert.hf import HuggingFace
from thresher.pipelines.convert.kinds import KINDS
from thresher.pipelines.convert.layout import Layout, NoPlace, write_json
from thresher.pipelines.convert.llava import Llava
from thresher.pipelines.convert.source import Source, Unread
from thresher.pipelines.execute.progress import show
from thresher.schemas.errors import ThresherError, UsageError

LAYOUTS: dict[str, Callable[[Path, Path, Source, int], Layout]] = {
    "bagel": Bagel,
    "energon": Energon,
    "llava": Llava,
    "hf": HuggingFace,
    "emu": Emu,
}
VERSION = 1
MANIFEST = "convert.json"
_SHOWN_KEYS = 3


@dataclass
class Conversion:
    """What became of the records."""

    folder: Path
    records: int
    parts: dict[str, int] = field(default_factory=dict)
    """Part of the layout -> records in it."""
    left: list[str] = field(default_factory=list)
    """Which records have no place in it and why, in words."""
    notes: list[str] = field(default_factory=list)
    again: bool = False
    """True if the folder held this very conversion already."""


def convert(export: Path, to: str, out: Path, row_groups: int = 32, split: str = "train") -> Conversion:
    """Write the export in `export` into the new folder `out` as the layout `to`, one of `LAYOUTS`.

    `row_groups`: the pieces that readers share, for BAGEL at least ranks x workers of the training.
    Raises ThresherError if there is no export, nothing of it fits, or `out` holds something else.
    """
    source = Source(export, split)
    home = Path(os.path.abspath(out))
    wanted = {"version": VERSION, "to": to, "export": source.digest, "row_groups": row_groups, "split": split}
    if (done := _finished(home, wanted)) is not None:
        return Conversion(**(done | {"folder": home, "again": True}))
    home.parent.mkdir(parents=True, exist_ok=True)
    folder = home.with_name(f".{home.name}.tmp")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        made = _fill(LAYOUTS[to](folder, home, source, row_groups), source, home)
        told = {name: value for name, value in asdict(made).items() if name not in ("folder", "again")}
        write_json(folder / MANIFEST, wanted | told)
        os.sync()
        folder.rename(home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return made


def _finished(home: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """What the finished conversion in `home` tells of itself, or None if there is nothing."""
    if not home.exists() or (home.is_dir() and not any(home.iterdir())):
        return None
    try:
        told: dict[str, Any] = json.loads((home / MANIFEST).read_bytes())
    except (OSError, ValueError):
        told = {}
    other = [name for name, value in wanted.items() if told.pop(name, None) != value]
    if other:
        what = f"a conversion with another {', another '.join(other)}" if told else "something else"
        raise UsageError(f"this folder holds {what}", str(home), "Remove it, or name another with -o")
    return told


def _fill(layout: Layout, source: Source, home: Path) -> Conversion:
    parts, left = Counter[str](), Counter[str]()
    keys: dict[str, list[str]] = {}
    with show(f"convert {source.folder.name}", source.records) as step:
        for sample in source.samples():
            why = ""
            if isinstance(sample, Unread):
                why = sample.why
            else:
                try:
                    parts[layout.add(sample)] += 1
                except NoPlace as error:
                    why = f"{KINDS[sample.kind][1]}: {error}"
            if why:
                left[why] += 1
                keys.setdefault(why, []).append(sample.key)
                del keys[why][_SHOWN_KEYS:]
            step.advance(1)
    notes = layout.close()
    total = sum(parts.values()) + sum(left.values())
    said = [_said(count, total, why, keys[why]) for why, count in sorted(left.items())]
    if not parts:
        raise ThresherError(
            "nothing of this export fits this layout: " + "; ".join(said),
            where=str(source.folder),
            mend="Choose another with --to",
        )
    return Conversion(home, total, dict(sorted(parts.items())), said, notes)


def _said(count: int, total: int, why: str, keys: list[str]) -> str:
    what, _, reason = why.partition(": ")
    more = ", ..." if count > len(keys) else ""
    return f"{count:,} of {total:,} records ({what}): {reason} ({', '.join(keys)}{more})"
