"""Whether a server tells how probable the words of a reply are, settled by a fixed question.

No reply about a record changes it: what a record is asked must not depend on those before it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from thresher.operators.base import Failure
from thresher.operators.models.chat.messages import probe
from thresher.operators.models.chat.question import Question
from thresher.operators.models.chat.replies import Reply, Unfit
from thresher.schemas import Reason

CHOICE_TOKENS = 16
"""Of a reply that is one of some words."""

Way = Callable[[Sequence[str]], Mapping[str, Any]]
"""Words -> further fields of the request, at which the server tells probabilities."""


class Ability:
    """That of one model on one server, for all conversations of a process."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._settled = False
        self._way: Way | None = None

    async def way(
        self, ask: Callable[[Question], Awaitable[Reply | Failure | Unfit]]
    ) -> Way | Failure | None:
        """The best that the server takes; None where it tells no probabilities. `ask` may find the answer in
        the memo, so that all processes and runs agree. A Failure where the server does not answer now: who
        comes next asks again."""
        async with self._lock:
            if not self._settled:
                found = await _found(ask)
                if isinstance(found, Failure):
                    return found
                self._settled, self._way = True, found
            return self._way


async def _found(
    ask: Callable[[Question], Awaitable[Reply | Failure | Unfit]],
) -> Way | Failure | None:
    for way in (_guided, _free):
        reply = await ask(Question((probe(False),), CHOICE_TOKENS, more=way(("yes", "no"))))
        if isinstance(reply, Unfit):
            continue
        if isinstance(reply, Failure) and reply.reason != Reason.FILTERED:
            return reply
        return way if isinstance(reply, Reply) and reply.tokens else None
    return None


def _free(words: Sequence[str]) -> Mapping[str, Any]:
    return {"logprobs": True, "top_logprobs": 20}


def _guided(words: Sequence[str]) -> Mapping[str, Any]:
    """With the words as the only answers, as vLLM takes them."""
    return {**_free(words), "structured_outputs": {"choice": list(words)}}
