"""How long a device works while several threads feed it."""

import contextlib
import threading
import time
from collections.abc import Iterator

_thread = threading.local()


class Clock:
    """Seconds during which at least one thread was inside."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside, self._since = 0, 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._since = time.perf_counter()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self.seconds += time.perf_counter() - self._since


@contextlib.contextmanager
def clocked(clock: Clock) -> Iterator[None]:
    """Let `working` in this thread run `clock`."""
    _thread.clock = clock
    try:
        yield
    finally:
        _thread.clock = None


def working() -> contextlib.AbstractContextManager[None]:
    """Around what the device itself does, from the first kernel to the values on the host."""
    return getattr(_thread, "clock", None) or contextlib.nullcontext()
