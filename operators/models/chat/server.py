"""A model on a server: one request at a time, counted; who could never answer stops the run."""

import threading
import time
from dataclasses import dataclass
from typing import Any

from thresher.operators.base import Failure
from thresher.operators.models.chat.replies import Reply, Trouble, Unfit, outcome
from thresher.operators.models.chat.wire import NoAnswer, Wire
from thresher.schemas import Reason
from thresher.schemas.errors import ThresherError


@dataclass
class Spent:
    """What was used so far."""

    requests: int = 0
    """Answered ones."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    request_s: float = 0.0
    """Sum over requests, also where they ran side by side."""


class Server:
    """For several threads. `key_env` names the variable that `key` came from; both may be empty."""

    def __init__(
        self, url: str, model: str, timeout_s: float, connections: int, key: str = "", key_env: str = ""
    ) -> None:
        self.url, self.model, self.spent = url, model, Spent()
        self.answered = 0.0
        """When the last answer came, on the monotonic clock."""
        self._key_env = key_env
        self._wire = Wire(url, key, timeout_s, connections)
        self._lock = threading.Lock()

    def once(self, body: dict[str, Any]) -> Reply | Failure | Trouble | Unfit:
        """One request. Raises ThresherError where the address, the key or the model's name is wrong."""
        started = time.monotonic()
        try:
            answer = self._wire.post(body)
        except NoAnswer as error:
            return Trouble(Reason.ENDPOINT_TIMEOUT, str(error))
        found = outcome(answer)
        if isinstance(found, Unfit) and (found.status < 400 or found.status in (401, 403, 404)):
            raise self.fault(found)
        if isinstance(found, Reply | Failure):
            self._count(started, found)
        return found

    def fault(self, unfit: Unfit) -> ThresherError:
        """An error that says what to mend, where no record is taken."""
        mend = f"The server does not take what is asked of {self.model!r}"
        if unfit.status in (401, 403):
            mend = "No key was sent: name one in `key_env`"
            if self._key_env:
                mend = f"The key was taken from the environment variable {self._key_env}"
        elif unfit.status == 404:
            mend = f"Check the end of `endpoint` (often /v1) and the name {self.model!r}"
        return ThresherError(unfit.message, self.url, mend)

    def _count(self, started: float, reply: Reply | Failure) -> None:
        with self._lock:
            self.answered = time.monotonic()
            self.spent.requests += 1
            self.spent.request_s += self.answered - started
            if isinstance(reply, Reply):
                self.spent.prompt_tokens += reply.prompt_tokens
                self.spent.completion_tokens += reply.completion_tokens
