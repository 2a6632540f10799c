"""Ray execution: tasks over parts, a bounded number in flight, results as they end."""

import itertools
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from thresher.pipelines.execute.devices import model_passes
from thresher.pipelines.execute.executor import Function
from thresher.pipelines.execute.guarded import run_guarded
from thresher.pipelines.execute.models import on_device
from thresher.pipelines.execute.task import PassTask, run_pass
from thresher.pipelines.recipe.profile import Profile
from thresher.schemas.errors import ThresherError

WINDOW = 2
"""Tasks in flight for each worker: one runs, one waits."""
GRACE_S = 60
"""How long the other tasks may finish the records in work when one stops the run."""
LOST_TRIES = 5
"""How often work is sent again after a node was lost."""


class RayExecutor:
    """Starts Ray on the first piece of work; joins a cluster only when RAY_ADDRESS or the profile says so."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._workers = profile.processes
        self._session: Path | None = None
        self._own = False
        self._nodes = 0

    @property
    def started(self) -> bool:
        """True from the first piece of work to `close`."""
        return self._session is not None

    def passes(self, tasks: Iterable[PassTask]) -> Iterator[tuple[int, float]]:
        """Run every task; a task whose worker died is redone in guarded mode."""
        ray = self._ray()
        queue = iter(tasks)
        head = next(queue, None)
        if head is None:
            return
        queue = itertools.chain([head], queue)
        if on_device(head):
            try:
                yield from model_passes(ray, queue)
            except ray.exceptions.RayTaskError as error:
                raise _cause(error) from error
            return
        plain = ray.remote(num_cpus=1, max_retries=0)(run_pass)
        guarded = ray.remote(num_cpus=1, max_retries=0)(run_guarded)
        flight: dict[Any, tuple[PassTask, bool, int]] = {}
        while True:
            while len(flight) < self._workers * WINDOW and (task := next(queue, None)):
                flight[plain.remote(task)] = task, False, 0
            if not flight:
                return
            ready, _ = ray.wait(list(flight), num_returns=1, timeout=5)
            for ref in ready:
                task, is_guarded, lost = flight.pop(ref)
                try:
                    yield ray.get(ref)
                except ray.exceptions.RayTaskError as error:
                    (Path(head.run) / "log" / "stop").touch()
                    ray.wait([*flight, ref], num_returns=len(flight) + 1, timeout=GRACE_S)
                    raise _cause(error) from error
                except ray.exceptions.RayError:
                    if self._lost_node() or is_guarded:
                        lost += 1
                    else:
                        is_guarded = True
                    if lost > LOST_TRIES:
                        raise ThresherError(
                            f"part {task.part} was lost {lost} times with its worker",
                            f"table {task.table}",
                            "Look at the node's memory and disk, then run again",
                        ) from None
                    flight[(guarded if is_guarded else plain).remote(task)] = task, is_guarded, lost

    def map(self, fn: Function, items: Iterable[Any], rescue: Function | None = None) -> Iterator[Any]:
        """`fn(item)` for each item, in order; work lost with a node is sent again. With `rescue`, work
        whose worker died goes there instead."""
        ray = self._ray()
        again = ray.remote(num_cpus=1, max_retries=LOST_TRIES)(_call)
        first = ray.remote(num_cpus=1, max_retries=0)(_call) if rescue else again
        queue = iter(items)
        flight: deque[tuple[Any, Any, bool]] = deque()
        while True:
            for item in itertools.islice(queue, self._workers * WINDOW - len(flight)):
                flight.append((first.remote(fn, item), item, rescue is not None))
            if not flight:
                return
            ref, item, rescuable = flight.popleft()
            try:
                answer = ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                raise _cause(error) from error
            except ray.exceptions.RayError as error:
                if not rescuable:
                    raise ThresherError(
                        f"a worker was lost: {type(error).__name__}", mend="Run the same command again"
                    ) from error
                flight.appendleft((again.remote(rescue, item), item, False))
            else:
                yield answer

    def close(self) -> None:
        """Shut Ray down and remove the session folder that this start left."""
        if self._session is None or not self._own:
            return
        import ray

        ray.shutdown()
        if self._session.name.startswith("session_"):
            shutil.rmtree(self._session, ignore_errors=True)
        self._session = None

    def _ray(self) -> Any:
        import ray

        if self._session is None:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            os.environ.setdefault("RAY_task_events_max_num_task_in_gcs", "1000")
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
            os.environ.setdefault("OMP_NUM_THREADS", "1")
            # Ray's default of 15 halves a worker's rate beside any other work on the machine.
            os.environ.setdefault("RAY_worker_niceness", "0")
            self._own = not ray.is_initialized()
            if self._own:
                self._start(ray)
            self._session = Path(ray._private.worker.global_worker.node.get_session_dir_path())
            self._nodes = _alive(ray)
        return ray

    def _start(self, ray: Any) -> None:
        address = self._profile.ray_address or os.environ.get("RAY_ADDRESS") or "local"
        local: dict[str, Any] = {}
        if address == "local":
            local = {
                "num_cpus": self._workers,
                "object_store_memory": (self._profile.object_store_mb or 512) << 20,
                "include_dashboard": False,
                "_temp_dir": os.path.join(tempfile.gettempdir(), "ray"),
            }
        # Ray prints errors of its daemons to standard output, which belongs to `--json`; this
        # executor tells the user of every death itself.
        ray._private.worker.print_to_stdstream = lambda *_, **__: None
        ray.init(address, log_to_driver=False, logging_level="ERROR", **local)

    def _lost_node(self) -> bool:
        """True when fewer nodes live than before: then no record is to blame."""
        import ray

        alive = _alive(ray)
        lost, self._nodes = alive < self._nodes, alive
        return lost


def _call(fn: Function, item: Any) -> Any:
    return fn(item)


def _alive(ray: Any) -> int:
    return sum(1 for node in ray.nodes() if node["Alive"])


def _cause(error: Any) -> Exception:
    cause = getattr(error, "cause", None)
    if isinstance(cause, ThresherError):
        return cause
    return ThresherError(f"unexpected {type(cause).__name__}: {cause}. Run again with --debug to see where.")
