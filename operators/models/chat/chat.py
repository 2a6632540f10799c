"""The chat role: what captioners, judges and rewriters ask, whichever back end answers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from thresher.operators.base import Failure
from thresher.operators.models.chat.messages import Form, Message
from thresher.schemas.errors import ThresherError

F = TypeVar("F", bound=Form)
T = TypeVar("T")
R = TypeVar("R")

REMEMBERED = 1000
"""Records of which it is known what each took."""


class Choice(NamedTuple):
    """One of the words that a model could choose from, and how probable each was to it."""

    answer: str
    p: Mapping[str, float]
    """Word -> probability; they sum to 1."""
    how: str
    """`logprobs`: from the model's own probabilities; `samples`: from how often each came."""


class Chat(Protocol):
    """One conversation partner, for the coroutine of one record.

    Both answer with a Failure where this record alone is not answered; an error that every record would meet
    is raised as ThresherError and must not be caught.
    """

    async def fill(self, messages: Sequence[Message], form: type[F], max_tokens: int) -> F | Failure:
        """The form, filled in by the model."""
        ...

    async def choose(
        self, messages: Sequence[Message], words: Sequence[str], samples: int = 5
    ) -> Choice | Failure:
        """The word that the model answers with, of `words`; `samples` are asked for where the back end gives
        no probabilities. Words are found whatever their case, and the blanks and marks around them."""
        ...

    @property
    def spent(self) -> Mapping[str, float]:
        """What this record took so far, named as in `ChatModel.spent`; memoised answers count in it."""
        ...


class ChatModel(Protocol):
    """A model that answers many records side by side."""

    def each(
        self, items: Sequence[T], work: Callable[[Chat, T], Awaitable[R | Failure]]
    ) -> list[R | Failure | ThresherError]:
        """`work(chat, item)` for every item, as many side by side as the back end takes; results in order.

        A ThresherError in `work` stands in the place of its item and of those that were not begun, so that
        nothing that was answered is lost.
        """
        ...

    @property
    def spent(self) -> Mapping[str, float]:
        """`requests, prompt_tokens, completion_tokens, request_s, price` so far, and `memo_hits`: requests
        that were answered before, which do not count in the others."""
        ...

    @property
    def each_spent(self) -> Sequence[Mapping[str, float]]:
        """`Chat.spent` of each of the last records that were done, a thousand at most."""
        ...
