"""The chat role over HTTP: any server that speaks the OpenAI protocol (vLLM, SGLang, Ollama, hosted ones).

429, 5xx, a time-out and a broken connection are asked again after 2, 4, 8 and 16 s and some jitter, or when
the server says; any other fault of the request would come again with every record, so it stops the run.
"""

import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from thresher.operators.base import Failure
from thresher.operators.models.chat.messages import Form, Message, payload
from thresher.operators.models.chat.replies import Reply, Trouble, one_object, outcome, refuses, words
from thresher.operators.models.chat.wire import Answer, NoAnswer, Wire, clean
from thresher.schemas import Reason
from thresher.schemas.errors import ThresherError

IN_FLIGHT = 16
"""Requests that one process has under way."""
TRIES = 5
BACKOFF_S = 2.0
"""The first wait; each one after it is twice as long."""
PATIENCE_S = 300.0
"""Who asks for a longer wait is asked again by the next run."""
_PROBE = Message("user", ("Answer with the word yes.",))
_AGAIN = "Your answer cannot be used: {}. Reply with one JSON object of the form asked for, and nothing else."

F = TypeVar("F", bound=Form)


@dataclass
class Spent:
    """What was used so far."""

    requests: int = 0
    """Answered ones."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    request_s: float = 0.0
    """Sum over requests, also where they ran side by side."""


class Endpoint:
    """One model on one server, for several threads.

    `key_env` names the variable that `key` came from, for errors; both are empty where there is no key.
    """

    def __init__(self, url: str, model: str, timeout_s: float, key: str = "", key_env: str = "") -> None:
        self.url, self.model, self.spent = url, model, Spent()
        self._key_env = key_env
        self._wire = Wire(url, key, timeout_s, IN_FLIGHT)
        self._lock, self._judging = threading.Lock(), threading.Lock()
        self._answered = 0.0
        self._stop: ThresherError | None = None
        self._stopped = threading.Event()

    def chat_all(
        self, asked: Sequence[Sequence[Message]], form: type[F], max_tokens: int
    ) -> list[F | Failure | ThresherError]:
        """`chat` for each, side by side; an error that stops the run stands in place of what was not asked,
        so that nothing that was answered is lost."""
        self._stop = None
        self._stopped.clear()

        def one(messages: Sequence[Message]) -> F | Failure | ThresherError:
            try:
                return self.chat(messages, form, max_tokens)
            except ThresherError as error:
                self._stop = self._stop or error
                self._stopped.set()
                return error

        with ThreadPoolExecutor(IN_FLIGHT) as threads:
            return list(threads.map(one, asked))

    def chat(self, messages: Sequence[Message], form: type[F], max_tokens: int) -> F | Failure:
        """The filled form, or why there is none. A reply that does not hold one is asked for once again, one
        that was cut too, with twice the tokens. Raises ThresherError where no record would be answered."""
        said, longer, broken = list(messages), False, False
        while True:
            reply = self._complete(payload(self.model, said, max_tokens * (1 + longer), form))
            if isinstance(reply, Failure):
                return reply
            if reply.refused:
                return Failure(Reason.REFUSED, "the model refused")
            if reply.finish == "content_filter":
                return Failure(Reason.FILTERED, "the server's filter took the reply away")
            try:
                return form.model_validate(one_object(reply))
            except ValueError as error:
                why = _fault(error)
            if reply.finish == "length":
                if longer:
                    return Failure(Reason.REPLY_TRUNCATED, f"cut at {2 * max_tokens} tokens: {why}")
                longer = True
            elif refuses(reply.text):
                return Failure(Reason.REFUSED, f"the model refused: {clean(reply.text)}")
            elif broken:
                return Failure(Reason.UNPARSED, f"{why}, twice")
            else:
                broken = True
                given = Message("assistant", (clean(reply.text) or "(nothing)",))
                said = [*messages, given, Message("user", (_AGAIN.format(why),))]

    def _complete(self, body: dict[str, Any]) -> Reply | Failure:
        """One completion, with patience."""
        started = since = time.monotonic()
        trouble = Trouble(Reason.ENDPOINT_TIMEOUT, "")
        for attempt in range(TRIES):
            if attempt:
                since = time.monotonic()
                wait = max(BACKOFF_S * 2 ** (attempt - 1), trouble.wait_s)
                self._stopped.wait(wait + BACKOFF_S * random.random())
            if self._stop is not None:
                raise self._stop
            found = self._once(body)
            if not isinstance(found, Trouble):
                return found
            trouble = found
            if trouble.wait_s > PATIENCE_S:
                break
        self._judge(started, since, trouble)
        return Failure(trouble.reason, f"{trouble.message}, asked {attempt + 1} times")

    def _once(self, body: dict[str, Any]) -> Reply | Failure | Trouble:
        """One request. Raises ThresherError for a fault that any record would meet."""
        started = time.monotonic()
        try:
            answer = self._wire.post(body)
        except NoAnswer as error:
            return Trouble(Reason.ENDPOINT_TIMEOUT, str(error))
        found = outcome(answer)
        if found is None:
            raise self._refused(answer)
        if not isinstance(found, Trouble):
            self._count(started, found)
        return found

    def _count(self, started: float, reply: Reply | Failure) -> None:
        with self._lock:
            self._answered = time.monotonic()
            self.spent.requests += 1
            self.spent.request_s += self._answered - started
            if isinstance(reply, Reply):
                self.spent.prompt_tokens += reply.prompt_tokens
                self.spent.completion_tokens += reply.completion_tokens

    def _judge(self, started: float, since: float, trouble: Trouble) -> None:
        """Raise ThresherError unless somebody else was answered `since` the last wait began, or a word is."""
        with self._judging:
            if self._stop is not None:
                raise self._stop
            if self._answered > since or isinstance(self._once(payload(self.model, [_PROBE], 16)), Reply):
                return
            silence = time.monotonic() - max(started, self._answered)
            what = f"it answered nothing for {silence:.0f} s: {trouble.message}"
            limited = trouble.reason == Reason.RATE_LIMITED
            first = "Wait for the limit to pass" if limited else "Mend the server, or name another `endpoint`"
            self._stop = ThresherError(what, self.url, f"{first}; the same command then asks for the rest")
            self._stopped.set()
            raise self._stop

    def _refused(self, answer: Answer) -> ThresherError:
        mend = f"The server does not take what is asked of {self.model!r}"
        if answer.status in (401, 403):
            mend = "No key was sent: name one in `key_env`"
            if self._key_env:
                mend = f"The key was taken from the environment variable {self._key_env}"
        elif answer.status == 404:
            mend = f"Check the end of `endpoint` (often /v1) and the name {self.model!r}"
        return ThresherError(words(answer), self.url, mend)


def _fault(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the object'}: {first['msg']}"
