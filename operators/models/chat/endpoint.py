"""The chat role over HTTP: any server that speaks the OpenAI protocol (vLLM, SGLang, Ollama, hosted ones).

A fault of one record is a failure of that record; one that every record would meet stops the run.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from thresher.operators.base import Failure
from thresher.operators.models.chat import settings
from thresher.operators.models.chat.ability import Ability
from thresher.operators.models.chat.chat import REMEMBERED, Chat
from thresher.operators.models.chat.conversation import Conversation
from thresher.operators.models.chat.loop import run
from thresher.operators.models.chat.patience import Round
from thresher.operators.models.chat.server import FREE, Prices, Server
from thresher.schemas.errors import ThresherError

T = TypeVar("T")
R = TypeVar("R")


class Endpoint:
    """One model on one server, for several threads.

    `key_env` names the variable that `key` came from, for errors; both are empty where there is no key.
    """

    def __init__(
        self,
        url: str,
        model: str,
        timeout_s: float,
        key: str = "",
        key_env: str = "",
        prices: Prices = FREE,
    ) -> None:
        self._server = Server(url, model, timeout_s, key, key_env, prices)
        self._ability = Ability()
        self._each_spent: deque[Mapping[str, float]] = deque(maxlen=REMEMBERED)

    @property
    def spent(self) -> Mapping[str, float]:
        """What was used so far: the fields of `server.Spent`."""
        return self._server.spent.as_dict()

    @property
    def each_spent(self) -> Sequence[Mapping[str, float]]:
        """See `chat.ChatModel`."""
        return list(self._each_spent)

    def each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        """See `chat.ChatModel`; `Settings.in_flight` records are in work, and so many requests."""
        return run(self._each(items, work))

    async def _each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        now = settings.current()
        if memo := now.opened():
            memo.refresh()
        workers = min(now.in_flight, len(items))
        together = Round(self._server, now.in_flight, workers)
        found: dict[int, R | Failure | ThresherError] = {}
        unforeseen: dict[int, Exception] = {}
        waiting = iter(enumerate(items))

        async def worker() -> None:
            for i, item in waiting:
                if together.error or now.stop():
                    found[i] = together.error or settings.NotBegun("the run was asked to stop")
                    continue
                chat = Conversation(together, self._ability)
                try:
                    found[i] = await work(chat, item)
                    self._each_spent.append(chat.spent)
                except ThresherError as error:
                    found[i] = together.stop(error)
                except Exception as error:
                    unforeseen[i] = error
            together.ended()

        await asyncio.gather(*(worker() for _ in range(workers)))
        found |= {i: together.excuse(error) for i, error in unforeseen.items()}
        return [found[i] for i in range(len(items))]
