"""How a form is filled, whichever back end answers: every reply is checked, and one repair is asked for."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from thresher.operators.base import Failure
from thresher.operators.models.chat.messages import Form, Message
from thresher.operators.models.chat.replies import Refusal, Reply, one_object
from thresher.operators.models.chat.wire import clean
from thresher.schemas import Reason

AGAIN = "Your answer cannot be used: {}. Reply with one JSON object of the form asked for, and nothing else."
NOTHING = "(nothing)"
"""In place of a reply without words; both are part of the revision."""

F = TypeVar("F", bound=Form)
N = TypeVar("N")


async def fill(
    complete: Callable[[Sequence[Message], type[F], int], Awaitable[Reply | N]],
    messages: Sequence[Message],
    form: type[F],
    max_tokens: int,
) -> F | Failure | N:
    """The filled form; or why there is none; or what `complete` gave in place of a reply.

    A refusal, and a reply that does not hold the form, is asked for once again; one that was cut too, with
    twice the tokens.
    """
    said, longer, broken = list(messages), False, False
    while True:
        reply = await complete(said, form, max_tokens * (1 + longer))
        if not isinstance(reply, Reply):
            return reply
        try:
            return form.model_validate(one_object(reply))
        except ValueError as error:
            reason = Reason.REFUSED if isinstance(error, Refusal) else Reason.UNPARSED
            why = _fault(error)
        if reply.finish == "length":
            if longer:
                return Failure(Reason.REPLY_TRUNCATED, f"cut at {2 * max_tokens} tokens: {why}")
            longer = True
        elif broken:
            return Failure(reason, f"{why}, twice")
        else:
            broken = True
            given = Message("assistant", (clean(reply.text) or NOTHING,))
            said = [*messages, given, Message("user", (AGAIN.format(why),))]


def _fault(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return clean(str(error))
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))  # keys that the model made up, of any length
    return f"{clean(place) or 'the object'}: {clean(first['msg'])}"
