"""When a record is asked again, and when nobody is asked any more.

429, 5xx, a time-out and a broken connection are asked again after 2, 4, 8 and 16 s and some jitter, or when
the server says. What the server does not take (400, 413, 422 and the like) may lie in one record: that is
settled once all have been asked. If nobody was answered meanwhile, nor is a grey picture, the run stops.
"""

import random
import threading
import time
from typing import Any

from thresher.operators.base import Failure
from thresher.operators.models.chat.replies import Reply, Trouble, Unfit
from thresher.operators.models.chat.server import Server
from thresher.operators.models.chat.wire import clean
from thresher.schemas import Reason
from thresher.schemas.errors import ThresherError

TRIES = 5
BACKOFF_S = 2.0
"""The first wait; each one after it is twice as long."""
PATIENCE_S = 300.0
"""Who asks for a longer wait is asked again by the next run."""


class Round:
    """Records that are asked side by side, and stop together. `probe`: a request of their form that any
    server takes that would take them."""

    def __init__(self, server: Server, probe: dict[str, Any]) -> None:
        self._server, self._probe = server, probe
        self._began = time.monotonic()
        self._error: ThresherError | None = None
        self._stopped, self._judging = threading.Event(), threading.Lock()

    def stop(self, error: ThresherError) -> ThresherError:
        """From now on nothing is asked; gives the first error."""
        self._error = self._error or error
        self._stopped.set()
        return self._error

    def complete(self, body: dict[str, Any]) -> Reply | Failure | Unfit:
        """One completion, with patience. Raises ThresherError where no record would be answered."""
        started = since = time.monotonic()
        trouble = Trouble(Reason.ENDPOINT_TIMEOUT, "")
        for attempt in range(TRIES):
            if attempt:
                since = time.monotonic()
                wait = max(BACKOFF_S * 2 ** (attempt - 1), trouble.wait_s)
                self._stopped.wait(wait + BACKOFF_S * random.random())
            if self._error is not None:
                raise self._error
            found = self._server.once(body)
            if not isinstance(found, Trouble):
                return found
            trouble = found
            if trouble.wait_s > PATIENCE_S:
                break
        with self._judging:
            if self._error is not None:
                raise self._error
            if not self._alive(since):
                raise self.stop(self._silence(started, trouble))
        return Failure(trouble.reason, f"{trouble.message}, asked {attempt + 1} times")

    def settle(self, unfit: Unfit) -> Failure | ThresherError:
        """What a request that the server does not take says, once all were asked: of it, or of all."""
        try:
            if self._error is None and not self._alive(self._began):
                return self.stop(self._server.fault(unfit))
        except ThresherError as error:
            return self.stop(error)
        if self._error is not None:
            return self._error
        return Failure(Reason.ENDPOINT_TIMEOUT, f"the server does not take this request: {unfit.message}")

    def excuse(self, error: Exception) -> Failure:
        """The failure of one record at which something unforeseen was raised; raises it again if no record
        was answered, since then it is no matter of one."""
        if self._server.answered < self._began:
            raise error
        return Failure(Reason.BAD_VALUE, f"{type(error).__name__}: {clean(str(error))}")

    def _alive(self, since: float) -> bool:
        """Whether somebody was answered `since`, or the probe is. A server that does not take the probe is
        alive if it answered anybody in this round."""
        if self._server.answered < since and isinstance(self._server.once(self._probe), Unfit):
            since = self._began
        return self._server.answered >= since

    def _silence(self, started: float, trouble: Trouble) -> ThresherError:
        silence = time.monotonic() - max(started, self._server.answered)
        what = f"it answered nothing for {silence:.0f} s: {trouble.message}"
        limited = trouble.reason == Reason.RATE_LIMITED
        first = "Wait for the limit to pass" if limited else "Mend the server, or name another `endpoint`"
        mend = f"{first}; the same command then asks for the rest"
        return ThresherError(what, self._server.url, mend)
