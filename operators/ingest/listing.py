"""What a source holds: one row for each file with records, and what could not be entered.

Local folders are walked as raw bytes; rows go to Arrow in small batches, so that the driver holds
no Python object for each file.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from thresher.operators.ingest.files import Found, Root
from thresher.operators.ingest.problems import Problems
from thresher.operators.ingest.source import Source
from thresher.operators.ingest.units import ENDINGS, Units


@dataclass(frozen=True)
class Listing:
    """`units`: `units.UNITS`, one row for each image file (folder) or container (shards, parquet),
    in any order. `problems`: `path` (as a uri), `reason`, `message` and `count`, sorted."""

    units: pa.Table
    problems: list[dict[str, Any]]


def list_source(source: Source) -> Listing:
    """List a source as it is now. Raises OSError only if a remote store cannot be reached."""
    root, problems = Root(source.root), Problems()
    units = Units(source.kind, problems)
    for place in _places(root, source.patterns, problems):
        if not root.is_folder(place):
            _add_file(root, place, units, problems)
        elif root.local:
            _walk(root, place, units, problems)
        else:
            _add_remote(root, place, units, problems)
    return Listing(units.finish(), problems.rows())


def describe(source: Source, listing: Listing) -> str:
    """Two sentences: what the source holds besides records, and what it takes."""
    found: Counter[str] = Counter()
    for problem in listing.problems:
        other = problem["reason"] == "other_extension"
        found[problem["path"] if other else problem["reason"]] += problem["count"]
    if listing.units.num_rows:
        found["files without a record"] = listing.units.num_rows
    held = ", ".join(f"{count:,} {what}" for what, count in found.most_common()) or "nothing"
    takes = ", ".join(ending.decode() for ending in ENDINGS[source.kind])
    return f"{source.root} holds {held}. `{source.kind}` takes files that end in {takes}."


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


def _add_file(root: Root, path: bytes, units: Units, problems: Problems) -> None:
    """A file that the recipe names: entered whatever its extension."""
    try:
        units.add(root.stat(path))
    except IsADirectoryError:
        problems.add("not_a_file", path, "neither a file nor a folder")
    except OSError as error:
        problems.add("unreadable", path, error.strerror or str(error))


def _add_remote(root: Root, place: bytes, units: Units, problems: Problems) -> None:
    for found in root.remote_files(place):
        inside = found.path[len(place) :].lstrip(b"/").split(b"/")
        if any(part.startswith(b".") for part in inside):
            problems.add("hidden", found.path, "hidden")
        elif units.wants(inside[-1]):
            units.add(found)
        else:
            problems.other(inside[-1])


def _walk(root: Root, start: bytes, units: Units, problems: Problems) -> None:
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
                        _visit(entry, path, inside, units, problems)
        except OSError as error:
            problems.add("unreadable", folder, error.strerror or str(error))
        units.folder_end()


def _visit(entry: "os.DirEntry[bytes]", path: bytes, inside: bytes, units: Units, problems: Problems) -> None:
    if entry.name.startswith(b"."):
        problems.add("hidden", path, "hidden folder" if entry.is_dir(follow_symlinks=False) else "hidden")
        return
    try:
        if entry.is_symlink() and (fault := _link_fault(entry, inside)):
            problems.add(fault[0], path, fault[1])
        elif not entry.is_file():
            problems.add("not_a_file", path, "a socket, pipe or device")
        elif units.wants(entry.name):
            state = entry.stat()
            units.add(Found(path, state.st_size, state.st_mtime_ns, ""))
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
