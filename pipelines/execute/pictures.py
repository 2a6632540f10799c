"""Pictures of a run, opened one by one in a child process: a broken file costs itself."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from thresher.operators.base import Failure, View
from thresher.operators.views import MediaError, open_views
from thresher.operators.views.opener import Opener
from thresher.pipelines.execute.batches import set_timers
from thresher.pipelines.execute.child import Child
from thresher.pipelines.execute.guarded import attempt
from thresher.pipelines.recipe import Profile
from thresher.pipelines.view import RunView
from thresher.schemas import Media

Use = Callable[[NDArray[np.uint8]], Any]
"""What to make of a picture, uint8 (h, w, 3), in the child: a module's function, whose answer fits JSON."""


class _Asked(NamedTuple):
    roots: Mapping[str, str]
    spool: str
    source: str
    medium: Mapping[str, Any]
    view: View
    use: Use


class Pictures:
    """The pictures of one table."""

    def __init__(self, run: RunView, table: str) -> None:
        self._roots = run.plan(table)["roots"]
        self._spool = str(run.folder / "media" / table / "ingest")
        self._child = Child()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, row: Mapping[str, Any], view: View, use: Use) -> Any:
        """What `use` makes of a record's picture; None if it cannot be opened. `row`: `source`, `media`."""
        asked = _Asked(self._roots, self._spool, row["source"], row["media"][0], view, use)
        found = attempt(partial(self._child.run, _used, asked), *_limits())
        return None if isinstance(found, Failure) else found

    def close(self) -> None:
        """End the child."""
        self._child.close()


def _used(asked: _Asked) -> Any:
    """Runs in the child. The limits are those of opening: `use` may load a model."""
    opener = Opener(asked.roots, asked.spool)
    try:
        set_timers(*_limits())
        pixels = open_views(opener.read(asked.source, Media(**asked.medium)), [asked.view])[asked.view]
    except MediaError:
        return None
    finally:
        set_timers(0, 0)
        opener.close()
    return asked.use(pixels)


def _limits() -> tuple[float, float]:
    """Processor and wall time for one picture, s."""
    profile = Profile()
    return profile.record_cpu_s, profile.record_wall_s
