"""The partner of a captioner that asks nobody."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

from thresher.operators.base import Failure
from thresher.operators.models.chat.chat import Chat, R, T
from thresher.schemas.errors import ThresherError


class NoModel:
    """Runs the work of each record with a chat that must not be used."""

    spent: Mapping[str, float] = {}
    each_spent: Sequence[Mapping[str, float]] = ()

    def each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        """One after another."""

        async def all_of_them() -> list[R | Failure | ThresherError]:
            return [await work(cast(Chat, None), item) for item in items]

        return asyncio.run(all_of_them())
