"""Model passes on Ray: an actor for each device holds the weights, CPU tasks decode and prepare for it.

Prepared slices travel through the object store: so many are under way for a device that every CPU has one,
but no more than half of the store holds. The slices of a part go to one actor, which writes its fragments.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from thresher.pipelines.execute.computer import Computer
from thresher.pipelines.execute.guarded import run_guarded
from thresher.pipelines.execute.models import Preparer, slices
from thresher.pipelines.execute.task import FragmentWriter, PassTask, StopFlag
from thresher.schemas.errors import ThresherError

LEAST = 4
"""Slices under way for a device before their size is known."""


class DeviceWorker:
    """The actor: one device, one part at a time."""

    _computer: Computer
    _writer: FragmentWriter

    def begin(self, task: PassTask) -> None:
        """Start a part; the model is loaded with the first slice."""
        self._computer, self._writer = Computer(task), FragmentWriter(task)

    def compute(self, offsets: list[int], prepared: list[Any]) -> int:
        """A slice of the part; its size in bytes."""
        self._write(self._computer.add(offsets, prepared))
        return sum(map(_bytes, prepared))

    def finish(self) -> tuple[int, float]:
        """Write what is left of the part; (rows, seconds)."""
        self._write(self._computer.rest())
        return self._writer.close()

    def _write(self, tables: Iterable[pa.Table]) -> None:
        try:
            for table in tables:
                self._writer.add(table)
        except BaseException:  # what was computed before is kept
            self._writer.close()
            raise


def prepare(task: PassTask, offsets: list[int]) -> list[Any]:
    """The CPU's half of a slice."""
    preparer = Preparer(task)
    made = preparer.prepare(offsets)
    preparer.close()
    return made


class Feed:
    """One actor, and what is under way for it."""

    def __init__(self, ray: Any, gpus: float, devices: int) -> None:
        self.gpus = gpus
        self._resources = {name: held / devices for name, held in ray.cluster_resources().items()}
        self.ahead = LEAST
        self.actor = ray.remote(num_cpus=0, num_gpus=gpus)(DeviceWorker).remote()
        self._prepare = ray.remote(num_cpus=1, max_retries=0)(prepare)
        self._task: PassTask | None = None
        self._slices: Iterator[list[int]] = iter(())
        self.flight: deque[tuple[Any, PassTask, bool]] = deque()
        """(answer, task, whether it ends the part), oldest first."""

    def send(self, queue: Iterator[PassTask]) -> bool:
        """Submit the next part, or its next slice, or its end; False if there is nothing more."""
        task = self._task or next(queue, None)
        if task is None:
            return False
        if self._task is None:
            self._task, self._slices = task, slices(task)
            answer, last = self.actor.begin.remote(task), False
        elif (rows := next(self._slices, None)) is None or StopFlag(task.run):
            self._task = None
            answer, last = self.actor.finish.remote(), True
        else:
            answer, last = self.actor.compute.remote(rows, self._prepare.remote(task, rows)), False
        self.flight.append((answer, task, last))
        return True

    def learn(self, size: int) -> None:
        """Know from the bytes of a slice how many may be under way."""
        cpus, store = self._resources["CPU"], self._resources["object_store_memory"]
        self.ahead = int(max(2, min(max(LEAST, cpus + 2), store / 2 / max(size, 1))))

    @property
    def room(self) -> float:
        """Slices that may still be sent, as a share."""
        return 1 - len(self.flight) / self.ahead

    def others(self, dead: PassTask) -> list[PassTask]:
        """Parts besides `dead` that were given to the actor and have not ended: another must do them."""
        given = [task for _, task, _ in self.flight] + ([self._task] if self._task else [])
        return list({task.part: task for task in given if task.part != dead.part}.values())


def model_passes(ray: Any, tasks: Iterable[PassTask]) -> Iterator[tuple[int, float]]:
    """Run passes of one model; a part during which a process died is redone record by record."""
    queue: Iterator[PassTask] = iter(tasks)
    devices = _devices(ray)
    feeds = [Feed(ray, gpus, len(devices)) for gpus in devices]
    guarded = ray.remote(num_cpus=1, max_retries=0)(run_guarded)
    while True:
        feed = max(feeds, key=lambda feed: feed.room)
        if feed.room > 0 and feed.send(queue):
            continue
        busy = [feed for feed in feeds if feed.flight]
        if not busy:
            break
        ray.wait([feed.flight[0][0] for feed in busy], num_returns=1, timeout=5)
        for feed in busy:
            while feed.flight and ray.wait([feed.flight[0][0]], timeout=0)[0]:
                answer, task, last = feed.flight.popleft()
                try:
                    result = ray.get(answer)
                except ray.exceptions.RayError as error:
                    if not _lost(ray, error):
                        raise
                    queue = itertools.chain(feed.others(task), queue)
                    ray.kill(feed.actor)
                    feeds[feeds.index(feed)] = Feed(ray, feed.gpus, len(devices))
                    yield _again(ray, guarded, task)
                    break
                if last:
                    yield result
                elif result:
                    feed.learn(result)
    for feed in feeds:
        ray.kill(feed.actor)


def _lost(ray: Any, error: Exception) -> bool:
    """Whether a process died: the actor's own, or the one that prepared the slice it was given."""
    cause = getattr(error, "cause", error)
    return isinstance(cause, ray.exceptions.RayError) and not isinstance(cause, ray.exceptions.RayTaskError)


def _again(ray: Any, guarded: Any, task: PassTask) -> tuple[int, float]:
    try:
        return tuple(ray.get(guarded.remote(task)))
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        what = f"part {task.part} was lost with its worker: {type(error).__name__}"
        raise ThresherError(what, f"table {task.table}", "Run the same command again") from error


def _bytes(prepared: Any) -> int:
    """Of the arrays for one record."""
    parts = prepared if isinstance(prepared, tuple | list) else (prepared,)
    return sum(int(getattr(part, "nbytes", 0)) for part in parts)


def _devices(ray: Any) -> list[float]:
    """`num_gpus` of each actor: one for each GPU of the cluster, or one without if it has none."""
    return [1.0] * int(ray.cluster_resources().get("GPU", 0)) or [0.0]
