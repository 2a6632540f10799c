"""What an answer is: a completion with one object in it, trouble that may pass, or a no."""

import json
from typing import Any, NamedTuple

from thresher.operators.base import Failure
from thresher.operators.models.chat.refusals import refused_instead
from thresher.operators.models.chat.wire import MOST_BYTES, Answer, clean
from thresher.schemas import Reason

OVERSIZE = "oversize"
"""Why a reply ended that was not read to its end."""
_MOST_STARTS = 100
"""Braces at which an object is looked for."""
_FILTERS = (
    *("content_filter", "content filter", "content_policy", "content management policy", "moderation"),
    *("data_inspection", "responsibleaipolicyviolation"),
)
"""What hosted servers write into the error of a request that they filtered."""


TOKEN_BYTES = 4
"""Of text, where a server does not count its tokens: usual for English, and more than a Han character has."""


def estimate(size: int) -> int:
    """Tokens of so many bytes of text, rounded up."""
    return -(-size // TOKEN_BYTES)


class Refusal(ValueError):
    """The model refused; the message may hold its words."""


class Token(NamedTuple):
    """A token of a reply."""

    text: str
    others: tuple[tuple[str, float], ...]
    """The likeliest tokens at its place, itself among them, each with the logarithm of its probability."""


class Reply(NamedTuple):
    """One completion."""

    text: str
    finish: str
    refused: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens: tuple[Token, ...] = ()
    """Where probabilities were asked for, and the server tells them."""


class Trouble(NamedTuple):
    """Why a request is worth another try; not before `wait_s` seconds, says the server."""

    reason: Reason
    message: str
    wait_s: float = 0.0
    vain: Reply | None = None
    """What was answered and cannot be used; its tokens were spent all the same."""


class Unfit(NamedTuple):
    """A request that the server does not take, be it for its record or for what all have in common."""

    status: int
    message: str


def outcome(answer: Answer, asked: int) -> Reply | Failure | Trouble | Unfit:
    """What an answer is. `asked`: estimated tokens of the request, where the server tells none."""
    if answer.status == 429:
        asks = f", and asks to wait {answer.retry_after_s:g} s" if answer.retry_after_s else ""
        message = f"the server limits the rate (HTTP 429{asks})"
        return Trouble(Reason.RATE_LIMITED, message, answer.retry_after_s)
    if answer.status == 408 or answer.status >= 500:
        return Trouble(Reason.ENDPOINT_TIMEOUT, words(answer), answer.retry_after_s)
    if _filtered(answer):
        return Failure(Reason.FILTERED, f"the server's filter: {words(answer)}")
    if not 200 <= answer.status < 300:
        return Unfit(answer.status, words(answer))
    if answer.body is None:
        return Reply("", OVERSIZE, False, asked, estimate(MOST_BYTES))
    if reply := _completion(answer.body, asked):
        return reply
    vain = Reply("", "none", False, asked, estimate(len(answer.body)))
    return Trouble(Reason.ENDPOINT_TIMEOUT, f"no completion: {words(answer)}", vain=vain)


def words(answer: Answer) -> str:
    """The status and the beginning of what a server said."""
    return f"HTTP {answer.status}: {clean(answer.told) or 'nothing more'}"


def _completion(body: bytes, asked: int) -> Reply | None:
    """None where `body` is no chat completion."""
    try:
        data = json.loads(body)
        choice = data["choices"][0]
        message = choice["message"]
        said = message.get("content") or ""
        if isinstance(said, list):
            said = "".join(str(part.get("text") or "") for part in said)
        text, usage = str(said), data.get("usage")
        prompt = _count(usage, "prompt_tokens", asked)
        answered = _count(usage, "completion_tokens", estimate(len(text.encode("utf-8", "replace"))))
        finish, refused = str(choice.get("finish_reason")), bool(message.get("refusal"))
        return Reply(text, finish, refused, prompt, answered, _tokens(choice.get("logprobs")))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None


def _tokens(logprobs: Any) -> tuple[Token, ...]:
    """Those of a reply; none where the server tells none, or in another form."""
    try:
        return tuple(
            Token(
                str(place["token"]),
                tuple((str(other["token"]), float(other["logprob"])) for other in place["top_logprobs"]),
            )
            for place in logprobs["content"]
        )
    except (TypeError, KeyError, ValueError):
        return ()


def _count(usage: Any, name: str, estimated: int) -> int:
    """The estimate where the server gives no sensible count; none of something is not sensible."""
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and min(1, estimated) <= count < 1 << 32 else estimated


def _filtered(answer: Answer) -> bool:
    """Whether a server refused the request for what it shows or says."""
    words = (answer.body or b"").decode("utf-8", "replace").lower()
    return answer.status in (400, 403) and any(word in words for word in _FILTERS)


def one_object(reply: Reply) -> dict[str, Any]:
    """The only JSON object in a reply, whatever stands around it: a fence, prose, what was thought before.

    Raises ValueError saying what is wrong, Refusal where the model refused.
    """
    if reply.refused:
        raise Refusal("the model refused")
    if reply.finish == OVERSIZE:
        raise ValueError(f"the reply is longer than {MOST_BYTES >> 20} MiB")
    text = reply.text.rpartition("</think>")[2]
    if not text.strip():
        raise ValueError("the reply is empty")
    found: list[dict[str, Any]] = []
    decoder, start = json.JSONDecoder(), text.find("{")
    for _ in range(_MOST_STARTS):
        if start < 0:
            break
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            found.append(value)
        start = text.find("{", end)
    if not found and refused_instead(text):
        raise Refusal(f"the model refused: {clean(text)}")
    if len(found) != 1:
        raise ValueError(f"the reply holds {'no' if not found else 'more than one'} JSON object")
    return found[0]
