"""The chat role over HTTP: any server that speaks the OpenAI protocol (vLLM, SGLang, Ollama, hosted ones).

A fault of one record is a failure of that record; one that every record would meet stops the run.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pydantic import ValidationError

from thresher.operators.base import Failure
from thresher.operators.models.chat.messages import Form, Message, payload, probe
from thresher.operators.models.chat.patience import Round
from thresher.operators.models.chat.replies import Refusal, Unfit, one_object
from thresher.operators.models.chat.server import Server, Spent
from thresher.operators.models.chat.wire import clean
from thresher.schemas import Reason
from thresher.schemas.errors import ThresherError

IN_FLIGHT = 16
"""Requests that one process has under way."""
_AGAIN = "Your answer cannot be used: {}. Reply with one JSON object of the form asked for, and nothing else."

F = TypeVar("F", bound=Form)


class Endpoint:
    """One model on one server, for several threads.

    `key_env` names the variable that `key` came from, for errors; both are empty where there is no key.
    """

    def __init__(self, url: str, model: str, timeout_s: float, key: str = "", key_env: str = "") -> None:
        self._server = Server(url, model, timeout_s, IN_FLIGHT, key, key_env)

    @property
    def spent(self) -> Spent:
        """What was used so far."""
        return self._server.spent

    def chat(self, messages: Sequence[Message], form: type[F], max_tokens: int) -> F | Failure:
        """The filled form, or why there is none. Raises ThresherError where no record would be answered."""
        (found,) = self.chat_all([messages], form, max_tokens)
        if isinstance(found, ThresherError):
            raise found
        return found

    def chat_all(
        self, asked: Sequence[Sequence[Message]], form: type[F], max_tokens: int
    ) -> list[F | Failure | ThresherError]:
        """`chat` for each, side by side; an error that stops the run stands in place of what was not asked,
        so that nothing that was answered is lost."""
        shown = any(isinstance(part, bytes) for said in asked for message in said for part in message.parts)
        tried = payload(self._server.model, [probe(shown)], max_tokens, form)
        together = Round(self._server, tried)

        def one(messages: Sequence[Message]) -> F | Failure | Unfit | Exception:
            try:
                return self._fill(together, messages, form, max_tokens)
            except ThresherError as error:
                return together.stop(error)
            except Exception as error:
                return error

        with ThreadPoolExecutor(IN_FLIGHT) as threads:
            found = list(threads.map(one, asked))
        return [_settled(together, answer) for answer in found]

    def _fill(
        self, together: Round, messages: Sequence[Message], form: type[F], max_tokens: int
    ) -> F | Failure | Unfit:
        """A refusal, and a reply that does not hold the form, is asked for once again; one that was cut too,
        with twice the tokens."""
        said, longer, broken = list(messages), False, False
        while True:
            reply = together.complete(payload(self._server.model, said, max_tokens * (1 + longer), form))
            if isinstance(reply, Failure | Unfit):
                return reply
            if reply.finish == "content_filter":
                return Failure(Reason.FILTERED, "the server's filter took the reply away")
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
                given = Message("assistant", (clean(reply.text) or "(nothing)",))
                said = [*messages, given, Message("user", (_AGAIN.format(why),))]


def _settled(together: Round, found: F | Failure | Unfit | Exception) -> F | Failure | ThresherError:
    if isinstance(found, Unfit):
        return together.settle(found)
    if isinstance(found, Exception) and not isinstance(found, ThresherError):
        return together.excuse(found)
    return found


def _fault(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return clean(str(error))
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))  # keys that the model made up, of any length
    return f"{clean(place) or 'the object'}: {clean(first['msg'])}"
