"""When a record is asked again, and when nobody is asked any more.

429, 5xx, a time-out and a broken connection are asked again after 2, 4, 8 and 16 s and some jitter, or when
the server says. What the server does not take (400, 413, 422 and the like) may lie in one record: that is
settled once somebody was answered, or all who are asked side by side wait for that. If nobody was answered
meanwhile, nor is a grey picture, the run stops.
"""

import asyncio
import contextlib
import random
import time

from thresher.operators.base import Failure
from thresher.operators.models.chat.memo import Kept
from thresher.operators.models.chat.question import Question, Written
from thresher.operators.models.chat.replies import Trouble, Unfit
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
    """Records that are asked side by side, and stop together. `requests`: how many are under way at most;
    `conversations`: how many records."""

    error: ThresherError | None = None
    """Why nothing is asked any more."""

    def __init__(self, server: Server, requests: int, conversations: int) -> None:
        self.server = server
        self._began = time.monotonic()
        self._slots, self._judging = asyncio.Semaphore(requests), asyncio.Lock()
        self._stopped, self._settling = asyncio.Event(), asyncio.Event()
        self._running, self._waiting = conversations, 0

    def stop(self, error: ThresherError) -> ThresherError:
        """From now on nothing is asked; gives the first error."""
        self.error = self.error or error
        self._stopped.set()
        self._settling.set()
        return self.error

    def ended(self) -> None:
        """One conversation less, and none in its place."""
        self._running -= 1
        self._settle_if_due()

    async def complete(self, question: Question, written: Written) -> Kept | Failure | Unfit:
        """One completion, with patience. Raises ThresherError where no record would be answered."""
        started = since = time.monotonic()
        trouble = Trouble(Reason.ENDPOINT_TIMEOUT, "")
        for attempt in range(TRIES):
            if attempt:
                since = time.monotonic()
                wait = max(BACKOFF_S * 2 ** (attempt - 1), trouble.wait_s)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), wait + BACKOFF_S * random.random())
            async with self._slots:
                self._check()
                found = await self.server.once(written)
            if isinstance(found, Kept):
                self._settling.set()
            if not isinstance(found, Trouble):
                return found
            trouble = found
            if trouble.wait_s > PATIENCE_S:
                break
        async with self._judging:
            self._check()
            if not await self._alive(since, question):
                raise self.stop(self._silence(started, trouble))
        return Failure(trouble.reason, f"{trouble.message}, asked {attempt + 1} times")

    async def settle(self, question: Question, unfit: Unfit) -> Failure:
        """What a request that the server does not take says: of its record, or of all (ThresherError)."""
        self._waiting += 1
        self._settle_if_due()
        await self._settling.wait()
        self._waiting -= 1
        async with self._judging:
            self._check()
            if not await self._alive(self._began, question):
                raise self.stop(self.server.fault(unfit))
        return Failure(Reason.NOT_TAKEN, f"the server does not take this request: {unfit.message}")

    def excuse(self, error: Exception) -> Failure:
        """The failure of one record at which something unforeseen was raised; raises it again if no record
        was answered, since then it is no matter of one."""
        if self.server.answered < self._began:
            raise error
        return Failure(Reason.BAD_VALUE, f"{type(error).__name__}: {clean(str(error))}")

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def _settle_if_due(self) -> None:
        if self._waiting >= self._running:
            self._settling.set()

    async def _alive(self, since: float, question: Question) -> bool:
        """Whether somebody was answered `since`, or the probe is. A server that does not take the probe is
        alive if it answered anybody in this round."""
        if self.server.answered < since:
            probe = question.probe().written(self.server.model)
            if isinstance(await self.server.once(probe), Unfit):
                since = self._began
        return self.server.answered >= since

    def _silence(self, started: float, trouble: Trouble) -> ThresherError:
        silence = time.monotonic() - max(started, self.server.answered)
        what = f"it answered nothing for {silence:.0f} s: {trouble.message}"
        limited = trouble.reason == Reason.RATE_LIMITED
        first = "Wait for the limit to pass" if limited else "Mend the server, or name another `endpoint`"
        mend = f"{first}; the same command then asks for the rest"
        return ThresherError(what, self.server.url, mend)
