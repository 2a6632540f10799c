"""What a source holds: one row for each file with records, and what could not be entered.

Local folders are walked as raw bytes; rows go to Arrow in small batches, so that the driver holds
no Python object for each file.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from thresher.operators.ingest.files import Found, Root
from thresher.operators.ingest.problems import Problems
from thresher.operators.ingest.source import Source
from thresher.operators.ingest.units import ContainerUnits, ImageUnits


@dataclass(frozen=True)
class Listing:
    """`units`: `units.UNITS`, one row for each image file (folder) or container (shards, parquet),
    in any order. `problems`: `path` (as a uri), `reason`, `message` and `count`, sorted."""

    units: pa.Table
    problems: list[dict[str, Any]]


class Collector(Protocol):
    """Takes the files of a walk."""

    def wants(self, name: bytes) -> bool:
        """True if a file of this name matters, so that its size and age are needed."""
        ...

    def add(self, found: Found) -> None: ...

    def folder_end(self) -> None:
        """All files of a folder have been added."""
        ...

    def finish(self) -> pa.Table: ...


SHARD_NAMES = (b".tar", b".tar.gz", b".tgz")
PARQUET_NAMES = (b".parquet", b".pq")


def list_source(source: Source) -> Listing:
    """List a source as it is now. Raises OSError only if a remote store cannot be reached."""
    root, problems = Root(source.root), Problems()
    collector: Collector
    if source.kind == "folder":
        collector = ImageUnits(problems)
    else:
        collector = ContainerUnits(problems, SHARD_NAMES if source.kind == "shards" else PARQUET_NAMES)
    for place in _places(root, source.patterns, problems):
        if not root.is_folder(place):
            _add_file(root, place, collector, problems)
        elif root.local:
            walk(root, place, collector, problems)
        else:
            _add_remote(root, place, collector, problems)
    collector.folder_end()
    return Listing(collector.finish(), problems.rows())


def _places(root: Root, patterns: tuple[str, ...], problems: Problems) -> list[bytes]:
    """Relative paths that the patterns name, each once, none below another."""
    found: set[bytes] = set()
    for pattern in patterns:
        matches = root.match(pattern) if pattern else [b""]
        if not matches:
            problems.add("missing_source", os.fsencode(pattern), "named in the recipe, not there")
        found.update(matches)
    return sorted(path for path in found if not any(folder in found for folder in _ancestors(path)))


def _ancestors(path: bytes) -> Iterator[bytes]:
    while path:
        path = path.rpartition(b"/")[0]
        yield path


def _add_file(root: Root, path: bytes, collector: Collector, problems: Problems) -> None:
    """A file that the recipe names: entered whatever its extension."""
    try:
        collector.add(root.stat(path))
    except IsADirectoryError:
        problems.add("not_a_file", path, "neither a file nor a folder")
    except OSError as error:
        problems.add("unreadable", path, error.strerror or str(error))


def _add_remote(root: Root, place: bytes, collector: Collector, problems: Problems) -> None:
    for found in root.remote_files(place):
        name = found.path.rpartition(b"/")[2]
        inside = found.path[len(place) :].lstrip(b"/")
        if any(part.startswith(b".") for part in inside.split(b"/")):
            problems.add("hidden", found.path, "hidden")
        elif collector.wants(name):
            collector.add(found)
        else:
            problems.other(name)


def walk(root: Root, start: bytes, collector: Collector, problems: Problems) -> None:
    """Every file below a local folder. Links to folders are reported, never followed: what lies inside
    the root is met under its own path, and so a loop cannot arise."""
    folders = [start]
    inside = os.path.realpath(root.join(b"")).rstrip(b"/") + b"/"
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root.join(folder)) as entries:
                for entry in entries:
                    path = folder + b"/" + entry.name if folder else entry.name
                    if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(b"."):
                        folders.append(path)
                    else:
                        _visit(entry, path, inside, collector, problems)
        except OSError as error:
            problems.add("unreadable", folder, error.strerror or str(error))
        collector.folder_end()


def _visit(
    entry: "os.DirEntry[bytes]", path: bytes, inside: bytes, collector: Collector, problems: Problems
) -> None:
    if entry.name.startswith(b"."):
        problems.add("hidden", path, "hidden folder" if entry.is_dir(follow_symlinks=False) else "hidden")
        return
    try:
        if entry.is_symlink() and (fault := _link_fault(entry, inside)):
            problems.add(fault[0], path, fault[1])
        elif not entry.is_file():
            problems.add("not_a_file", path, "a socket, pipe or device")
        elif collector.wants(entry.name):
            state = entry.stat()
            collector.add(Found(path, state.st_size, state.st_mtime_ns, ""))
        else:
            problems.other(entry.name)
    except OSError as error:
        problems.add("unreadable", path, error.strerror or str(error))


def _link_fault(entry: "os.DirEntry[bytes]", inside: bytes) -> tuple[str, str] | None:
    """Why a link is not entered; None for a link to a file inside the root."""
    target = os.path.realpath(entry.path)
    home = os.path.realpath(os.path.dirname(entry.path))
    if (home + b"/").startswith(target.rstrip(b"/") + b"/") or os.path.islink(target):
        return "link_loop", "a link that leads back to itself"
    if not target.startswith(inside):
        return "link_outside", "a link out of the root. Add its target as a source of its own"
    if not os.path.exists(target):
        return "broken_link", "a link to nothing"
    if os.path.isdir(target):
        return "link_to_folder", "a link to a folder of the root: its files are entered by their own path"
    return None
