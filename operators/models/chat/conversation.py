"""The talk with a server about one record."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TypeVar

from thresher.operators.base import Failure
from thresher.operators.models.chat import settings
from thresher.operators.models.chat.ability import CHOICE_TOKENS, Ability
from thresher.operators.models.chat.chat import Choice
from thresher.operators.models.chat.choices import from_samples, from_tokens
from thresher.operators.models.chat.filling import fill
from thresher.operators.models.chat.messages import Form, Message
from thresher.operators.models.chat.patience import Round
from thresher.operators.models.chat.question import Question
from thresher.operators.models.chat.replies import Reply, Unfit
from thresher.operators.models.chat.server import Spent
from thresher.operators.models.chat.wire import clean
from thresher.schemas import Reason

F = TypeVar("F", bound=Form)


class Conversation:
    """A Chat over HTTP; see `chat.py`."""

    def __init__(self, together: Round, ability: Ability) -> None:
        self._together, self._ability = together, ability
        self._spent = Spent()

    @property
    def spent(self) -> dict[str, float]:
        """What this record took, also where its answers were in the memo: the same each time."""
        return self._spent.as_dict()

    async def fill(self, messages: Sequence[Message], form: type[F], max_tokens: int) -> F | Failure:
        """See `filling.fill`."""
        return await fill(self._complete, messages, form, max_tokens)

    async def _complete(
        self, messages: Sequence[Message], form: type[Form], max_tokens: int
    ) -> Reply | Failure:
        question = Question(messages, max_tokens, form)
        reply = await self._ask(question)
        return await self._together.settle(question, reply) if isinstance(reply, Unfit) else reply

    async def choose(
        self, messages: Sequence[Message], words: Sequence[str], samples: int = 5
    ) -> Choice | Failure:
        """By the server's probabilities, if it tells them; else by how often each word comes."""
        way = await self._ability.way(Conversation(self._together, self._ability)._ask)
        if isinstance(way, Failure):
            return way
        if way is None:
            return await self._sampled(messages, words, samples)
        refused = False
        for seed in range(2):
            question = Question(messages, CHOICE_TOKENS, seed=seed, more=way(words))
            reply = await self._ask(question)
            if isinstance(reply, Failure):
                return reply
            if isinstance(reply, Unfit):
                return await self._together.settle(question, reply)
            if p := from_tokens(reply.tokens, words):
                return Choice(max(words, key=p.__getitem__), p, "logprobs")
            if reply.tokens:
                return await self._sampled(messages, words, samples)
            refused = refused or reply.refused
        if refused:
            return Failure(Reason.REFUSED, "the model refused")
        return Failure(Reason.UNPARSED, "the reply came without probabilities, twice")

    async def _sampled(
        self, messages: Sequence[Message], words: Sequence[str], samples: int
    ) -> Choice | Failure:
        asked = [Question(messages, CHOICE_TOKENS, temperature=1, seed=seed) for seed in range(samples)]
        found = await asyncio.gather(*map(self._ask, asked))
        for question, reply in zip(asked, found, strict=True):
            if isinstance(reply, Failure):
                return reply
            if isinstance(reply, Unfit):
                return await self._together.settle(question, reply)
        replies = [reply for reply in found if isinstance(reply, Reply)]
        if p := from_samples(replies, words):
            return Choice(max(words, key=p.__getitem__), p, "samples")
        if any(reply.refused for reply in replies):
            return Failure(Reason.REFUSED, "the model refused")
        return Failure(Reason.UNPARSED, f"no reply is one of {', '.join(words)}: {clean(replies[0].text)}")

    async def _ask(self, question: Question) -> Reply | Failure | Unfit:
        """One completion, from the memo if it is there, or will be: of equal requests one is sent."""
        now, server = settings.current(), self._together.server
        memo, written = now.opened(), question.written(server.model)
        kept = await memo.awaited(written.key) if memo else None
        if kept:
            server.spent.memo_hits += 1
            self._spent.memo_hits += 1
        else:
            with memo.asking(written.key) if memo else nullcontext():
                found = await self._together.complete(question, written)
            if isinstance(found, Failure | Unfit):
                return found
            kept = found
        self._spent.add(kept, server.prices.of(kept.answer))
        if isinstance(kept.answer, Reply) and kept.answer.finish == "content_filter":
            return Failure(Reason.FILTERED, "the server's filter took the reply away")
        return kept.answer
