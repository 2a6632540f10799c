"""Answers of a model in this process, kept and counted in the run's memo as those of servers are."""

import time
from collections.abc import Mapping, Sequence

from thresher.operators.base import Failure
from thresher.operators.models.chat import settings
from thresher.operators.models.chat.local.answers import Answers, Request
from thresher.operators.models.chat.local.engine import Chances, Fill
from thresher.operators.models.chat.memo import Kept
from thresher.operators.models.chat.question import Question
from thresher.operators.models.chat.replies import Reply, Token


class KeptAnswers:
    """`revision`: of the engine and its weights, which stand for the model in the keys."""

    def __init__(self, answers: Answers, revision: str) -> None:
        self._answers, self._revision = answers, revision

    def known(self, asked: Request) -> Kept | None:
        """The answer, if it came before."""
        memo = settings.current().opened()
        return memo.get(self._key(asked)) if memo else None

    def to(self, asked: Sequence[Request]) -> list[Kept | Failure]:
        """The answers in order, in the memo before they are given; a record's own failure is not kept.
        Raises ThresherError where the run is to stop, or the budget is spent, or see `Answers.to`."""
        now = settings.current()
        if now.stop():
            raise settings.NotBegun("the run was asked to stop")
        memo = now.opened()
        if memo:
            now.budget.check(memo)
        started = time.monotonic()
        answers = self._answers.to(asked)
        took = time.monotonic() - started
        found = [one if isinstance(one, Failure) else Kept(_reply(one), took) for one in answers]
        for request, one in zip(asked, found, strict=True):
            if memo and isinstance(one, Kept):
                memo.add(self._key(request), one, price=0)
        return found

    def _key(self, asked: Request) -> bytes:
        if isinstance(asked, Fill):
            question = Question(asked.messages, asked.max_tokens, asked.form)
        else:
            question = Question(asked.messages, 0, more={"words": asked.words})
        return question.written(f"local {self._revision}").key


def _reply(found: Reply | Chances) -> Reply:
    """As the memo holds it: probabilities at the place of one token, themselves and not their logarithms, so
    that not a bit is lost."""
    if isinstance(found, Reply):
        return found
    place = Token("", tuple(found.p.items()))
    return Reply("", "stop", False, found.prompt_tokens, found.completion_tokens, (place,))


def chances(reply: Reply) -> Mapping[str, float]:
    """Word -> probability, of an answer to a Choose."""
    return dict(reply.tokens[0].others)
