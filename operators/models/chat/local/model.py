"""The chat role over an engine in this process: coroutines side by side, their questions in batches."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from thresher.operators.base import Failure
from thresher.operators.models.chat import settings
from thresher.operators.models.chat.chat import REMEMBERED, Chat, Choice
from thresher.operators.models.chat.filling import fill
from thresher.operators.models.chat.local.answers import Answer, Answers, Request
from thresher.operators.models.chat.local.engine import Chances, Choose, Engine, Fill
from thresher.operators.models.chat.local.gathering import Gathering
from thresher.operators.models.chat.messages import Form, Message
from thresher.operators.models.chat.replies import Reply
from thresher.operators.models.chat.server import Spent
from thresher.operators.models.chat.wire import clean
from thresher.schemas import Reason
from thresher.schemas.errors import ThresherError

F = TypeVar("F", bound=Form)
T = TypeVar("T")
R = TypeVar("R")


class LocalModel:
    """A ChatModel, for several threads. `name`: of the model, for errors."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._answers = Answers(engine, name)
        self._spent, self._lock = Spent(), threading.Lock()
        self._each_spent: deque[Mapping[str, float]] = deque(maxlen=REMEMBERED)

    @property
    def spent(self) -> Mapping[str, float]:
        """See `ChatModel`; nothing has a price, and nothing is memoised."""
        return self._spent.as_dict()

    @property
    def each_spent(self) -> Sequence[Mapping[str, float]]:
        """See `ChatModel`."""
        return list(self._each_spent)

    def each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        """See `ChatModel`; all are in work at once. Where the run is to stop no further batch is answered:
        records that wait for one are as if they had not begun."""
        return asyncio.run(self._each(items, work))

    async def _each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        engine = self._answers.engine
        async with Gathering[Request, Answer](lambda: engine.batch, self._answered) as gathering:
            chats = [LocalChat(gathering) for _ in items]
            works = [_finished(work(chat, item)) for chat, item in zip(chats, items, strict=True)]
            found = await asyncio.gather(*works)
        with self._lock:
            self._each_spent.extend(chat.spent for chat in chats)
            for name in self.spent:
                more = sum(chat.spent[name] for chat in chats)
                setattr(self._spent, name, getattr(self._spent, name) + more)
        return found

    def _answered(self, asked: Sequence[Request]) -> list[Answer]:
        if settings.current().stop():
            raise settings.NotBegun("the run was asked to stop")
        return self._answers.to(asked)


class LocalChat:
    """A Chat whose questions are gathered with those of the others."""

    def __init__(self, gathering: Gathering[Request, Answer]) -> None:
        self._gathering = gathering
        self._spent = Spent()

    @property
    def spent(self) -> Mapping[str, float]:
        """What this record took so far; `request_s` with the time that a question waits for its batch."""
        return self._spent.as_dict()

    async def fill(self, messages: Sequence[Message], form: type[F], max_tokens: int) -> F | Failure:
        """The form, filled in by the model."""
        return await fill(self._complete, messages, form, max_tokens)

    async def choose(
        self, messages: Sequence[Message], words: Sequence[str], samples: int = 5
    ) -> Choice | Failure:
        """The most probable of `words`; nothing is sampled."""
        found = await self._ask(Choose(tuple(messages), tuple(words)))
        if isinstance(found, Failure):
            return found
        assert isinstance(found, Chances)
        return Choice(max(words, key=lambda word: found.p[word]), found.p, "logprobs")

    async def _complete(
        self, messages: Sequence[Message], form: type[Form], max_tokens: int
    ) -> Reply | Failure:
        found = await self._ask(Fill(tuple(messages), form, max_tokens))
        assert not isinstance(found, Chances)
        return found

    async def _ask(self, request: Request) -> Answer:
        started = time.monotonic()
        found = await self._gathering.ask(request)
        if not isinstance(found, Failure):
            self._spent.requests += 1
            self._spent.request_s += time.monotonic() - started
            self._spent.prompt_tokens += found.prompt_tokens
            self._spent.completion_tokens += found.completion_tokens
        return found


async def _finished(work: Awaitable[R | Failure]) -> R | Failure | ThresherError:
    """What becomes of one record; whatever is raised for it is its own, and no other's."""
    try:
        return await work
    except ThresherError as error:
        return error
    except Exception as error:
        return Failure(Reason.BAD_VALUE, f"{type(error).__name__}: {clean(str(error))}")
