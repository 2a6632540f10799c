"""The chat role over an engine in this process: coroutines side by side, their questions in batches."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from thresher.operators.base import Failure
from thresher.operators.models.chat import settings
from thresher.operators.models.chat.chat import REMEMBERED, Chat, Choice
from thresher.operators.models.chat.filling import fill
from thresher.operators.models.chat.local.answers import Answers, Request
from thresher.operators.models.chat.local.engine import Choose, Engine, Fill
from thresher.operators.models.chat.local.gathering import Gathering
from thresher.operators.models.chat.local.kept import KeptAnswers, chances
from thresher.operators.models.chat.memo import Kept
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
    """A ChatModel, for several threads. `name`: of the model, for errors; `revision`: of the engine and its
    weights, for the memo."""

    def __init__(self, engine: Engine, name: str, revision: str) -> None:
        self._engine, self._answers = engine, KeptAnswers(Answers(engine, name), revision)
        self._spent, self._lock = Spent(), threading.Lock()
        self._each_spent: deque[Mapping[str, float]] = deque(maxlen=REMEMBERED)

    @property
    def spent(self) -> Mapping[str, float]:
        """See `ChatModel`; nothing has a price."""
        return self._spent.as_dict()

    @property
    def each_spent(self) -> Sequence[Mapping[str, float]]:
        """See `ChatModel`."""
        return list(self._each_spent)

    def each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        """See `ChatModel`; all are in work at once. Where the run is to stop, or the budget is spent, no
        further batch is answered: records that wait for one are as if they had not begun."""
        return asyncio.run(self._each(items, work))

    async def _each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        if memo := settings.current().opened():
            memo.refresh()
        gathered = Gathering[Request, Kept | Failure](lambda: self._engine.batch, self._answers.to)
        async with gathered as gathering:
            chats = [LocalChat(gathering, self._answers) for _ in items]
            works = [_finished(work(chat, item)) for chat, item in zip(chats, items, strict=True)]
            found = await asyncio.gather(*works)
        with self._lock:
            self._each_spent.extend(chat.spent for chat in chats)
            for name in self.spent:
                more = sum(chat.used[name] for chat in chats)
                setattr(self._spent, name, getattr(self._spent, name) + more)
        return found


class LocalChat:
    """A Chat whose questions are gathered with those of the others."""

    def __init__(self, gathering: Gathering[Request, Kept | Failure], answers: KeptAnswers) -> None:
        self._gathering, self._answers = gathering, answers
        self._spent, self._used = Spent(), Spent()

    @property
    def spent(self) -> Mapping[str, float]:
        """What this record took so far, also where its answers were in the memo; `request_s` is the time of
        whole batches."""
        return self._spent.as_dict()

    @property
    def used(self) -> Mapping[str, float]:
        """What was used for it now."""
        return self._used.as_dict()

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
        p = chances(found)
        return Choice(max(words, key=p.__getitem__), p, "logprobs")

    async def _complete(
        self, messages: Sequence[Message], form: type[Form], max_tokens: int
    ) -> Reply | Failure:
        return await self._ask(Fill(tuple(messages), form, max_tokens))

    async def _ask(self, request: Request) -> Reply | Failure:
        kept = self._answers.known(request)
        if kept:
            self._spent.memo_hits += 1
            self._used.memo_hits += 1
        else:
            found = await self._gathering.ask(request)
            if isinstance(found, Failure):
                return found
            kept = found
            self._used.add(kept, 0)
        self._spent.add(kept, 0)
        return kept.answer


async def _finished(work: Awaitable[R | Failure]) -> R | Failure | ThresherError:
    """What becomes of one record; whatever is raised for it is its own, and no other's."""
    try:
        return await work
    except ThresherError as error:
        return error
    except Exception as error:
        return Failure(Reason.BAD_VALUE, f"{type(error).__name__}: {clean(str(error))}")
