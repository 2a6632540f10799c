"""Coroutines that ask one by one, and a model that answers in batches."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from thresher.schemas.errors import ThresherError

Q = TypeVar("Q")
A = TypeVar("A")
_QUIET = 4
"""Turns of the event loop without a new question after which everybody waits: a coroutine takes one to go on
from an answer to its next question, and one more for each `gather` in between."""


class Gathering(Generic[Q, A]):
    """Questions of the coroutines of one event loop: a batch is answered, in a thread, when it is full or all
    coroutines wait. `async with Gathering(...)` while they run."""

    def __init__(self, most: Callable[[], int], answer: Callable[[Sequence[Q]], Sequence[A]]) -> None:
        self._most, self._answer = most, answer
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._asked = asyncio.Event()
        self._error: ThresherError | None = None

    async def __aenter__(self) -> "Gathering[Q, A]":
        self._server = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.cancel()

    async def ask(self, question: Q) -> A:
        """The answer. Raises what answering raised; after a ThresherError nothing more is answered."""
        if self._error:
            raise self._error
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        self._asked.set()
        return await future

    async def _serve(self) -> None:
        while True:
            await self._asked.wait()
            await self._settled()
            batch = [self._waiting.popleft() for _ in range(min(self._most(), len(self._waiting)))]
            try:
                answers = await asyncio.to_thread(self._answer, [question for question, _ in batch])
            except Exception as error:
                self._fail(error, batch)
            else:
                for (_, future), answer in zip(batch, answers, strict=True):
                    if not future.done():  # who asked may have been cancelled
                        future.set_result(answer)
            if not self._waiting:
                self._asked.clear()

    async def _settled(self) -> None:
        """Let every coroutine that can go on get to its next question."""
        seen, quiet = len(self._waiting), 0
        while len(self._waiting) < self._most() and quiet < _QUIET:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)

    def _fail(self, error: Exception, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        if isinstance(error, ThresherError):
            self._error = error
            batch += self._waiting
            self._waiting.clear()
        for _, future in batch:
            if not future.done():
                future.set_exception(error)
