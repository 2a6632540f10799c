"""The chat role over an engine in this process: coroutines side by side, their questions in batches."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from thresher.operators.base import Failure
from thresher.operators.models.chat.chat import Chat, Choice
from thresher.operators.models.chat.filling import fill
from thresher.operators.models.chat.local.answers import Answer, Answers, Request
from thresher.operators.models.chat.local.engine import Chances, Choose, Engine, Fill
from thresher.operators.models.chat.local.gathering import Gathering
from thresher.operators.models.chat.messages import Form, Message
from thresher.operators.models.chat.replies import Reply
from thresher.operators.models.chat.wire import clean
from thresher.schemas import Reason
from thresher.schemas.errors import ThresherError

F = TypeVar("F", bound=Form)
T = TypeVar("T")
R = TypeVar("R")


SPENT = ("requests", "prompt_tokens", "completion_tokens", "request_s", "price", "memo_hits")
"""What is counted; here nothing has a price, and nothing is memoised."""


class LocalModel:
    """A ChatModel, for several threads. `name`: of the model, for errors."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._answers = Answers(engine, name)
        self._spent, self._lock = dict.fromkeys(SPENT, 0.0), threading.Lock()

    @property
    def spent(self) -> Mapping[str, float]:
        """See `ChatModel`."""
        return dict(self._spent)

    def each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        """`work(chat, item)` for every item, all side by side; results in order."""
        return asyncio.run(self._each(items, work))

    async def _each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        answers = self._answers
        async with Gathering[Request, Answer](lambda: answers.engine.batch, answers.to) as gathering:
            chats = [LocalChat(gathering) for _ in items]
            works = [_finished(work(chat, item)) for chat, item in zip(chats, items, strict=True)]
            found = await asyncio.gather(*works)
        with self._lock:
            for name in SPENT:
                self._spent[name] += sum(chat.spent[name] for chat in chats)
        return found


class LocalChat:
    """A Chat whose questions are gathered with those of the others."""

    def __init__(self, gathering: Gathering[Request, Answer]) -> None:
        self._gathering = gathering
        self._spent = dict.fromkeys(SPENT, 0.0)

    @property
    def spent(self) -> Mapping[str, float]:
        """What this record took so far; `request_s` with the time that a question waits for its batch."""
        return dict(self._spent)

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
            self._spent["requests"] += 1
            self._spent["request_s"] += time.monotonic() - started
            self._spent["prompt_tokens"] += found.prompt_tokens
            self._spent["completion_tokens"] += found.completion_tokens
        return found


async def _finished(work: Awaitable[R | Failure]) -> R | Failure | ThresherError:
    """What becomes of one record; whatever is raised for it is its own, and no other's."""
    try:
        return await work
    except ThresherError as error:
        return error
    except Exception as error:
        return Failure(Reason.BAD_VALUE, f"{type(error).__name__}: {clean(str(error))}")
