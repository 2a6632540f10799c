"""What every layout does, and what several of them write: texts, image files, lines."""

import json
from pathlib import Path
from typing import Any, Protocol

from thresher.pipelines.convert.source import Sample
from thresher.schemas.segments import Segment, texts_of


class NoPlace(Exception):
    """A sample that the layout cannot hold; the message says why, after `bagel: `."""


class Layout(Protocol):
    """Writes samples into a folder."""

    def add(self, sample: Sample) -> str:
        """Write `sample`; returns the name of the part that took it. Raises NoPlace."""

    def close(self) -> list[str]:
        """Finish all files; returns what the user should be told."""


def nowhere(name: str) -> NoPlace:
    """The layout `name` has no place for this kind of sample."""
    return NoPlace(f"{name} has no place for them")


def variants(segment: Segment) -> dict[str, str]:
    """The different texts of a segment by name: one that stood there twice would be drawn twice as often."""
    by_text: dict[str, str] = {}
    for name, text in texts_of(segment).items():
        by_text.setdefault(text, name)
    return {name: text for text, name in by_text.items() if text}


def first_text(segment: Segment) -> str:
    """The text that stands in the segment itself, or else its first variant."""
    return next(iter(variants(segment).values()))


class Pictures:
    """Image files below `folder`, in 256 subfolders, so that none grows too large to list."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, sample: Sample, segment: Segment) -> str:
        """Write the segment's file as it is; returns its path below the folder."""
        path = self._folder / sample.key[:2] / f"{sample.key}{segment['ref']}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample.image(segment))
        return path.relative_to(self._folder).as_posix()


class Lines:
    """A JSONL file, made at its first line. ASCII, since readers open it in whatever encoding is theirs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0

    def add(self, data: Any) -> None:
        """Append one line."""
        if not self.count:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "w", encoding="ascii")  # noqa: SIM115
        self._file.write(json.dumps(data) + "\n")
        self.count += 1

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self.count:
            self._file.close()


def write_json(path: Path, data: Any) -> None:
    """A small JSON file for people and programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="ascii")
