"""A model on a server: one request at a time, counted; who could never answer stops the run."""

import secrets
import time
from dataclasses import dataclass

from thresher.operators.base import Failure
from thresher.operators.models.chat import settings
from thresher.operators.models.chat.memo import Kept
from thresher.operators.models.chat.question import KEY_BYTES, Written
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
    price: float = 0.0
    """In the currency of the prices."""
    memo_hits: int = 0
    """Requests that had been answered before: they cost nothing, and do not count in the others."""

    def as_dict(self) -> dict[str, float]:
        """What was used so far, by name."""
        return dict(vars(self))  # a tenth of the time of `asdict`

    def add(self, kept: Kept, price: float) -> None:
        """Count an answer."""
        answer = kept.answer
        self.requests += 1
        self.request_s += kept.seconds
        self.price += price
        if isinstance(answer, Reply):
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens


@dataclass(frozen=True)
class Prices:
    """Of a million tokens, in any currency."""

    input: float = 0.0
    output: float = 0.0

    def of(self, answer: Reply | Failure) -> float:
        """What an answer costs."""
        if not isinstance(answer, Reply):
            return 0.0
        return (answer.prompt_tokens * self.input + answer.completion_tokens * self.output) / 1e6


FREE = Prices()


class Server:
    """`key_env` names the variable that `key` came from; both may be empty."""

    def __init__(
        self, url: str, model: str, timeout_s: float, key: str, key_env: str, prices: Prices
    ) -> None:
        self.url, self.model, self.prices, self.spent = url, model, prices, Spent()
        self.answered = 0.0
        """When the last answer came, on the monotonic clock."""
        self._key_env = key_env
        self._wire = Wire(url, key, timeout_s)

    async def once(self, written: Written) -> Kept | Trouble | Unfit:
        """One request; its answer is in the memo before it is given; one in vain under a key of
        nothing, where only the budget sees it. Raises ThresherError where the address, the key or the
        model's name is wrong, or the budget is spent."""
        now = settings.current()
        memo = now.opened()
        if memo:
            now.budget.check(memo)
        started = time.monotonic()
        try:
            answer = await self._wire.post(written.body)
        except NoAnswer as error:
            return Trouble(Reason.ENDPOINT_TIMEOUT, str(error))
        found = outcome(answer, written.tokens)
        if isinstance(found, Unfit) and (found.status < 400 or found.status in (401, 403, 404)):
            raise self.fault(found)
        if isinstance(found, Trouble) and found.vain and memo:
            memo.add(secrets.token_bytes(KEY_BYTES), Kept(found.vain, 0), self.prices.of(found.vain))
        if isinstance(found, Trouble | Unfit):
            return found
        self.answered = time.monotonic()
        kept = Kept(found, self.answered - started)
        if memo:
            memo.add(written.key, kept, self.prices.of(found))
        self.spent.add(kept, self.prices.of(found))
        return kept

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
