"""What is asked of a model in this process, and what it must be able to do."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from thresher.operators.models.chat.messages import Form, Message
from thresher.operators.models.chat.replies import Reply


class Fill(NamedTuple):
    """A form to be filled in."""

    messages: tuple[Message, ...]
    form: type[Form]
    max_tokens: int


class Choose(NamedTuple):
    """Words to choose from."""

    messages: tuple[Message, ...]
    words: tuple[str, ...]


class Chances(NamedTuple):
    """Word -> probability, and what it cost."""

    p: Mapping[str, float]
    prompt_tokens: int
    completion_tokens: int


class Engine(Protocol):
    """A loaded model, for several threads. An error is raised for the whole batch."""

    batch: int
    """Requests that it is given at once."""

    def fill(self, asked: Sequence[Fill]) -> list[Reply]:
        """Greedy replies in order, each guided by its form and cut at its tokens (`finish` is `length`)."""
        ...

    def choose(self, asked: Sequence[Choose]) -> list[Chances]:
        """The probabilities in order."""
        ...

    def clear(self) -> None:
        """Give back the memory of a batch that did not fit."""
        ...
